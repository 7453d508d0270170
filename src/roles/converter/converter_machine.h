#pragma once
// What this machine gives a conversion: the media program and the processors.

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

// The path of `unreel-media`: beside the running program, then in libexecdir. NOT_FOUND names both.
bool converter_find_program(char *out, size_t out_size, struct error *err);

// How many threads are of use: the processors that this process may run on, no more than its
// control group's quota. At least 1.
int converter_cores(void);
