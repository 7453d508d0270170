#pragma once
// Walks a track's sample table (stts, stsc, stsz, stco/co64) through small windows, so that hours
// of audio cost no more memory than seconds: libavformat's index took 94 MB for 12 hours.

#include "base/scope.h"
#include "media/media_boxes.h"

struct media_sample {
    int64_t offset; // in the file
    int64_t size_bytes;
    int64_t time; // in the track's timescale
    int64_t duration;
};

struct media_samples;

// Whether the table is of the plain kind that this walker knows: not in fragments, one sample
// description, sizes of 32 bits.
bool media_samples_can_walk(const struct media_boxes *boxes, const struct media_track *track);

// Borrows all. `pcm_frame_bytes` is one sample of all channels when the audio is PCM: then many
// make one packet. 0 otherwise.
struct media_samples *media_samples_open(int fd, const struct media_boxes *boxes,
                                         const struct media_track *track, int pcm_frame_bytes);
void media_samples_close(struct media_samples *samples);
SCOPE_DEFINE(media_samples_close, struct media_samples *);

// 1 a sample, 0 the end, -1 failed. Codes: truncated, not_media, internal.
int media_samples_next(struct media_samples *samples, struct media_sample *out,
                       struct media_failure *why);

// The sum of all durations, in the track's timescale. Codes: truncated, internal.
bool media_samples_total(int fd, const struct media_track *track, int64_t *out,
                         struct media_failure *why);
