#include "media/media_lame.h"

#include "base/alloc.h"
#include "media/media_lame_facts.h"

#include <lame/lame.h>

enum {
    PIECE_SAMPLES = 1152,
    // LAME's own worst case for a piece and, as a flush encodes two or three frames, for those.
    OUTPUT_BYTES = 4 * (PIECE_SAMPLES * 5 / 4 + 7200),
};

struct media_lame {
    lame_t lame;
    unsigned char output[OUTPUT_BYTES];
};

static void say_nothing(const char *format, va_list arguments)
{
    (void)format;
    (void)arguments;
}

static bool set_up(lame_t lame, const struct preset *preset, struct media_format format)
{
    lame_set_errorf(lame, say_nothing);
    lame_set_debugf(lame, say_nothing);
    lame_set_msgf(lame, say_nothing);
    bool is_set = lame_set_in_samplerate(lame, format.rate_hz) >= 0 &&
                  lame_set_out_samplerate(lame, format.rate_hz) >= 0 &&
                  lame_set_num_channels(lame, format.channels) >= 0 &&
                  lame_set_mode(lame, format.channels == 1 ? MONO : JOINT_STEREO) >= 0 &&
                  lame_set_bWriteVbrTag(lame, 0) >= 0;
    lame_set_write_id3tag_automatic(lame, 0);
    if (preset->is_constant)
        is_set = is_set && lame_set_VBR(lame, vbr_off) >= 0 &&
                 lame_set_brate(lame, preset->bitrate_kbps) >= 0;
    else
        is_set = is_set && lame_set_VBR(lame, vbr_default) >= 0 &&
                 lame_set_VBR_q(lame, preset->quality) >= 0;
    // Initialising fills LAME's tables, which all instances share, with the values that they have
    // already when another instance is encoding.
    return is_set && lame_init_params(lame) >= 0;
}

struct media_lame *media_lame_open(const struct preset *preset, struct media_format format,
                                   struct media_failure *why)
{
    SCOPED(media_lame_close) struct media_lame *lame = alloc_zeroed(1, sizeof *lame);
    lame->lame = lame_init();
    if (lame->lame == NULL || !set_up(lame->lame, preset, format)) {
        media_fail(why, "internal", "The MP3 encoder could not be started.");
        return NULL;
    }
    return TAKE(lame);
}

void media_lame_close(struct media_lame *lame)
{
    if (lame == NULL)
        return;
    if (lame->lame != NULL)
        lame_close(lame->lame);
    free(lame);
}

int media_lame_frame_samples(struct media_format format)
{
    return format.rate_hz >= 32000 ? 1152 : 576;
}

static bool take(struct media_lame *lame, int size, struct media_frames *out,
                 struct media_failure *why)
{
    if (size < 0)
        return media_fail(why, "internal", "The MP3 encoder failed (%d).", size);
    return media_frames_add(out, lame->output, (size_t)size, why);
}

bool media_lame_encode(struct media_lame *lame, const float *left, const float *right, size_t count,
                       struct media_frames *out, struct media_failure *why)
{
    while (count > 0) {
        size_t piece = count < PIECE_SAMPLES ? count : PIECE_SAMPLES;
        int size = lame_encode_buffer_ieee_float(lame->lame, left, right, (int)piece, lame->output,
                                                 OUTPUT_BYTES);
        if (!take(lame, size, out, why))
            return false;
        left += piece;
        right += piece;
        count -= piece;
    }
    return true;
}

bool media_lame_flush(struct media_lame *lame, struct media_frames *out, struct media_failure *why)
{
    int size = lame_encode_flush(lame->lame, lame->output, OUTPUT_BYTES);
    return take(lame, size, out, why) && media_frames_finish(out, why);
}

struct mp3_lame_facts media_lame_describe(const struct media_lame *lame)
{
    return media_lame_facts(lame->lame);
}
