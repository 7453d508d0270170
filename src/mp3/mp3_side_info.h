#pragma once
// The side information of a layer III frame (ISO/IEC 11172-3 2.4.1.7, 13818-3 2.4.1.7): where the
// frame's main data begins, how long it is, and which blocks it was made of. Decodes nothing.

#include "mp3/mp3_frames.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    MP3_FRAME_LIMIT_BYTES = 1441, // 320 kbit/s at 32 kHz, or 160 kbit/s at 8 kHz, and the padding
    MP3_RESERVOIR_LIMIT_BYTES = 511, // MPEG-1: main_data_begin has 9 bits; 8 in MPEG-2 and 2.5
    MP3_MAIN_DATA_LIMIT_BYTES = MP3_RESERVOIR_LIMIT_BYTES + MP3_FRAME_LIMIT_BYTES,
    MP3_PARTS = 4, // 2 granules of 2 channels
};

enum mp3_block {
    MP3_BLOCK_LONG,
    MP3_BLOCK_START,
    MP3_BLOCK_SHORT,
    MP3_BLOCK_STOP,
    MP3_BLOCK_MIXED = 4, // added to one of the others
};

struct mp3_side_info {
    int overhead_bytes;  // header, CRC word and side information: the main data's room lies behind
    int main_data_begin; // the main data begins so many bytes before that room, headers not counted
    int main_data_bits;
    int parts;                       // granules times channels
    unsigned char blocks[MP3_PARTS]; // enum mp3_block of granule 0's channels, then granule 1's
};

// Bytes of the side information alone: 9, 17 or 32.
int mp3_side_info_size(const struct mp3_frame *frame);

// The farthest that main_data_begin can point back.
int mp3_side_info_farthest(const struct mp3_frame *frame);

// `bytes` is the frame from its header on, as far as it is there. False when that is less than the
// side information, when the frame has no room for it, or when it holds what the standard forbids.
// Whether the main data is there, only who saw the frames before can tell.
bool mp3_side_info_parse(const struct mp3_frame *frame, const unsigned char *bytes, size_t size,
                         struct mp3_side_info *out);

// Changes main_data_begin of a frame that was parsed. A CRC word is not made right.
void mp3_side_info_set_begin(const struct mp3_frame *frame, unsigned char *bytes,
                             int main_data_begin);
