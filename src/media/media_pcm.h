#pragma once
// A window of PCM that moves along the file: one writer appends at its end, readers read anywhere
// in it, its start moves up to what nobody needs any more. Positions are samples from the start of
// the file.
//
// It locks nothing. Start and end are for who holds the owner's lock; the samples need none, since
// the writer writes only behind the end, and readers read only between both.

#include "base/scope.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct media_pcm {
    int channels; // 1 or 2
    size_t capacity;
    int64_t start, end;
    bool is_ended; // nothing comes behind `end`
    float *planes[2];
};

void media_pcm_init(struct media_pcm *pcm, int channels, size_t capacity);
void media_pcm_finish(struct media_pcm *pcm);

// How many samples can be appended.
size_t media_pcm_room(const struct media_pcm *pcm);

// Puts samples at `position`, not before the end; no more than there is room for. Then the owner
// moves the end.
void media_pcm_put(struct media_pcm *pcm, int64_t position, const float *left, const float *right,
                   size_t count);

// The samples from `position` on: at most `count` of them, fewer where the memory wraps around.
size_t media_pcm_at(const struct media_pcm *pcm, int64_t position, size_t count,
                    const float **out_left, const float **out_right);
