#include "media/media_encode.h"

#include "base/alloc.h"
#include "media/media_lame.h"
#include "media/media_layout.h"
#include "media/media_segments.h"
#include "mp3/mp3_lame_header.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { OUTPUT_BYTES = 64 * 1024 };

struct media_encoder {
    struct media_segments *segments;
    struct media_layout *layout;
    struct media_format format;
    int64_t samples;
    struct media_segments_result result;

    // One thread at a time writes: the one that has the file's next frames.
    int fd;
    int64_t header_offset;
    size_t header_size;
    struct mp3_lame_facts facts;
    struct mp3_lame_count count;
    int64_t offset; // in the file, of the first byte of `output`
    size_t output_size;
    unsigned char output[OUTPUT_BYTES];
};

struct media_format media_encode_format(const struct preset *preset, int rate_hz, int channels)
{
    static const int legal[] = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000};
    int highest_hz = preset->highest_rate_hz > 0 ? preset->highest_rate_hz : 48000;
    struct media_format format = {.rate_hz = highest_hz,
                                  .channels = preset->is_mono || channels == 1 ? 1 : 2};
    if (rate_hz > highest_hz) {
        // 48 and 44.1 kHz and their halves: the one that divides costs the resampler least.
        int other_hz = highest_hz * 147 / 160;
        if (rate_hz % highest_hz != 0 && rate_hz % other_hz == 0)
            format.rate_hz = other_hz;
        return format;
    }
    for (size_t i = sizeof legal / sizeof legal[0]; i-- > 0;)
        if (legal[i] >= rate_hz && legal[i] <= highest_hz)
            format.rate_hz = legal[i];
    return format;
}

struct media_encoder *media_encoder_create_with(int threads, const struct media_rules *rules,
                                                struct media_failure *why)
{
    SCOPED(media_encoder_close) struct media_encoder *encoder = alloc_zeroed(1, sizeof *encoder);
    encoder->segments = media_segments_create(threads, rules, why);
    return encoder->segments != NULL ? TAKE(encoder) : NULL;
}

struct media_encoder *media_encoder_create(int threads, struct media_failure *why)
{
    return media_encoder_create_with(threads, &media_rules_usual, why);
}

void media_encoder_close(struct media_encoder *encoder)
{
    if (encoder == NULL)
        return;
    media_segments_close(encoder->segments);
    media_layout_destroy(encoder->layout);
    free(encoder);
}

static bool write_at(const struct media_encoder *encoder, const void *bytes, size_t size,
                     int64_t offset, struct media_failure *why)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t written = pwrite(encoder->fd, at, size, offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return media_fail_errno(why, errno, "write the MP3");
        at += written;
        offset += written;
        size -= (size_t)written;
    }
    return true;
}

static bool write_output(struct media_encoder *encoder, struct media_failure *why)
{
    if (!write_at(encoder, encoder->output, encoder->output_size, encoder->offset, why))
        return false;
    encoder->offset += (int64_t)encoder->output_size;
    encoder->output_size = 0;
    return true;
}

static bool take_frame(void *context, const unsigned char *bytes, size_t size,
                       struct media_failure *why)
{
    struct media_encoder *encoder = context;
    if (size > OUTPUT_BYTES - encoder->output_size && !write_output(encoder, why))
        return false;
    assert(size <= OUTPUT_BYTES);
    memcpy(encoder->output + encoder->output_size, bytes, size);
    encoder->output_size += size;
    mp3_lame_header_note_frame(&encoder->count, bytes, size);
    return true;
}

bool media_encoder_begin(struct media_encoder *encoder, int fd, const struct preset *preset,
                         struct media_format format, const void *tag, size_t tag_size,
                         struct media_failure *why)
{
    assert(encoder->layout == NULL);
    encoder->fd = fd;
    encoder->format = format;
    encoder->header_offset = (int64_t)tag_size;
    // Which constant bit rate is the nearest that MP3 has at this sample rate, LAME says.
    SCOPED(media_lame_close) struct media_lame *lame = media_lame_open(preset, format, why);
    if (lame == NULL)
        return false;
    encoder->facts = media_lame_describe(lame);
    encoder->header_size =
        mp3_lame_header_size(format.rate_hz, format.channels,
                             encoder->facts.is_constant ? encoder->facts.bitrate_kbps : 0);
    if (encoder->header_size == 0)
        return media_fail(why, "internal", "An MP3 cannot have %d Hz.", format.rate_hz);
    encoder->offset = encoder->header_offset + (int64_t)encoder->header_size;
    encoder->layout =
        media_layout_create((struct media_layout_output){.write = take_frame, .context = encoder});
    if (!write_at(encoder, tag, tag_size, 0, why))
        return false;
    media_segments_begin(encoder->segments, preset, format, encoder->layout);
    return true;
}

bool media_encoder_write(struct media_encoder *encoder, const float *left, const float *right,
                         size_t count, struct media_failure *why)
{
    encoder->samples += (int64_t)count;
    return media_segments_write(encoder->segments, left, right, count, why);
}

static bool write_header(const struct media_encoder *encoder, struct media_failure *why)
{
    unsigned char header[MP3_FRAME_LIMIT_BYTES];
    size_t size = mp3_lame_header_write(&encoder->facts, &encoder->count, encoder->samples, header);
    if (size != encoder->header_size)
        return media_fail(why, "internal", "The MP3 encoder's frames are not as many as expected.");
    return write_at(encoder, header, size, encoder->header_offset, why);
}

bool media_encoder_finish(struct media_encoder *encoder, struct media_failure *why)
{
    return media_segments_finish(encoder->segments, &encoder->result, why) &&
           media_layout_finish(encoder->layout, why) && write_output(encoder, why) &&
           write_header(encoder, why);
}

int64_t media_encoder_samples(const struct media_encoder *encoder)
{
    return encoder->samples;
}

const struct media_segments_result *media_encoder_result(const struct media_encoder *encoder)
{
    return &encoder->result;
}
