#include "mp3/mp3_lame_header.h"

#include "mp3/mp3_side_info.h"

#include <assert.h>
#include <string.h>

enum {
    HEADER_BYTES = 4,
    SEEK_ENTRIES = 100,
    XING_BYTES = 4 + 4 + 4 + 4 + SEEK_ENTRIES + 4,
    LAME_BYTES = 36,
    HAS_FRAMES_BYTES_TABLE_AND_QUALITY = 15,
    NSPSYTUNE = 0x10, // LAME's psychoacoustic model, of which there is one only by now
};

static uint16_t crc_16(uint16_t crc, const unsigned char *bytes, size_t size)
{
    // polynomial x^16 + x^15 + x^2 + 1, the lowest bit first
    static const uint16_t of_nibble[16] = {0x0000, 0xcc01, 0xd801, 0x1400, 0xf001, 0x3c00,
                                           0x2800, 0xe401, 0xa001, 0x6c00, 0x7800, 0xb401,
                                           0x5000, 0x9c01, 0x8801, 0x4400};
    for (size_t i = 0; i < size; i++) {
        crc = (uint16_t)(crc >> 4 ^ of_nibble[(crc ^ bytes[i]) & 15]);
        crc = (uint16_t)(crc >> 4 ^ of_nibble[(crc ^ bytes[i] >> 4) & 15]);
    }
    return crc;
}

// Where each frame begins is kept for every first, then every second, every fourth … frame: enough
// for the table, however long the stream.
static void note_point(struct mp3_lame_count *count)
{
    if (count->stride == 0)
        count->stride = 1;
    if (count->frames % count->stride != 0)
        return;
    if (count->point_count == MP3_LAME_POINTS) {
        for (size_t i = 0; i < MP3_LAME_POINTS / 2; i++)
            count->points[i] = count->points[2 * i];
        count->point_count = MP3_LAME_POINTS / 2;
        count->stride *= 2;
    }
    count->points[count->point_count++] = count->bytes;
}

void mp3_lame_header_note_frame(struct mp3_lame_count *count, const unsigned char *bytes,
                                size_t size)
{
    assert(size >= HEADER_BYTES);
    note_point(count);
    memcpy(count->last_header, bytes, HEADER_BYTES);
    count->frames++;
    count->bytes += (int64_t)size;
    count->crc = crc_16(count->crc, bytes, size);
}

// The least bit rate at which the header fits, from what LAME takes on.
static bool choose_frame(unsigned char header[4], int constant_kbps, struct mp3_frame *out)
{
    for (int index = 1; index < 15; index++) {
        header[2] = (unsigned char)(index << 4 | (header[2] & 0x0d));
        if (!mp3_frame_parse(header, out))
            return false;
        int wanted_kbps = out->version == 10 ? 128 : out->version == 20 ? 64 : 32;
        if (constant_kbps > 0)
            wanted_kbps = constant_kbps;
        int needed = HEADER_BYTES + mp3_side_info_size(out) + XING_BYTES + LAME_BYTES;
        if (out->bitrate_kbps >= wanted_kbps && out->size_bytes >= needed)
            return true;
    }
    return false;
}

size_t mp3_lame_header_size(int rate_hz, int channels, int constant_kbps)
{
    static const unsigned char versions[] = {0xfb, 0xf3, 0xe3};
    for (int i = 0; i < 9; i++) {
        unsigned char header[4] = {0xff, versions[i / 3], (unsigned char)(i % 3 << 2),
                                   channels == 1 ? 0xc0 : 0x40};
        struct mp3_frame frame;
        if (choose_frame(header, constant_kbps, &frame) && frame.sample_rate_hz == rate_hz)
            return (size_t)frame.size_bytes;
    }
    return 0;
}

static unsigned char *put(unsigned char *at, int64_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        *at++ = (unsigned char)(value >> (8 * i));
    return at;
}

static int64_t at_most(int64_t value, int64_t most)
{
    return value < most ? value : most;
}

