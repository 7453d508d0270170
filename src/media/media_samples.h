#pragma once
// Walks a track's sample table (stts, stsc, stsz/stz2, stco/co64) through small windows, so that
// hours of audio cost no more memory than seconds: libavformat's index took 94 MB for 12 hours.

#include "base/scope.h"
#include "media/media_boxes.h"

struct media_sample {
    int64_t offset; // in the file
    int64_t size_bytes;
    int64_t time; // in the track's timescale
    int64_t duration;
    uint32_t description; // sample entry, from 0
};

struct media_samples;

// Whether there is such a table, with samples in it.
bool media_samples_can_walk(const struct media_track *track);

// Borrows all. `pcm_frame_bytes` says of each sample entry: one sample of all channels when it is
// PCM, then many make one packet; 0 otherwise. NULL: none is.
struct media_samples *media_samples_open(int fd, const struct media_boxes *boxes,
                                         const struct media_track *track,
                                         const int pcm_frame_bytes[MEDIA_DESCRIPTIONS]);
void media_samples_close(struct media_samples *samples);
SCOPE_DEFINE(media_samples_close, struct media_samples *);

// Back to the first sample.
void media_samples_rewind(struct media_samples *samples);

// 1 a sample, 0 the end, -1 failed. Codes: truncated, not_media, internal.
int media_samples_next(struct media_samples *samples, struct media_sample *out,
                       struct media_failure *why);

// 34 years, in the track's timescale: so far times can be told on the clock of any rate without an
// overflow.
int64_t media_samples_latest_time(const struct media_track *track);

// The sum of all durations, in the track's timescale. Codes: truncated, internal.
bool media_samples_total(int fd, const struct media_track *track, int64_t *out,
                         struct media_failure *why);
