#include "media/media_resample.h"

#include "base/alloc.h"
#include "media/media_limits.h"

#include <libavutil/channel_layout.h>
#include <libavutil/frame.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>
#include <math.h>
#include <string.h>

enum { EVEN_OUT_SAMPLES = 64 };

struct media_resampler {
    struct media_format format;
    SwrContext *swr;
    AVChannelLayout layout; // of the frames that `swr` takes
    int sample_format;
    int rate_hz;
    float *planes[2];
    int capacity;
    double due;    // samples that all frames of the runs before are worth
    int64_t taken; // of the current run, at its own rate
    int64_t given;
};

struct media_resampler *media_resampler_create(struct media_format format)
{
    struct media_resampler *resampler = alloc_zeroed(1, sizeof *resampler);
    resampler->format = format;
    return resampler;
}

void media_resampler_destroy(struct media_resampler *resampler)
{
    if (resampler == NULL)
        return;
    swr_free(&resampler->swr);
    av_channel_layout_uninit(&resampler->layout);
    free(resampler->planes[0]);
    free(resampler->planes[1]);
    free(resampler);
}

// A layout that names no speakers gets the usual ones for its number of channels.
static bool copy_layout(AVChannelLayout *out, const AVChannelLayout *layout)
{
    if (layout->order == AV_CHANNEL_ORDER_NATIVE)
        return av_channel_layout_copy(out, layout) >= 0;
    av_channel_layout_uninit(out);
    av_channel_layout_default(out, layout->nb_channels);
    return out->order == AV_CHANNEL_ORDER_NATIVE;
}

static bool set_up(struct media_resampler *resampler, const AVFrame *frame,
                   struct media_failure *why)
{
    swr_free(&resampler->swr);
    if (!copy_layout(&resampler->layout, &frame->ch_layout))
        return media_fail(why, "unsupported_codec",
                          "The channels of this file's audio are of an unknown arrangement.");
    resampler->sample_format = frame->format;
    resampler->rate_hz = frame->sample_rate;
    AVChannelLayout out_layout;
    av_channel_layout_default(&out_layout, resampler->format.channels);
    int result = swr_alloc_set_opts2(
        &resampler->swr, &out_layout, AV_SAMPLE_FMT_FLTP, resampler->format.rate_hz,
        &resampler->layout, (enum AVSampleFormat)frame->format, frame->sample_rate, 0, NULL);
    // To mono, what is the same on both sides would add up to more than full scale. Surround to
    // stereo keeps ITU-R BS.775's coefficients, as every player does: scaled down, speech would
    // be 8 dB too quiet.
    if (result >= 0 && resampler->format.channels == 1)
        result = av_opt_set_double(resampler->swr, "rematrix_maxval", 1.0, 0);
    if (result >= 0)
        result = swr_init(resampler->swr);
    if (result == AVERROR(ENOMEM))
        return media_fail(why, "internal", "There is not enough memory.");
    return result >= 0 || media_fail(why, "unsupported_codec", NULL);
}

static bool fits(const struct media_resampler *resampler, const AVFrame *frame)
{
    if (resampler->swr == NULL || resampler->sample_format != frame->format ||
        resampler->rate_hz != frame->sample_rate ||
        resampler->layout.nb_channels != frame->ch_layout.nb_channels)
        return false;
    return frame->ch_layout.order != AV_CHANNEL_ORDER_NATIVE ||
           av_channel_layout_compare(&resampler->layout, &frame->ch_layout) == 0;
}

static void reserve(struct media_resampler *resampler, int samples)
{
    if (samples <= resampler->capacity)
        return;
    for (int i = 0; i < resampler->format.channels; i++)
        resampler->planes[i] = alloc_resize(resampler->planes[i], (size_t)samples * sizeof(float));
    resampler->capacity = samples;
}

// A sample beyond this is damage, not loudness: 12 dB over full scale.
static void pull_in(float *samples, size_t count)
{
    const float limit = 4.0f;
    for (size_t i = 0; i < count; i++) {
        if (samples[i] >= -limit && samples[i] <= limit)
            continue;
        samples[i] = samples[i] > limit ? limit : samples[i] < -limit ? -limit : 0.0f;
    }
}

// The filter gives a sample more or less than the run is worth: what stands behind would move.
static int even_out(struct media_resampler *resampler, int got)
{
    resampler->due += (double)resampler->taken * resampler->format.rate_hz / resampler->rate_hz;
    resampler->taken = 0;
    int64_t wanted = llround(resampler->due) - resampler->given;
    if (wanted < 0 || wanted > got + EVEN_OUT_SAMPLES)
        return got;
    reserve(resampler, (int)wanted + 1);
    for (int i = 0; i < resampler->format.channels && wanted > got; i++)
        memset(resampler->planes[i] + got, 0, (size_t)(wanted - got) * sizeof(float));
    return (int)wanted;
}

// One call of swr_convert: a frame's samples, or the drain when `frame` is NULL.
static bool convert(struct media_resampler *resampler, const AVFrame *frame,
                    const struct media_sink *sink, struct media_failure *why)
{
    int count = frame != NULL ? frame->nb_samples : 0;
    int room = swr_get_out_samples(resampler->swr, count);
    if (room < 0 || room > 16 * MEDIA_FRAME_SAMPLES)
        return media_fail(why, "unsupported_codec", NULL);
    reserve(resampler, room + 1);
    uint8_t *planes[2] = {(uint8_t *)resampler->planes[0], (uint8_t *)resampler->planes[1]};
    // At most 8 channels: `data` holds all planes.
    const uint8_t *input[AV_NUM_DATA_POINTERS] = {0};
    for (int i = 0; frame != NULL && i < AV_NUM_DATA_POINTERS; i++)
        input[i] = frame->data[i];
    int got = swr_convert(resampler->swr, planes, resampler->capacity, frame != NULL ? input : NULL,
                          count);
    if (got < 0)
        return media_fail(why, "internal", "The resampler failed (%d).", got);
    resampler->taken += count;
    if (frame == NULL)
        got = even_out(resampler, got);
    resampler->given += got;
    float *left = resampler->planes[0];
    float *right = resampler->format.channels == 2 ? resampler->planes[1] : left;
    pull_in(left, (size_t)got);
    if (right != left)
        pull_in(right, (size_t)got);
    return sink->write(sink->context, left, right, (size_t)got, why);
}

bool media_resampler_pass(struct media_resampler *resampler, const AVFrame *frame,
                          const struct media_sink *sink, struct media_failure *why)
{
    bool is_end_of_run = frame == NULL || !fits(resampler, frame);
    if (is_end_of_run && resampler->swr != NULL && !convert(resampler, NULL, sink, why))
        return false;
    if (frame == NULL)
        return true;
    if (is_end_of_run && !set_up(resampler, frame, why))
        return false;
    return convert(resampler, frame, sink, why);
}
