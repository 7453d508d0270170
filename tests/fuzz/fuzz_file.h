#pragma once
// What the targets for media share: a fuzzer's bytes as a file.

#include "media/media_failure.h"

#include <stddef.h>
#include <stdint.h>

// A file in memory with these bytes, the same descriptor each time.
int fuzz_file(const uint8_t *bytes, size_t size);

// An empty one, for what is written; the same descriptor each time for a number below 2.
int fuzz_output(unsigned number);

// Ends the program unless the failure has a code of the table that blames the file.
void fuzz_expect_blame(const struct media_failure *why);
