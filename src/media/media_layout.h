#pragma once
// Lays frames, from whichever encoder, into one MP3 stream: each frame's main data follows that of
// the frame before without a gap, so that the bit reservoir is continuous.
//
// A frame keeps its own bit rate and padding. When its encoder counted on no more reservoir bytes
// than media_layout_reservoir() tells, its main data fits, and so does that of all frames that
// follow it in that encoder's stream. Where a frame's main data would not fit, its bit rate is
// raised; media_layout_raised() counts these.

#include "base/scope.h"
#include "media/media_failure.h"
#include "media/media_frames.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Gets one frame a call, in order, each complete.
struct media_layout_output {
    bool (*write)(void *context, const unsigned char *bytes, size_t size,
                  struct media_failure *why);
    void *context;
};

struct media_layout;

struct media_layout *media_layout_create(struct media_layout_output output);
void media_layout_destroy(struct media_layout *layout);
SCOPE_DEFINE(media_layout_destroy, struct media_layout *);

// Bytes left by the frames so far that the next frame's main data may use.
int media_layout_reservoir(const struct media_layout *layout);

// Copies what it needs. A frame of another rate or mono/stereo than the first, or one that does
// not fit at the highest bit rate, is `internal`.
bool media_layout_add(struct media_layout *layout, const struct media_frame *frame,
                      struct media_failure *why);

// What is left at least behind a frame whose reservoir was never smaller than its encoder counted
// on: where two encoders' frames can meet is known from it before anything is laid.
int media_layout_left_by(const struct media_frame *frame);

// Writes the frames that still had room; nothing can be added after.
bool media_layout_finish(struct media_layout *layout, struct media_failure *why);

// How many frames got a higher bit rate than their encoder gave them.
int64_t media_layout_raised(const struct media_layout *layout);
