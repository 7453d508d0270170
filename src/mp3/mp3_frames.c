// Checks an MP3 that came out of the confined child, byte after byte, before it is believed:
// strict, with a fixed window of memory, and without decoding anything.
#include "mp3/mp3_frames.h"

#include "base/alloc.h"
#include "base/file.h"
#include "mp3/mp3_side_info.h"

#include <inttypes.h>
#include <string.h>

enum { WINDOW_BYTES = 65536, HEADER_BYTES = 4, ID3_HEADER_BYTES = 10 };

bool mp3_frame_parse(const unsigned char header[4], struct mp3_frame *out)
{
    static const int bitrates_mpeg1[16] = {0,   32,  40,  48,  56,  64,  80, 96,
                                           112, 128, 160, 192, 224, 256, 320};
    static const int bitrates_mpeg2[16] = {0,  8,  16, 24,  32,  40,  48, 56,
                                           64, 80, 96, 112, 128, 144, 160};
    static const int rates_mpeg1[3] = {44100, 48000, 32000};
    static const int versions[4] = {25, 0, 20, 10};

    int version = versions[(header[1] >> 3) & 3];
    int bitrate_index = header[2] >> 4;
    int rate_index = (header[2] >> 2) & 3;
    bool is_layer3 = ((header[1] >> 1) & 3) == 1;
    if (header[0] != 0xff || (header[1] & 0xe0) != 0xe0 || version == 0 || !is_layer3)
        return false;
    if (bitrate_index == 0 || bitrate_index == 15 || rate_index == 3 || (header[3] & 3) == 2)
        return false;

    struct mp3_frame frame = {.version = version};
    bool is_mpeg1 = version == 10;
    int divisor = is_mpeg1 ? 1 : version == 20 ? 2 : 4;
    frame.sample_rate_hz = rates_mpeg1[rate_index] / divisor;
    frame.bitrate_kbps = is_mpeg1 ? bitrates_mpeg1[bitrate_index] : bitrates_mpeg2[bitrate_index];
    frame.channels = (header[3] >> 6) == 3 ? 1 : 2;
    frame.samples = is_mpeg1 ? 1152 : 576;
    frame.has_crc = (header[1] & 1) == 0;
    int padding = (header[2] >> 1) & 1;
    frame.size_bytes =
        frame.samples / 8 * 1000 * frame.bitrate_kbps / frame.sample_rate_hz + padding;
    *out = frame;
    return true;
}

// A window that slides over the file, so that its length costs no memory.
struct window {
    int fd;
    unsigned char *bytes;
    size_t size;
    int64_t start;
};

// NULL on failure with the error set; `*out_size` may be less than wanted only at the file's end.
static const unsigned char *window_at(struct window *window, int64_t offset, size_t wanted,
                                      size_t *out_size, struct error *err)
{
    int64_t end = window->start + (int64_t)window->size;
    if (offset < window->start || offset + (int64_t)wanted > end) {
        ssize_t got = file_read_at(window->fd, window->bytes, WINDOW_BYTES, offset, err);
        if (got < 0)
            return NULL;
        window->start = offset;
        window->size = (size_t)got;
        end = offset + got;
    }
    size_t available = (size_t)(end - offset);
    *out_size = available < wanted ? available : wanted;
    return window->bytes + (offset - window->start);
}

