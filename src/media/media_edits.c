#include "media/media_edits.h"

#include "base/file.h"

#include <inttypes.h>
#include <stdio.h>

enum { EDITS_LIMIT = 16, EDIT_BYTES = 20, NORMAL_SPEED = 0x10000 };

struct edit {
    uint64_t duration; // in the movie's timescale
    int64_t media_time;
    uint32_t rate;
};

static uint32_t big_endian_32(const unsigned char *at)
{
    return MEDIA_FOURCC(at[0], at[1], at[2], at[3]);
}

static uint64_t big_endian_64(const unsigned char *at)
{
    return (uint64_t)big_endian_32(at) << 32 | big_endian_32(at + 4);
}

static bool read_edit(int fd, const struct media_track *track, uint32_t index, struct edit *out,
                      struct media_failure *why)
{
    unsigned char bytes[EDIT_BYTES];
    size_t size = track->has_wide_edits ? 20 : 12;
    struct error err;
    int64_t offset = track->edits.offset + (int64_t)(index * size);
    if (file_read_at(fd, bytes, size, offset, &err) != (ssize_t)size) {
        media_fail(why, "truncated", NULL);
        return false;
    }
    if (track->has_wide_edits) {
        out->duration = big_endian_64(bytes);
        out->media_time = (int64_t)big_endian_64(bytes + 8);
        out->rate = big_endian_32(bytes + 16);
    } else {
        out->duration = big_endian_32(bytes);
        out->media_time = (int32_t)big_endian_32(bytes + 4);
        out->rate = big_endian_32(bytes + 8);
    }
    return true;
}

// The movie's clock is often coarse (ms). An end that it cannot tell from the last sample's end
// is the last sample's end.
static int64_t end_of(const struct edit *edit, const struct media_boxes *boxes,
                      const struct media_track *track, int64_t total)
{
    if (edit->duration == 0 || boxes->timescale == 0)
        return total;
    double ticks_per_unit = (double)track->timescale / boxes->timescale;
    double end = (double)edit->media_time + (double)edit->duration * ticks_per_unit;
    if (end + ticks_per_unit >= (double)total)
        return total;
    return (int64_t)(end + 0.5);
}

enum media_edits media_edits_read(int fd, const struct media_boxes *boxes,
                                  const struct media_track *track, int64_t total,
                                  struct media_presentation *out, struct media_failure *why)
{
    *out = (struct media_presentation){.start = 0, .end = total > 0 ? total : INT64_MAX};
    if (track->edits.count > EDITS_LIMIT)
        return MEDIA_EDITS_COMPLEX;
    bool has_stretch = false;
    for (uint32_t i = 0; i < track->edits.count; i++) {
        struct edit edit;
        if (!read_edit(fd, track, i, &edit, why))
            return MEDIA_EDITS_FAILED;
        if (edit.media_time < 0 && !has_stretch)
            continue;
        if (has_stretch || edit.media_time < 0 || edit.rate != NORMAL_SPEED)
            return MEDIA_EDITS_COMPLEX;
        has_stretch = true;
        out->start = edit.media_time;
        out->end = end_of(&edit, boxes, track, total);
    }
    // Nonsense presents everything rather than nothing.
    if (out->end <= out->start)
        *out = (struct media_presentation){.start = 0, .end = INT64_MAX};
    return MEDIA_EDITS_SIMPLE;
}

bool media_edits_parse_itunes(const char *text, struct media_presentation *out)
{
    unsigned priming, padding;
    uint64_t samples;
    if (sscanf(text, " %*8x %8x %8x %16" SCNx64, &priming, &padding, &samples) != 3)
        return false;
    if (priming > 16384 || padding > 16384 || samples == 0 || samples > INT64_MAX / 4)
        return false;
    out->start = priming;
    out->end = (int64_t)(priming + samples);
    return true;
}
