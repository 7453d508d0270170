#pragma once
// Finds the blobs of a `file:` store in its directories, as `blobs_list` promises.

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

bool blobs_files_walk(const char *root, const char *prefix, bool unfinished,
                      bool (*each)(const char *key, int64_t changed_at_ms, void *context),
                      void *context, struct error *err);
