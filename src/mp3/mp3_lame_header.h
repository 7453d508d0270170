#pragma once
// The header frame of an MP3: Xing (VBR) or Info (CBR) with LAME's extension, from which players
// learn the length, where to seek, and which samples to leave out at both ends. It stands in front
// of the first audio frame and is known only behind the last one, so room is left for it.
//
// Source: "mp3 info tag rev 1", http://gabriel.mp3-tech.org/mp3infotag.html, and LAME 3.100, whose
// own frame this one equals to the byte, but for the seek table and with it the tag's CRC. (LAME's
// table adds up bit rates and forgets padding and the header frame; this one has byte offsets.) At
// constant rates so low that the header does not fit, LAME writes none; here its frame is larger.

#include "mp3/mp3_frames.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MP3_LAME_VERSION_BYTES = 9,
    MP3_LAME_POINTS = 1024,
};

// What the encoder was told to do.
struct mp3_lame_facts {
    char version[MP3_LAME_VERSION_BYTES + 1]; // "LAME3.100"
    bool is_constant;                         // else VBR as LAME does it by default
    int bitrate_kbps;                         // constant; for VBR the lowest that it may choose
    int quality;                              // 100 best, 0 worst: 100 - 10 V - q
    int lowpass_hz;
    int ath_type;
    int noise_shaping;
    bool has_safe_joint;
    int preset; // LAME's number of it: 8 to 320 kbit/s, 410 (V9) to 500 (V0)
    int delay;  // samples that the encoder puts in front
};

// What the header tells of the frames that it stands in front of. Start with zeros.
struct mp3_lame_count {
    int64_t frames;
    int64_t bytes;
    uint16_t crc;
    unsigned char last_header[4];
    int64_t points[MP3_LAME_POINTS]; // where frames 0, stride, 2 * stride … begin
    int point_count;
    int64_t stride;
};

// A whole frame, in order.
void mp3_lame_header_note_frame(struct mp3_lame_count *count, const unsigned char *bytes,
                                size_t size);

// Bytes of the header frame for a stream of this rate, at most MP3_FRAME_LIMIT_BYTES; 0 if MP3 does
// not have the rate. `constant_kbps` is 0 for VBR.
size_t mp3_lame_header_size(int rate_hz, int channels, int constant_kbps);

// Writes the header of `samples` samples a channel in the counted frames, of which there must be at
// least one. Returns the frame's size, which is what mp3_lame_header_size() told; 0 when the frames
// cannot be of so many samples (more than fit, or 4,095 fewer).
size_t mp3_lame_header_write(const struct mp3_lame_facts *facts, const struct mp3_lame_count *count,
                             int64_t samples, unsigned char *out);
