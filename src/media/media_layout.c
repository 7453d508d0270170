#include "media/media_layout.h"

#include "base/alloc.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum {
    HIGHEST_BITRATE_INDEX = 14,
    // What a decoder must be able to hold for a granule, as LAME counts it: the frame, and the
    // reservoir that it leaves. It bounds frames of the highest bit rates at 32 and 16 kHz only.
    GRANULE_BYTES = 960,
    // Frames that wait have room for at least 3 bytes each (8 kbit/s at 24 kHz, stereo), together
    // for the reservoir and one frame.
    WAITING_FRAMES = 128,
    WAITING_BYTES = 2 * MP3_FRAME_LIMIT_BYTES + MP3_RESERVOIR_LIMIT_BYTES + WAITING_FRAMES * 36,
};

struct waiting {
    size_t size;
    size_t filled; // header and side information, and the main data laid into it so far
};

struct media_layout {
    struct media_layout_output output;
    struct mp3_frame stream; // the first frame
    int64_t frames;
    int64_t raised;
    bool is_finished;
    // Frames that are not full yet, oldest first, one behind the other in `bytes`. Main data goes
    // into the oldest free byte, so that only the first can be filled in part.
    struct waiting waiting[WAITING_FRAMES];
    size_t count;
    unsigned char bytes[WAITING_BYTES];
    size_t size;
    size_t reservoir; // free bytes of all
};

struct media_layout *media_layout_create(struct media_layout_output output)
{
    struct media_layout *layout = alloc_zeroed(1, sizeof *layout);
    layout->output = output;
    return layout;
}

void media_layout_destroy(struct media_layout *layout)
{
    free(layout);
}

int media_layout_reservoir(const struct media_layout *layout)
{
    return (int)layout->reservoir;
}

int64_t media_layout_raised(const struct media_layout *layout)
{
    return layout->raised;
}

static bool fail(const struct media_layout *layout, const char *what, struct media_failure *why)
{
    return media_fail(why, "internal", "Frame %" PRId64 " of the MP3 %s.", layout->frames, what);
}

// Fills the oldest free bytes: with main data, or with zeros where `bytes` is NULL.
static void fill(struct media_layout *layout, const unsigned char *bytes, size_t size)
{
    assert(size <= layout->reservoir);
    layout->reservoir -= size;
    size_t start = 0;
    for (size_t i = 0; size > 0; start += layout->waiting[i++].size) {
        struct waiting *frame = &layout->waiting[i];
        size_t room = frame->size - frame->filled;
        size_t count = size < room ? size : room;
        if (bytes != NULL) {
            memcpy(layout->bytes + start + frame->filled, bytes, count);
            bytes += count;
        }
        frame->filled += count;
        size -= count;
    }
}

// Writes the first frames that are full; with `is_end` all.
static bool write_full(struct media_layout *layout, bool is_end, struct media_failure *why)
{
    size_t written = 0;
    size_t count = 0;
    for (; count < layout->count; count++) {
        const struct waiting *frame = &layout->waiting[count];
        if (frame->filled < frame->size && !is_end)
            break;
        if (!layout->output.write(layout->output.context, layout->bytes + written, frame->size,
                                  why))
            return false;
        written += frame->size;
    }
    layout->count -= count;
    memmove(layout->waiting, layout->waiting + count, layout->count * sizeof *layout->waiting);
    layout->size -= written;
    memmove(layout->bytes, layout->bytes + written, layout->size);
    return true;
}

// The frame's header with the lowest bit rate, from its own on, at which the main data fits.
static bool choose_bitrate(struct media_layout *layout, const struct media_frame *frame,
                           unsigned char header[4], struct mp3_frame *shape,
                           struct media_failure *why)
{
    memcpy(header, frame->bytes, 4);
    if (!mp3_frame_parse(header, shape) || shape->has_crc ||
        frame->overhead_size != 4 + mp3_side_info_size(shape))
        return fail(layout, "has no valid header", why);
    if (layout->frames == 0)
        layout->stream = *shape;
    if (shape->version != layout->stream.version || shape->channels != layout->stream.channels ||
        shape->sample_rate_hz != layout->stream.sample_rate_hz)
        return fail(layout, "is of another stream", why);
    size_t needed = frame->overhead_size + (size_t)frame->main_size;
    bool is_raised = false;
    for (; layout->reservoir + (size_t)shape->size_bytes < needed; is_raised = true) {
        if (header[2] >> 4 == HIGHEST_BITRATE_INDEX)
            return fail(layout, "has more data than fits", why);
        header[2] = (unsigned char)(header[2] + 0x10);
        bool is_valid = mp3_frame_parse(header, shape);
        assert(is_valid);
    }
    layout->raised += is_raised ? 1 : 0;
    return true;
}

// The most that a frame may leave to the next one.
static size_t most_left(const struct mp3_frame *shape)
{
    size_t most = (size_t)mp3_side_info_farthest(shape);
    size_t size = (size_t)shape->size_bytes;
    size_t held = shape->version == 10 ? 2 * GRANULE_BYTES : GRANULE_BYTES;
    if (most + size > held)
        most = held > size ? held - size : 0;
    return most;
}

bool media_layout_add(struct media_layout *layout, const struct media_frame *frame,
                      struct media_failure *why)
{
    assert(!layout->is_finished);
    unsigned char header[4];
    struct mp3_frame shape;
    if (!choose_bitrate(layout, frame, header, &shape, why))
        return false;
    size_t size = (size_t)shape.size_bytes;
    assert(layout->count < WAITING_FRAMES && size <= WAITING_BYTES - layout->size);
    unsigned char *at = layout->bytes + layout->size;
    memcpy(at, frame->bytes, frame->overhead_size);
    memcpy(at, header, sizeof header);
    memset(at + frame->overhead_size, 0, size - frame->overhead_size);
    mp3_side_info_set_begin(&shape, at, (int)layout->reservoir);
    layout->waiting[layout->count++] =
        (struct waiting){.size = size, .filled = frame->overhead_size};
    layout->size += size;
    layout->reservoir += size - frame->overhead_size;
    layout->frames++;
    fill(layout, frame->bytes + frame->overhead_size, frame->main_size);
    size_t most = most_left(&shape);
    if (layout->reservoir > most)
        fill(layout, NULL, layout->reservoir - most); // no later frame may use these bytes
    return write_full(layout, false, why);
}

int media_layout_left_by(const struct media_frame *frame)
{
    struct mp3_frame shape;
    bool is_valid = mp3_frame_parse(frame->bytes, &shape);
    assert(is_valid);
    int left = frame->main_data_begin + shape.size_bytes - frame->overhead_size - frame->main_size;
    int most = (int)most_left(&shape);
    return left < most ? left : most;
}

bool media_layout_finish(struct media_layout *layout, struct media_failure *why)
{
    assert(!layout->is_finished);
    layout->is_finished = true;
    return write_full(layout, true, why);
}
