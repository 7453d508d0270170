#include "media/media_convert.h"

#include "base/buf.h"
#include "media/media_encode.h"
#include "media/media_limits.h"
#include "media/media_resample.h"
#include "media/media_source.h"
#include "media/media_tags.h"

#include <assert.h>
#include <libavutil/frame.h>

struct pipeline {
    const struct media_job *job;
    struct media_source *source;
    struct media_resampler *resampler;
    struct media_format format;
    bool is_begun; // the output's shape is known
};

// The output's shape is known with the first decoded frame: HE-AAC, for one, has twice the rate
// that its container announces.
static bool start_output(struct pipeline *pipeline, const AVFrame *first, struct media_failure *why)
{
    const struct media_job *job = pipeline->job;
    pipeline->format =
        media_encode_format(job->choices->preset, first->sample_rate, first->ch_layout.nb_channels);
    if (job->choices->is_mono)
        pipeline->format.channels = 1;
    SCOPED_BUF struct buf tag;
    buf_init(&tag, MEDIA_TAGS_BYTES);
    media_tags_write(media_source_metadata(pipeline->source), job->title, &tag);
    pipeline->resampler = media_resampler_create(pipeline->format);
    pipeline->is_begun = media_encoder_begin(job->encoder, job->output_fd, job->choices->preset,
                                             pipeline->format, tag.bytes, tag.size, why);
    return pipeline->is_begun;
}

static int64_t written_ms(const struct pipeline *pipeline)
{
    int rate_hz = pipeline->format.rate_hz;
    assert(rate_hz > 0);
    return (media_encoder_samples(pipeline->job->encoder) * 1000 + rate_hz / 2) / rate_hz;
}

// Says how far we are and checks what must hold at every step.
static bool account(const struct pipeline *pipeline, struct media_failure *why)
{
    const struct media_job *job = pipeline->job;
    int64_t done_ms = written_ms(pipeline);
    if (job->max_duration_ms > 0 && done_ms > job->max_duration_ms)
        return media_fail(why, "too_long", NULL);
    int64_t announced_ms = media_source_duration_ms(pipeline->source);
    int64_t permille = announced_ms > 0 ? done_ms * 1000 / announced_ms : 0;
    if (job->report != NULL && !job->report(job->context, permille > 999 ? 999 : (int)permille))
        return media_fail(why, "cancelled", NULL);
    return true;
}

static bool encode(void *context, float *left, float *right, size_t count,
                   struct media_failure *why)
{
    return media_encoder_write(context, left, right, count, why);
}

static bool pass_frames(struct pipeline *pipeline, const struct media_sink *sink,
                        struct media_failure *why)
{
    for (;;) {
        AVFrame *frame = NULL;
        enum media_step step = media_source_next(pipeline->source, &frame, why);
        if (step != MEDIA_STEP_FRAME)
            return step == MEDIA_STEP_END;
        if (!pipeline->is_begun && !start_output(pipeline, frame, why))
            return false;
        if (!media_resampler_pass(pipeline->resampler, frame, sink, why) || !account(pipeline, why))
            return false;
    }
}

static bool run(struct pipeline *pipeline, struct media_result *out, struct media_failure *why)
{
    struct media_encoder *encoder = pipeline->job->encoder;
    const struct media_sink sink = {.write = encode, .context = encoder};
    if (!pass_frames(pipeline, &sink, why))
        return false;
    if (!pipeline->is_begun) // the edit list presents nothing of what was decoded
        return media_fail(why, "no_audio", "The audio track of this file is empty.");
    if (!media_resampler_pass(pipeline->resampler, NULL, &sink, why) ||
        !media_encoder_finish(encoder, why))
        return false;
    *out = (struct media_result){.duration_ms = written_ms(pipeline),
                                 .samples = media_encoder_samples(encoder)};
    return true;
}

bool media_convert(const struct media_job *job, struct media_result *out, struct media_failure *why)
{
    struct pipeline pipeline = {.job = job};
    const struct choices *choices = job->choices;
    const struct media_selection selection = {
        .track = choices->track[0] != '\0' ? choices->track : NULL,
        .start_ms = choices->start_ms,
        .end_ms = choices->end_ms,
        .max_duration_ms = job->max_duration_ms,
    };
    pipeline.source = media_source_open(job->source_fd, &selection, why);
    bool is_done = pipeline.source != NULL && run(&pipeline, out, why);
    media_resampler_destroy(pipeline.resampler);
    media_source_close(pipeline.source);
    return is_done;
}
