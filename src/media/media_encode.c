#include "media/media_encode.h"

#include "base/alloc.h"

#include <assert.h>
#include <errno.h>
#include <lame/lame.h>
#include <unistd.h>

enum {
    PIECE_SAMPLES = 4608,
    // LAME's own worst case for a piece, and for the flush.
    OUTPUT_BYTES = PIECE_SAMPLES * 5 / 4 + 7200 + 65536,
    HEADER_LIMIT_BYTES = 2880, // the largest MP3 frame
};

struct media_encoder {
    lame_t lame;
    int fd;
    int64_t header_offset;
    int64_t offset;
    int64_t samples;
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

static void say_nothing(const char *format, va_list arguments)
{
    (void)format;
    (void)arguments;
}

static bool set_up_lame(lame_t lame, const struct preset *preset, struct media_format format)
{
    lame_set_errorf(lame, say_nothing);
    lame_set_debugf(lame, say_nothing);
    lame_set_msgf(lame, say_nothing);
    bool is_set = lame_set_in_samplerate(lame, format.rate_hz) >= 0 &&
                  lame_set_out_samplerate(lame, format.rate_hz) >= 0 &&
                  lame_set_num_channels(lame, format.channels) >= 0 &&
                  lame_set_mode(lame, format.channels == 1 ? MONO : JOINT_STEREO) >= 0 &&
                  lame_set_bWriteVbrTag(lame, 1) >= 0;
    lame_set_write_id3tag_automatic(lame, 0);
    if (preset->is_constant)
        is_set = is_set && lame_set_VBR(lame, vbr_off) >= 0 &&
                 lame_set_brate(lame, preset->bitrate_kbps) >= 0;
    else
        is_set = is_set && lame_set_VBR(lame, vbr_default) >= 0 &&
                 lame_set_VBR_q(lame, preset->quality) >= 0;
    return is_set && lame_init_params(lame) >= 0;
}

static bool write_at(struct media_encoder *encoder, const void *bytes, size_t size, int64_t offset,
                     struct media_failure *why)
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

static bool append(struct media_encoder *encoder, const void *bytes, size_t size,
                   struct media_failure *why)
{
    if (!write_at(encoder, bytes, size, encoder->offset, why))
        return false;
    encoder->offset += (int64_t)size;
    return true;
}

struct media_encoder *media_encoder_create(int threads, struct media_failure *why)
{
    assert(threads >= 1);
    (void)why; // one thread encodes, and the caller lends it
    return alloc_zeroed(1, sizeof(struct media_encoder));
}

bool media_encoder_begin(struct media_encoder *encoder, int fd, const struct preset *preset,
                         struct media_format format, const void *tag, size_t tag_size,
                         struct media_failure *why)
{
    assert(encoder->lame == NULL);
    encoder->fd = fd;
    encoder->lame = lame_init();
    if (encoder->lame == NULL || !set_up_lame(encoder->lame, preset, format))
        return media_fail(why, "internal", "The MP3 encoder could not be started.");
    if (!append(encoder, tag, tag_size, why))
        return false;
    encoder->header_offset = encoder->offset;
    return true;
}

void media_encoder_close(struct media_encoder *encoder)
{
    if (encoder == NULL)
        return;
    if (encoder->lame != NULL)
        lame_close(encoder->lame);
    free(encoder);
}

bool media_encoder_write(struct media_encoder *encoder, const float *left, const float *right,
                         size_t count, struct media_failure *why)
{
    while (count > 0) {
        size_t piece = count < PIECE_SAMPLES ? count : PIECE_SAMPLES;
        int size = lame_encode_buffer_ieee_float(encoder->lame, left, right, (int)piece,
                                                 encoder->output, OUTPUT_BYTES);
        if (size < 0)
            return media_fail(why, "internal", "The MP3 encoder failed (%d).", size);
        if (!append(encoder, encoder->output, (size_t)size, why))
            return false;
        encoder->samples += (int64_t)piece;
        left += piece;
        right += piece;
        count -= piece;
    }
    return true;
}

bool media_encoder_finish(struct media_encoder *encoder, struct media_failure *why)
{
    int size = lame_encode_flush(encoder->lame, encoder->output, OUTPUT_BYTES);
    if (size < 0)
        return media_fail(why, "internal", "The MP3 encoder failed (%d).", size);
    if (!append(encoder, encoder->output, (size_t)size, why))
        return false;
    size_t header = lame_get_lametag_frame(encoder->lame, encoder->output, OUTPUT_BYTES);
    if (header == 0 || header > HEADER_LIMIT_BYTES)
        return media_fail(why, "internal", "The MP3 encoder gave no header.");
    return write_at(encoder, encoder->output, header, encoder->header_offset, why);
}

int64_t media_encoder_samples(const struct media_encoder *encoder)
{
    return encoder->samples;
}
