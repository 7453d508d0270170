#pragma once
// PCM to MP3 with LAME, onto a seekable descriptor, on as many threads as are given. The bytes
// depend on the samples and the settings only (media_segments.h). The LAME header (delay, padding,
// seek table) goes in last, over the room that was left for it.

#include "base/scope.h"
#include "media/media_failure.h"
#include "protocol/preset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct media_encoder;

struct media_format {
    int rate_hz;
    int channels; // 1 or 2
};

// The MP3's rate and channels for a source under a preset: the source's own where MP3 has them.
struct media_format media_encode_format(const struct preset *preset, int rate_hz, int channels);

// Starts the threads that will encode, and parks them: a confined process cannot start any. At
// least 1. NULL on failure.
struct media_encoder *media_encoder_create(int threads, struct media_failure *why);
void media_encoder_close(struct media_encoder *encoder);
SCOPE_DEFINE(media_encoder_close, struct media_encoder *);

// Once an encoder. Borrows the descriptor; writes `tag` at its start and the MP3 behind it.
bool media_encoder_begin(struct media_encoder *encoder, int fd, const struct preset *preset,
                         struct media_format format, const void *tag, size_t tag_size,
                         struct media_failure *why);

// `count` samples a channel in [-1, 1] or not far beyond, all of them numbers: LAME must not see
// others. For mono both pointers are the same.
bool media_encoder_write(struct media_encoder *encoder, const float *left, const float *right,
                         size_t count, struct media_failure *why);

// Flushes and writes the LAME header; the MP3 is complete then.
bool media_encoder_finish(struct media_encoder *encoder, struct media_failure *why);

// Samples a channel that were written so far.
int64_t media_encoder_samples(const struct media_encoder *encoder);

// ---- for tests and measurements ----

struct media_rules;
struct media_segments_result;

// With segments of another length, for sounds of a few seconds.
struct media_encoder *media_encoder_create_with(int threads, const struct media_rules *rules,
                                                struct media_failure *why);

// Once it is finished.
const struct media_segments_result *media_encoder_result(const struct media_encoder *encoder);
