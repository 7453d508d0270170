#include "mp3/mp3_side_info.h"

#include <assert.h>

enum { HEADER_BYTES = 4, CRC_BYTES = 2, BIG_VALUES_LIMIT = 288 };

// Reads bits from the most significant on; who creates it has checked that they are all there.
struct bits {
    const unsigned char *bytes;
    unsigned position;
};

static unsigned take(struct bits *bits, unsigned count)
{
    unsigned value = 0;
    for (; count > 0; count--, bits->position++)
        value = value << 1 | ((bits->bytes[bits->position / 8] >> (7 - bits->position % 8)) & 1u);
    return value;
}

int mp3_side_info_size(const struct mp3_frame *frame)
{
    if (frame->version == 10)
        return frame->channels == 1 ? 17 : 32;
    return frame->channels == 1 ? 9 : 17;
}

int mp3_side_info_farthest(const struct mp3_frame *frame)
{
    return frame->version == 10 ? MP3_RESERVOIR_LIMIT_BYTES : 255;
}

// One granule of one channel: 59 bits in MPEG-1, 63 in MPEG-2 and 2.5.
static bool take_part(struct bits *bits, bool is_mpeg1, struct mp3_side_info *out)
{
    out->main_data_bits += (int)take(bits, 12);
    if (take(bits, 9) > BIG_VALUES_LIMIT)
        return false;
    bits->position += 8 + (is_mpeg1 ? 4 : 9); // global_gain, scalefac_compress
    unsigned block = MP3_BLOCK_LONG;
    if (take(bits, 1) == 1) {
        block = take(bits, 2);
        if (block == MP3_BLOCK_LONG) // window switching without a switched window
            return false;
        block += take(bits, 1) * MP3_BLOCK_MIXED;
        bits->position += 19; // table_select, subblock_gain
    } else {
        bits->position += 22; // table_select, region counts
    }
    bits->position += is_mpeg1 ? 3 : 2; // preflag, scalefac_scale, count1table_select
    out->blocks[out->parts++] = (unsigned char)block;
    return true;
}

bool mp3_side_info_parse(const struct mp3_frame *frame, const unsigned char *bytes, size_t size,
                         struct mp3_side_info *out)
{
    int start = HEADER_BYTES + (frame->has_crc ? CRC_BYTES : 0);
    struct mp3_side_info info = {.overhead_bytes = start + mp3_side_info_size(frame)};
    if ((size_t)info.overhead_bytes > size || info.overhead_bytes > frame->size_bytes)
        return false;
    struct bits bits = {.bytes = bytes + start};
    bool is_mpeg1 = frame->version == 10;
    unsigned channels = (unsigned)frame->channels;
    info.main_data_begin = (int)take(&bits, is_mpeg1 ? 9 : 8);
    // private bits, and for MPEG-1 four bits a channel: scale factors shared by both granules
    bits.position += is_mpeg1 ? (channels == 1 ? 5 : 3) + 4 * channels : channels;
    for (unsigned part = 0; part < channels * (is_mpeg1 ? 2 : 1); part++)
        if (!take_part(&bits, is_mpeg1, &info))
            return false;
    assert(bits.position == 8u * (unsigned)mp3_side_info_size(frame));
    *out = info;
    return true;
}

void mp3_side_info_set_begin(const struct mp3_frame *frame, unsigned char *bytes,
                             int main_data_begin)
{
    assert(main_data_begin >= 0 && main_data_begin <= mp3_side_info_farthest(frame));
    unsigned char *at = bytes + HEADER_BYTES + (frame->has_crc ? CRC_BYTES : 0);
    if (frame->version == 10) {
        at[0] = (unsigned char)(main_data_begin >> 1);
        at[1] = (unsigned char)((at[1] & 0x7f) | (main_data_begin & 1) << 7);
    } else {
        at[0] = (unsigned char)main_data_begin;
    }
}
