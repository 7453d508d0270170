#pragma once
// One LAME encoder: PCM in, frames out (media_frames.h). Every answer of LAME is checked: out of
// memory must end as a failure, never as a short MP3. Writes no header frame and no tag.

#include "base/scope.h"
#include "media/media_encode.h"
#include "media/media_frames.h"
#include "mp3/mp3_lame_header.h"

#include <stdbool.h>
#include <stddef.h>

struct media_lame;

struct media_lame *media_lame_open(const struct preset *preset, struct media_format format,
                                   struct media_failure *why);
void media_lame_close(struct media_lame *lame);
SCOPE_DEFINE(media_lame_close, struct media_lame *);

// Samples in an MP3 frame: 1152, or 576 below 32 kHz.
int media_lame_frame_samples(struct media_format format);

// The frames that are complete with these samples are added to `out`. For mono both pointers are
// the same.
bool media_lame_encode(struct media_lame *lame, const float *left, const float *right, size_t count,
                       struct media_frames *out, struct media_failure *why);

// The last frames; nothing can be encoded after.
bool media_lame_flush(struct media_lame *lame, struct media_frames *out, struct media_failure *why);

// What the MP3's header tells of the encoder.
struct mp3_lame_facts media_lame_describe(const struct media_lame *lame);
