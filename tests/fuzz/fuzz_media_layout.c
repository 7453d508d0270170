// Any bytes as the output of two encoders, whose frames are laid into one stream by turns: no
// crash, and what was laid splits again into the same frames.
//
// Byte 0 says how to cut and whom to take frames from; bit 7 lets headers be as they are, else they
// are put right, so that the damage reaches what lies behind them.

#include "base/buf.h"
#include "media/media_layout.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { FRAMES_LIMIT = 64, OUTPUT_LIMIT_BYTES = 2 * FRAMES_LIMIT * MP3_FRAME_LIMIT_BYTES };

static void put_headers_right(unsigned char *bytes, size_t size)
{
    struct mp3_frame frame;
    unsigned char first[4];
    for (size_t at = 0; at + 4 <= size; at += (size_t)frame.size_bytes) {
        unsigned char *header = bytes + at;
        if (at == 0)
            memcpy(first, header, 4);
        header[0] = 0xff;
        header[1] = (unsigned char)(0xe3 | (first[1] & 0x18));
        header[2] = (unsigned char)((header[2] & 0xf3) | (first[2] & 0x0c));
        header[3] = (unsigned char)((header[3] & 0x3c) | (first[3] & 0xc0));
        if (header[2] >> 4 == 0 || header[2] >> 4 == 15)
            header[2] ^= 0x80;
        if (!mp3_frame_parse(header, &frame))
            return;
    }
}

// Keeps the frames in front of the first damage.
static struct media_frames *split(const unsigned char *bytes, size_t size, size_t piece)
{
    struct media_frames *frames = media_frames_create(FRAMES_LIMIT);
    struct media_failure why = {0};
    bool is_fine = true;
    for (size_t at = 0; at < size && is_fine; at += piece)
        is_fine = media_frames_add(frames, bytes + at, piece < size - at ? piece : size - at, &why);
    is_fine = is_fine && media_frames_finish(frames, &why);
    assert(is_fine || strcmp(why.code, "internal") == 0);
    assert(media_frames_next(frames) - media_frames_first(frames) <= FRAMES_LIMIT);
    return frames;
}

static bool keep(void *context, const unsigned char *bytes, size_t size, struct media_failure *why)
{
    (void)why;
    struct mp3_frame frame;
    assert(size >= 4 && mp3_frame_parse(bytes, &frame) && frame.size_bytes == (int)size);
    assert(buf_append(context, bytes, size));
    return true;
}

// Takes frames by turns, `turn` from each; returns how many the layout took.
static int64_t lay(struct media_frames *const sides[2], int turn, const struct media_frame **taken,
                   struct buf *out)
{
    SCOPED(media_layout_destroy)
    struct media_layout *layout = media_layout_create((struct media_layout_output){keep, out});
    struct media_failure why = {0};
    int64_t at[2] = {0, 0};
    int64_t count = 0;
    bool is_fine = true;
    for (int64_t step = 0; is_fine; step++) {
        int side = step / turn % 2 == 0 ? 0 : 1;
        if (at[side] == media_frames_next(sides[side]))
            side = 1 - side;
        if (at[side] == media_frames_next(sides[side]))
            break;
        taken[count] = media_frames_at(sides[side], at[side]++);
        is_fine = media_layout_add(layout, taken[count], &why);
        count += is_fine ? 1 : 0;
        assert(media_layout_reservoir(layout) <= MP3_RESERVOIR_LIMIT_BYTES);
    }
    assert(is_fine || strcmp(why.code, "internal") == 0);
    assert(media_layout_raised(layout) <= count);
    assert(media_layout_finish(layout, &why));
    return count;
}

static void assert_same_frames(const struct media_frame **taken, int64_t count,
                               const struct buf *out)
{
    SCOPED(media_frames_destroy)
    struct media_frames *again = media_frames_create(2 * FRAMES_LIMIT);
    struct media_failure why;
    assert(media_frames_add(again, (const unsigned char *)out->bytes, out->size, &why));
    assert(media_frames_finish(again, &why));
    assert(media_frames_next(again) == count);
    for (int64_t i = 0; i < count; i++)
        assert(media_frame_is_same(media_frames_at(again, i), taken[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 2)
        return 0;
    static unsigned char copy[1 << 16];
    size_t half = size / 2 < sizeof copy / 2 ? size / 2 : sizeof copy / 2;
    memcpy(copy, bytes + 1, half);
    memcpy(copy + half, bytes + size - half, half);
    if ((bytes[0] & 0x80) == 0) {
        put_headers_right(copy, half);
        memcpy(copy + half, copy, half < 4 ? half : 4);
        put_headers_right(copy + half, half);
    }
    size_t piece = (bytes[0] & 0x40) == 0 ? sizeof copy : 1u + (bytes[0] & 7u);
    SCOPED(media_frames_destroy) struct media_frames *left = split(copy, half, piece);
    SCOPED(media_frames_destroy) struct media_frames *right = split(copy + half, half, piece);
    const struct media_frame *taken[2 * FRAMES_LIMIT + 1];
    SCOPED_BUF struct buf out;
    buf_init(&out, OUTPUT_LIMIT_BYTES);
    int64_t count =
        lay((struct media_frames *const[2]){left, right}, 1 + (bytes[0] >> 3 & 7), taken, &out);
    assert_same_frames(taken, count, &out);
    return 0;
}
