#pragma once
// The files that a person names on the command line; "-" is standard input.

#include "base/error.h"

// Open for reading and able to seek: all of a pipe is in a file of our own then. -1 on failure.
int media_files_open(const char *name, struct error *err);

// An unlinked file where temporary files live. -1 on failure.
int media_files_scratch(struct error *err);

// All that is left of one in the other.
bool media_files_copy(int from, int to, struct error *err);
