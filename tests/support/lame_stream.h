#pragma once
// MP3 made by LAME itself, of every rate and setting, and what a decoder hears in it.

#include "base/buf.h"
#include "media/media_frames.h"

#include <lame/lame.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lame_setting {
    int rate_hz;
    int channels;
    int bitrate_kbps; // 0: variable, with `quality`
    int quality;
};

// Walks rates 8 to 48 kHz, mono and joint stereo, V0 V2 V5 V9 and constant rates from the lowest
// to the highest; false at the end.
bool lame_stream_setting(size_t index, struct lame_setting *out);
const char *lame_stream_name(const struct lame_setting *setting);

// An encoder that is set up for it.
lame_t lame_stream_open(const struct lame_setting *setting, bool has_header);

// Encodes sound that has silence, tones, noise and clicks, from sample `start` of it on. `header`
// gets LAME's own header frame (none at low constant rates) and `bytes` starts behind the room for
// it; with NULL no header is made.
void lame_stream_encode(const struct lame_setting *setting, int64_t start, int64_t samples,
                        struct buf *bytes, struct buf *header);

// All frames of a stream that is given in pieces; a damaged one fails the test.
struct media_frames *lame_stream_split(const struct buf *bytes, size_t piece);

// Decodes MP3 frames with libavcodec, each as a packet: float samples, channel after channel,
// frame after frame.
void lame_stream_decode(const unsigned char *bytes, size_t size, struct buf *samples);
