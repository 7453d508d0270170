#include "media/media_frames.h"

#include "base/alloc.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

struct media_frames {
    struct media_frame **ring; // frame n is at n % limit
    size_t limit;
    int64_t first;
    int64_t next;
    unsigned char partial[MP3_FRAME_LIMIT_BYTES]; // the frame that is still coming
    size_t partial_size;
    struct mp3_frame shape;  // of the frame that is coming, once its header is there
    struct mp3_frame stream; // of the first frame
    bool is_broken;
    // Main data of earlier frames that no frame has used yet: the newest, as far back as a frame
    // can point.
    unsigned char reservoir[MP3_RESERVOIR_LIMIT_BYTES];
    size_t reservoir_size;
};

struct media_frames *media_frames_create(size_t limit)
{
    assert(limit > 0);
    struct media_frames *frames = alloc_zeroed(1, sizeof *frames);
    frames->limit = limit;
    frames->ring = alloc_zeroed(limit, sizeof(void *));
    return frames;
}

void media_frames_destroy(struct media_frames *frames)
{
    if (frames == NULL)
        return;
    media_frames_drop(frames, frames->next);
    free(frames->ring);
    free(frames);
}

static bool fail(struct media_frames *frames, const char *what, struct media_failure *why)
{
    frames->is_broken = true;
    return media_fail(why, "internal", "The MP3 encoder's frame %" PRId64 " %s.", frames->next,
                      what);
}

static bool begin_frame(struct media_frames *frames, struct media_failure *why)
{
    struct mp3_frame *shape = &frames->shape;
    if (!mp3_frame_parse(frames->partial, shape))
        return fail(frames, "has no valid header", why);
    if (shape->has_crc)
        return fail(frames, "has a CRC word", why);
    if (frames->stream.version == 0)
        frames->stream = *shape;
    if (shape->version != frames->stream.version || shape->channels != frames->stream.channels ||
        shape->sample_rate_hz != frames->stream.sample_rate_hz)
        return fail(frames, "is of another stream", why);
    return true;
}

static void clear_bits_behind(unsigned char *bytes, int bits)
{
    if (bits % 8 != 0)
        bytes[bits / 8] &= (unsigned char)(0xff << (8 - bits % 8));
}

// The newest bytes of `old` and `new`, as many as a later frame can point back to.
static void keep_reservoir(struct media_frames *frames, size_t used_of_old,
                           const unsigned char *new_bytes, size_t new_size)
{
    size_t farthest = (size_t)mp3_side_info_farthest(&frames->shape);
    if (new_size > farthest) {
        new_bytes += new_size - farthest;
        new_size = farthest;
    }
    size_t old_size = frames->reservoir_size - used_of_old;
    if (old_size > farthest - new_size)
        old_size = farthest - new_size;
    memmove(frames->reservoir, frames->reservoir + frames->reservoir_size - old_size, old_size);
    memcpy(frames->reservoir + old_size, new_bytes, new_size);
    frames->reservoir_size = old_size + new_size;
}

static bool end_frame(struct media_frames *frames, struct media_failure *why)
{
    size_t size = (size_t)frames->shape.size_bytes;
    struct mp3_side_info side;
    if (!mp3_side_info_parse(&frames->shape, frames->partial, size, &side))
        return fail(frames, "has damaged side information", why);
    size_t overhead = (size_t)side.overhead_bytes;
    size_t begin = (size_t)side.main_data_begin;
    size_t main_size = (size_t)(side.main_data_bits + 7) / 8;
    if (begin > frames->reservoir_size)
        return fail(frames, "uses data of an earlier one", why);
    if (main_size > begin + size - overhead)
        return fail(frames, "is too small for its data", why);
    if (frames->next - frames->first == (int64_t)frames->limit)
        return fail(frames, "is one too many", why);

    struct media_frame *frame = alloc_zeroed(1, sizeof *frame + overhead + main_size);
    frame->main_data_begin = (uint16_t)begin;
    frame->main_size = (uint16_t)main_size;
    frame->overhead_size = (unsigned char)overhead;
    frame->parts = (unsigned char)side.parts;
    memcpy(frame->blocks, side.blocks, sizeof frame->blocks);
    memcpy(frame->bytes, frames->partial, overhead);
    size_t from_reservoir = main_size < begin ? main_size : begin;
    size_t from_own = main_size - from_reservoir;
    size_t used = frames->reservoir_size - begin + from_reservoir;
    unsigned char *main_data = frame->bytes + overhead;
    memcpy(main_data, frames->reservoir + frames->reservoir_size - begin, from_reservoir);
    memcpy(main_data + from_reservoir, frames->partial + overhead, from_own);
    clear_bits_behind(main_data, side.main_data_bits);
    keep_reservoir(frames, used, frames->partial + overhead + from_own, size - overhead - from_own);
    frames->ring[frames->next % (int64_t)frames->limit] = frame;
    frames->next++;
    frames->partial_size = 0;
    return true;
}

