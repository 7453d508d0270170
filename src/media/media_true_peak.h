#pragma once
// The highest point of the curve that a player draws through one channel's samples: with the
// filters of ITU-R BS.1770-4, annex 2, at four times the rate. libebur128 has this too; compilers
// make three times less work of filters that run over a row of samples at once.

#include <stddef.h>

enum { MEDIA_TRUE_PEAK_TAPS = 12, MEDIA_TRUE_PEAK_SAMPLES = 128 };

// Zeroed at first.
struct media_true_peak {
    float window[MEDIA_TRUE_PEAK_TAPS - 1 + MEDIA_TRUE_PEAK_SAMPLES]; // the last ones, and new ones
    size_t count;                                                     // of new ones
    float highest;
};

void media_true_peak_add(struct media_true_peak *peak, const float *samples, size_t count);

// 1 is full scale. Nothing can be added afterwards.
float media_true_peak_finish(struct media_true_peak *peak);
