#pragma once
// Decoded frames of any sample format, rate and channel layout to planar float at the MP3's rate
// and channels. When the frames change in the middle of the file, what is still inside comes out
// first and a new converter goes on. As many samples come out as all frames together are worth,
// rounded once.

#include "base/scope.h"
#include "media/media_encode.h"
#include "media/media_failure.h"

struct AVFrame;
struct media_resampler;

struct media_resampler *media_resampler_create(struct media_format format);
void media_resampler_destroy(struct media_resampler *resampler);
SCOPE_DEFINE(media_resampler_destroy, struct media_resampler *);

// Where the samples go: `count` a channel, for mono both pointers are the same. All of them are
// numbers, and none is far out of range. It may change them.
struct media_sink {
    bool (*write)(void *context, float *left, float *right, size_t count,
                  struct media_failure *why);
    void *context;
};

// Converts the frame into the sink; NULL drains what is still inside.
bool media_resampler_pass(struct media_resampler *resampler, const struct AVFrame *frame,
                          const struct media_sink *sink, struct media_failure *why);
