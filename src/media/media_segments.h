#pragma once
// One file on several threads: segments of it are encoded side by side (media_segment.h) and come
// out as one row of frames. Which frames depends on the samples and the settings only, never on
// the number of threads or on their luck.
//
// Memory: a window of PCM of one segment for each thread but the first, and each thread's encoder
// with its frames.

#include "base/scope.h"
#include "media/media_layout.h"
#include "media/media_segment.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct media_segments;

// Starts the threads and returns when all of them wait. NULL on failure.
struct media_segments *media_segments_create(int threads, const struct media_rules *rules,
                                             struct media_failure *why);
// At any time, also between begin and finish: what the threads have in hand, they put down.
void media_segments_close(struct media_segments *segments);
SCOPE_DEFINE(media_segments_close, struct media_segments *);

// Once. Borrows the layout, which one thread at a time adds frames to.
void media_segments_begin(struct media_segments *segments, const struct preset *preset,
                          struct media_format format, struct media_layout *layout);

// Waits while the window is full. False when a thread has failed.
bool media_segments_write(struct media_segments *segments, const float *left, const float *right,
                          size_t count, struct media_failure *why);

struct media_segments_result {
    int64_t segments;
    int64_t joins;
    int64_t thrown_away;  // segments that nothing before them could be joined to
    int64_t spare_frames; // encoded and not used, lead-ins included
};

// Waits until the last frame has been added to the layout.
bool media_segments_finish(struct media_segments *segments, struct media_segments_result *out,
                           struct media_failure *why);
