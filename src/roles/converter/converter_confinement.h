#pragma once
// Whether strangers' files can be decoded here without danger: asked once, when the role starts.

#include "base/error.h"
#include "protocol/confinement.h"

#include <stdbool.h>

struct converter_nursery;

enum { CONVERTER_REMARK_SIZE = CONFINEMENT_TEXT_SIZE + 64 };

// Runs `unreel-media self-test` in the scratch directory as a conversion would be run. Its layers
// go to the metric unreel_confinement_layers, one log line and `out_remark`, for readyz. False
// where the program let itself do what it must not, or a layer is missing that must be there; with
// `is_best_effort` that is a line in the log at level error, and true.
bool converter_confinement_check(struct converter_nursery *nursery, const char *scratch_directory,
                                 bool is_best_effort, char out_remark[CONVERTER_REMARK_SIZE],
                                 struct error *err);