bool media_frames_add(struct media_frames *frames, const unsigned char *bytes, size_t size,
                      struct media_failure *why)
{
    if (frames->is_broken)
        return fail(frames, "follows a broken one", why);
    while (size > 0) {
        bool is_header = frames->partial_size < 4;
        size_t wanted = is_header ? 4 : (size_t)frames->shape.size_bytes;
        assert(wanted <= sizeof frames->partial);
        size_t missing = wanted - frames->partial_size;
        size_t count = size < missing ? size : missing;
        memcpy(frames->partial + frames->partial_size, bytes, count);
        frames->partial_size += count;
        bytes += count;
        size -= count;
        if (frames->partial_size == wanted &&
            !(is_header ? begin_frame(frames, why) : end_frame(frames, why)))
            return false;
    }
    return true;
}

bool media_frames_finish(struct media_frames *frames, struct media_failure *why)
{
    if (frames->is_broken)
        return fail(frames, "follows a broken one", why);
    return frames->partial_size == 0 || fail(frames, "is cut", why);
}

int64_t media_frames_first(const struct media_frames *frames)
{
    return frames->first;
}

int64_t media_frames_next(const struct media_frames *frames)
{
    return frames->next;
}

const struct media_frame *media_frames_at(const struct media_frames *frames, int64_t index)
{
    assert(index >= frames->first && index < frames->next);
    return frames->ring[index % (int64_t)frames->limit];
}

void media_frames_drop(struct media_frames *frames, int64_t index)
{
    for (; frames->first < index && frames->first < frames->next; frames->first++) {
        struct media_frame **frame = &frames->ring[frames->first % (int64_t)frames->limit];
        free(*frame);
        *frame = NULL;
    }
}

bool media_frame_has_same_blocks(const struct media_frame *a, const struct media_frame *b)
{
    return a->parts == b->parts && memcmp(a->blocks, b->blocks, a->parts) == 0;
}

bool media_frame_is_same(const struct media_frame *a, const struct media_frame *b)
{
    enum { HEADER_BYTES = 4, BIT_RATE_AND_PADDING = 0xf2, VERSION = 0x18, MPEG1 = 0x18 };
    if (a->overhead_size != b->overhead_size || a->main_size != b->main_size ||
        a->bytes[0] != b->bytes[0] || a->bytes[1] != b->bytes[1] || a->bytes[3] != b->bytes[3] ||
        ((a->bytes[2] ^ b->bytes[2]) & ~BIT_RATE_AND_PADDING) != 0)
        return false;
    // main_data_begin: the first 8 bits of the side information, in MPEG-1 9
    bool is_mpeg1 = (a->bytes[1] & VERSION) == MPEG1;
    size_t at = HEADER_BYTES + 1;
    if (is_mpeg1 && ((a->bytes[at] ^ b->bytes[at]) & 0x7f) != 0)
        return false;
    at += is_mpeg1 ? 1 : 0;
    return memcmp(a->bytes + at, b->bytes + at, a->overhead_size + a->main_size - at) == 0;
}
