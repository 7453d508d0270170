#pragma once
// The files that a person names on the command line; "-" is standard input.

#include "base/error.h"

#include <stddef.h>

// Open for reading and able to seek: all of a pipe is in a file of our own then. -1 on failure.
int media_files_open(const char *name, struct error *err);

// An unlinked file where temporary files live. -1 on failure.
int media_files_scratch(struct error *err);

// All that is left of one in the other.
bool media_files_copy(int from, int to, struct error *err);

// The same for text that another process has written and a terminal may show: lines of clean UTF-8
// (base/text.h). False too where there is more than `limit_bytes`.
bool media_files_copy_text(int from, int to, size_t limit_bytes, struct error *err);