// Where the frame begins, counted from the first one; between two points, as if all frames there
// were of the same size.
static int64_t frame_offset(const struct mp3_lame_count *count, int64_t frame)
{
    int64_t point = frame / count->stride;
    assert(point < count->point_count);
    bool is_last = point + 1 == count->point_count;
    int64_t next_frame = is_last ? count->frames : (point + 1) * count->stride;
    int64_t next_offset = is_last ? count->bytes : count->points[point + 1];
    int64_t first_frame = point * count->stride;
    return count->points[point] + (next_offset - count->points[point]) * (frame - first_frame) /
                                      (next_frame - first_frame);
}

static unsigned char *put_xing(unsigned char *at, const struct mp3_lame_facts *facts,
                               const struct mp3_lame_count *count, int64_t header_bytes)
{
    int64_t bytes = header_bytes + count->bytes;
    memcpy(at, facts->is_constant ? "Info" : "Xing", 4);
    at = put(at + 4, HAS_FRAMES_BYTES_TABLE_AND_QUALITY, 4);
    at = put(at, at_most(count->frames, UINT32_MAX), 4);
    at = put(at, at_most(bytes, UINT32_MAX), 4);
    *at++ = 0; // the very beginning, header frame and all
    for (int percent = 1; percent < SEEK_ENTRIES; percent++) {
        int64_t offset = header_bytes + frame_offset(count, percent * count->frames / 100);
        *at++ = (unsigned char)(256 * offset / bytes);
    }
    return put(at, facts->quality, 4);
}

static int misc(const struct mp3_lame_facts *facts, const struct mp3_frame *frame)
{
    int stereo = frame->channels == 1 ? 0 : 3; // joint stereo
    int rate_hz = frame->sample_rate_hz;
    int source = rate_hz <= 32000 ? 0 : rate_hz == 44100 ? 1 : 2;
    int is_unwise = source == 0; // LAME finds that such a rate is not the best choice
    return facts->noise_shaping | stereo << 2 | is_unwise << 5 | source << 6;
}

static unsigned char *put_lame(unsigned char *at, const struct mp3_lame_facts *facts,
                               const struct mp3_frame *frame, int padding)
{
    enum { CONSTANT = 1, VARIABLE = 4 };
    memcpy(at, facts->version, MP3_LAME_VERSION_BYTES);
    at += MP3_LAME_VERSION_BYTES;
    at = put(at, facts->is_constant ? CONSTANT : VARIABLE, 1);
    at = put(at, at_most((facts->lowpass_hz + 50) / 100, 255), 1);
    at = put(at, 0, 4 + 2 + 2); // peak and gains: not measured
    at = put(at, facts->ath_type | NSPSYTUNE | facts->has_safe_joint << 5, 1);
    at = put(at, at_most(facts->bitrate_kbps, 255), 1);
    at = put(at, facts->delay << 12 | padding, 3);
    at = put(at, misc(facts, frame), 1);
    at = put(at, 0, 1); // the gain was not changed
    return put(at, facts->preset, 2);
}

size_t mp3_lame_header_write(const struct mp3_lame_facts *facts, const struct mp3_lame_count *count,
                             int64_t samples, unsigned char *out)
{
    enum { TWELVE_BITS = 4095 };
    assert(count->frames > 0 && facts->delay >= 0 && facts->delay <= TWELVE_BITS);
    unsigned char header[4];
    memcpy(header, count->last_header, sizeof header);
    struct mp3_frame frame;
    if (!choose_frame(header, facts->is_constant ? facts->bitrate_kbps : 0, &frame))
        return 0;
    int64_t padding = count->frames * frame.samples - facts->delay - samples;
    if (padding < 0 || padding > TWELVE_BITS)
        return 0;
    size_t size = (size_t)frame.size_bytes;
    memset(out, 0, size);
    memcpy(out, header, sizeof header);
    unsigned char *at = out + HEADER_BYTES + mp3_side_info_size(&frame);
    at = put_xing(at, facts, count, frame.size_bytes);
    at = put_lame(at, facts, &frame, (int)padding);
    at = put(at, at_most(frame.size_bytes + count->bytes, UINT32_MAX), 4);
    at = put(at, count->crc, 2);
    put(at, crc_16(0, out, (size_t)(at - out)), 2);
    return size;
}
