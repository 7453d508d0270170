#pragma once
// How loud sound is (EBU R 128, ITU-R BS.1770-4, by libebur128; peaks by media_true_peak.h), and
// the one gain that makes it as loud as is wanted. The gain is linear and the same from the first
// sample to the last: nothing is compressed, so what has high peaks may stay quieter than was asked
// for.

#include "base/scope.h"
#include "media/media_encode.h"
#include "media/media_failure.h"

#include <stdbool.h>
#include <stddef.h>

struct media_loudness;

// What it found; in silence, and in less than 0.4 seconds of sound, no loudness can be measured.
struct media_level {
    bool has_loudness;
    double loudness_lufs;  // integrated, both gates applied
    double true_peak_dbtp; // below -200 for silence
};

// Fixed memory, whatever comes. NULL on failure.
struct media_loudness *media_loudness_create(struct media_format format, struct media_failure *why);
void media_loudness_destroy(struct media_loudness *loudness);
SCOPE_DEFINE(media_loudness_destroy, struct media_loudness *);

// `count` samples a channel, none of them infinite or no number; for mono, `right` is not read.
bool media_loudness_add(struct media_loudness *loudness, const float *left, const float *right,
                        size_t count, struct media_failure *why);

// Once, at the end.
bool media_loudness_level(struct media_loudness *loudness, struct media_level *out,
                          struct media_failure *why);

// In dB, so that the loudness becomes `wanted_lufs` or, where that is less, the true peak becomes
// -1 dBTP. 0 where there is no loudness.
double media_loudness_gain_db(const struct media_level *level, double wanted_lufs);
