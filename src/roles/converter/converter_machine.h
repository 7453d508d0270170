#pragma once
// Where this machine has the media program.

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

// The path of `unreel-media`: beside the running program, then in libexecdir. NOT_FOUND names both.
bool converter_find_program(char *out, size_t out_size, struct error *err);