static uint32_t big_endian_32(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

struct xing {
    bool is_present;
    bool has_frames;
    uint32_t frames;
    bool has_lame;
    int delay;
    int padding;
};

// The Xing/Info frame with LAME's extension: http://gabriel.mp3-tech.org/mp3infotag.html
static struct xing parse_xing(const unsigned char *bytes, const struct mp3_frame *frame)
{
    enum { HAS_FRAMES = 1, HAS_BYTES = 2, HAS_TABLE = 4, HAS_QUALITY = 8 };
    struct xing xing = {0};
    size_t at = HEADER_BYTES + (size_t)mp3_side_info_size(frame);
    size_t size = (size_t)frame->size_bytes;
    if (at + 8 > size || (memcmp(bytes + at, "Xing", 4) != 0 && memcmp(bytes + at, "Info", 4) != 0))
        return xing;
    xing.is_present = true;
    uint32_t flags = big_endian_32(bytes + at + 4);
    at += 8;
    if ((flags & HAS_FRAMES) != 0 && at + 4 <= size) {
        xing.has_frames = true;
        xing.frames = big_endian_32(bytes + at);
        at += 4;
    }
    at += ((flags & HAS_BYTES) != 0 ? 4 : 0) + ((flags & HAS_TABLE) != 0 ? 100 : 0) +
          ((flags & HAS_QUALITY) != 0 ? 4 : 0);
    if (at + 24 > size || (memcmp(bytes + at, "LAME", 4) != 0 && memcmp(bytes + at, "Lav", 3) != 0))
        return xing;
    xing.has_lame = true;
    xing.delay = bytes[at + 21] << 4 | bytes[at + 22] >> 4;
    xing.padding = (bytes[at + 22] & 15) << 8 | bytes[at + 23];
    return xing;
}

struct walk {
    struct mp3_frame first;
    int64_t offset;
    int64_t frames;
    int64_t unused_bytes; // behind the end of the last main data: where the next may begin
};

// Main data lies one behind the other: it begins neither in front of the first frame nor inside
// that of the frame before, and ends in its own frame.
static bool check_main_data(const unsigned char *bytes, const struct mp3_frame *frame,
                            struct walk *walk, struct error *err)
{
    struct mp3_side_info side;
    if (!mp3_side_info_parse(frame, bytes, (size_t)frame->size_bytes, &side))
        return error_set(err, ERROR_INVALID,
                         "byte %" PRId64 ": a frame with damaged side information", walk->offset);
    if (side.main_data_begin > walk->unused_bytes)
        return error_set(err, ERROR_INVALID,
                         "byte %" PRId64 ": the frame's data begins before what is there",
                         walk->offset);
    int room = side.main_data_begin + frame->size_bytes - side.overhead_bytes;
    int left = room - (side.main_data_bits + 7) / 8;
    if (left < 0)
        return error_set(err, ERROR_INVALID,
                         "byte %" PRId64 ": the frame's data is longer than its room",
                         walk->offset);
    walk->unused_bytes = left;
    return true;
}

static bool skip_id3(struct window *window, int64_t *offset, struct error *err)
{
    size_t size;
    const unsigned char *at = window_at(window, 0, ID3_HEADER_BYTES, &size, err);
    if (at == NULL)
        return false;
    if (size < ID3_HEADER_BYTES || memcmp(at, "ID3", 3) != 0)
        return true;
    if (at[3] == 0xff || at[4] == 0xff || ((at[6] | at[7] | at[8] | at[9]) & 0x80) != 0)
        return error_set(err, ERROR_INVALID, "byte 0: a malformed ID3 tag");
    int64_t tag_bytes = at[6] << 21 | at[7] << 14 | at[8] << 7 | at[9];
    bool has_footer = at[3] >= 4 && (at[5] & 0x10) != 0;
    *offset = ID3_HEADER_BYTES + tag_bytes + (has_footer ? ID3_HEADER_BYTES : 0);
    return true;
}

// One step: 1 a frame, 0 the end of the file, -1 no frame. `*bytes` is valid until the next step.
static int next_frame(struct window *window, const struct walk *walk, struct mp3_frame *frame,
                      const unsigned char **bytes, struct error *err)
{
    size_t size;
    *bytes = window_at(window, walk->offset, HEADER_BYTES, &size, err);
    if (*bytes == NULL)
        return -1;
    if (size == 0)
        return 0;
    if (size < HEADER_BYTES || !mp3_frame_parse(*bytes, frame)) {
        error_set(err, ERROR_INVALID, "byte %" PRId64 ": not an MP3 frame", walk->offset);
        return -1;
    }
    size_t wanted = (size_t)frame->size_bytes;
    *bytes = window_at(window, walk->offset, wanted, &size, err);
    if (*bytes == NULL)
        return -1;
    if (size < wanted) {
        error_set(err, ERROR_INVALID, "byte %" PRId64 ": the last frame is cut", walk->offset);
        return -1;
    }
    return 1;
}

static bool is_same_stream(const struct mp3_frame *a, const struct mp3_frame *b)
{
    return a->version == b->version && a->sample_rate_hz == b->sample_rate_hz &&
           a->channels == b->channels;
}

static bool walk_frames(struct window *window, struct walk *walk, struct xing *xing,
                        struct error *err)
{
    for (bool is_first = true;; is_first = false) {
        struct mp3_frame frame;
        const unsigned char *bytes;
        int step = next_frame(window, walk, &frame, &bytes, err);
        if (step <= 0)
            return step == 0;
        if (is_first) {
            walk->first = frame;
            *xing = parse_xing(bytes, &frame);
        }
        if (!is_same_stream(&frame, &walk->first))
            return error_set(err, ERROR_INVALID, "byte %" PRId64 ": the rate or channels change",
                             walk->offset);
        bool is_audio = !is_first || !xing->is_present;
        if (is_audio && !check_main_data(bytes, &frame, walk, err))
            return false;
        walk->frames += is_audio ? 1 : 0;
        walk->offset += frame.size_bytes;
    }
}

static bool summarise(const struct walk *walk, const struct xing *xing, struct mp3_summary *out,
                      struct error *err)
{
    if (walk->frames == 0)
        return error_set(err, ERROR_INVALID, "there is no MP3 frame");
    if (xing->has_frames && xing->frames != walk->frames)
        return error_set(err, ERROR_INVALID,
                         "%" PRId64 " frames, but the header announces %" PRIu32, walk->frames,
                         xing->frames);
    int64_t samples = walk->frames * walk->first.samples;
    if (xing->has_lame)
        samples -= xing->delay + xing->padding;
    if (samples < 0)
        samples = 0;
    int rate_hz = walk->first.sample_rate_hz;
    *out = (struct mp3_summary){.frames = walk->frames,
                                .samples = samples,
                                .duration_ms = (samples * 1000 + rate_hz / 2) / rate_hz,
                                .sample_rate_hz = rate_hz,
                                .channels = walk->first.channels,
                                .has_lame_header = xing->has_lame,
                                .size_bytes = walk->offset};
    return true;
}

bool mp3_check_file(int fd, struct mp3_summary *out, struct error *err)
{
    SCOPED(free) unsigned char *bytes = alloc_zeroed(1, WINDOW_BYTES);
    struct window window = {.fd = fd, .bytes = bytes};
    struct walk walk = {0};
    struct xing xing = {0};
    return skip_id3(&window, &walk.offset, err) && walk_frames(&window, &walk, &xing, err) &&
           summarise(&walk, &xing, out, err);
}
