#pragma once
// Walks the frames of an MP3 (ISO/IEC 11172-3, 13818-3, MPEG 2.5): pure functions on bytes.

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mp3_frame {
    int version; // 10, 20 or 25
    int sample_rate_hz;
    int channels;
    int bitrate_kbps;
    int size_bytes; // header included
    int samples;    // 1152 or 576
    bool has_crc;
};

// Reads the 4 bytes of a layer III header; false if they are none (free format is refused).
bool mp3_frame_parse(const unsigned char header[4], struct mp3_frame *out);

struct mp3_summary {
    int64_t frames;  // audio frames, without the Xing/Info frame
    int64_t samples; // after encoder delay and padding, when the LAME header gives them
    int64_t duration_ms;
    int sample_rate_hz;
    int channels;
    bool has_lame_header;
    int64_t size_bytes;
};

// Reads the file from its start: ID3v2 tag, then frame after frame without a gap to the end.
// INVALID names the offset of the first byte that is no frame, of a change of rate or channels, of
// damaged side information, of main data that begins before the start or inside that of the frame
// before, or that runs past its frame's end; or it tells a count that the Xing header contradicts.
bool mp3_check_file(int fd, struct mp3_summary *out, struct error *err);
