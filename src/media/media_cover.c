#include "media/media_cover.h"

#include "media/media_big_endian.h"
#include "media/media_samples.h"

#include <string.h>

enum { JPEG_SEGMENTS = 256 };

bool media_cover_at(const struct media_box_reader *reader, int64_t offset, int64_t size_bytes,
                    struct media_cover *out)
{
    unsigned char head[8];
    if (size_bytes < (int64_t)sizeof head || size_bytes > MEDIA_COVER_BYTES ||
        !media_box_bytes(reader, head, sizeof head, offset))
        return false;
    const char *mime = NULL;
    if (memcmp(head, "\xff\xd8\xff", 3) == 0)
        mime = "image/jpeg";
    else if (memcmp(head, "\x89PNG\r\n\x1a\n", 8) == 0)
        mime = "image/png";
    if (mime == NULL)
        return false;
    *out = (struct media_cover){.mime = mime, .offset = offset, .size_bytes = (uint32_t)size_bytes};
    return true;
}

bool media_cover_of_track(const struct media_box_reader *reader, const struct media_boxes *boxes,
                          struct media_cover *out)
{
    for (unsigned i = 0; i < boxes->track_count; i++) {
        const struct media_track *track = &boxes->tracks[i];
        if (track->handler != MEDIA_FOURCC('v', 'i', 'd', 'e') || track->sizes.count != 1 ||
            !media_samples_can_walk(track))
            continue;
        SCOPED(media_samples_close)
        struct media_samples *samples = media_samples_open(reader->fd, boxes, track, NULL);
        struct media_sample sample;
        struct media_failure ignored;
        if (media_samples_next(samples, &sample, &ignored) == 1 &&
            media_cover_at(reader, sample.offset, sample.size_bytes, out))
            return true;
    }
    return false;
}

// SOF0 to SOF15 hold the measures; DHT, JPG and DAC lie between their codes.
static bool is_start_of_frame(unsigned char marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

static bool measure_jpeg(const struct media_box_reader *reader, const struct media_cover *cover,
                         unsigned *out_width, unsigned *out_height)
{
    int64_t at = cover->offset + 2;
    int64_t end = cover->offset + cover->size_bytes;
    for (int i = 0; i < JPEG_SEGMENTS && end - at >= 9; i++) {
        unsigned char head[9];
        if (!media_box_bytes(reader, head, sizeof head, at) || head[0] != 0xff)
            return false;
        if (is_start_of_frame(head[1])) {
            *out_height = big_endian_16(head + 5);
            *out_width = big_endian_16(head + 7);
            return true;
        }
        at += 2 + big_endian_16(head + 2);
    }
    return false;
}

bool media_cover_measure(int fd, const struct media_cover *cover, unsigned *out_width,
                         unsigned *out_height)
{
    const struct media_box_reader reader = {.fd = fd};
    if (cover->mime == NULL)
        return false;
    if (strcmp(cover->mime, "image/jpeg") == 0)
        return measure_jpeg(&reader, cover, out_width, out_height);
    unsigned char head[24];
    if (cover->size_bytes < sizeof head ||
        !media_box_bytes(&reader, head, sizeof head, cover->offset))
        return false;
    *out_width = big_endian_32(head + 16);
    *out_height = big_endian_32(head + 20);
    return true;
}
