#include "media/media_convert.h"

#include "base/buf.h"
#include "media/media_confine.h"
#include "media/media_encode.h"
#include "media/media_limits.h"
#include "media/media_resample.h"
#include "media/media_source.h"
#include "media/media_tags.h"

#include <assert.h>
#include <libavutil/frame.h>
#include <math.h>

enum { MEASURING_PERMILLE = 300 }; // of the time of both passes, as measured on one core and two

// One decoding of all that is selected: into the encoder, or before that into the meter.
struct pass {
    const struct media_job *job;
    struct media_source *source;
    struct media_resampler *resampler;
    struct media_format format;
    int64_t samples;                // that left the resampler
    bool is_begun;                  // the output's shape is known
    bool is_measuring;              // else encoding
    struct media_loudness *meter;   // measuring
    float gain;                     // encoding
    int from_permille, to_permille; // its part of the progress
};

static bool begin_measuring(struct pass *pass, struct media_failure *why)
{
    pass->meter = media_loudness_create(pass->format, why);
    return pass->meter != NULL;
}

static bool begin_encoding(struct pass *pass, struct media_failure *why)
{
    const struct media_job *job = pass->job;
    SCOPED_BUF struct buf tag;
    buf_init(&tag, MEDIA_TAGS_BYTES);
    media_tags_write(media_source_metadata(pass->source), job->title, &tag);
    return media_encoder_begin(job->encoder, job->output_fd, job->choices->preset, pass->format,
                               tag.bytes, tag.size, why);
}

// The output's shape is known with the first decoded frame: HE-AAC, for one, has twice the rate
// that its container announces.
static bool begin(struct pass *pass, const AVFrame *first, struct media_failure *why)
{
    const struct choices *choices = pass->job->choices;
    pass->format =
        media_encode_format(choices->preset, first->sample_rate, first->ch_layout.nb_channels);
    if (choices->is_mono)
        pass->format.channels = 1;
    pass->resampler = media_resampler_create(pass->format);
    pass->is_begun = pass->is_measuring ? begin_measuring(pass, why) : begin_encoding(pass, why);
    return pass->is_begun;
}

static void amplify(float *samples, size_t count, float gain)
{
    for (size_t i = 0; i < count; i++)
        samples[i] *= gain;
}

static bool take_samples(void *context, float *left, float *right, size_t count,
                         struct media_failure *why)
{
    struct pass *pass = context;
    pass->samples += (int64_t)count;
    if (pass->is_measuring)
        return media_loudness_add(pass->meter, left, right, count, why);
    if (pass->gain != 1.0f) {
        amplify(left, count, pass->gain);
        if (right != left)
            amplify(right, count, pass->gain);
    }
    return media_encoder_write(pass->job->encoder, left, right, count, why);
}

static int64_t to_ms(int64_t samples, int rate_hz)
{
    assert(rate_hz > 0);
    return (samples * 1000 + rate_hz / 2) / rate_hz;
}

// Says how far we are and checks what must hold at every step.
static bool account(const struct pass *pass, struct media_failure *why)
{
    const struct media_job *job = pass->job;
    int64_t done_ms = to_ms(pass->samples, pass->format.rate_hz);
    if (job->max_duration_ms > 0 && done_ms > job->max_duration_ms)
        return media_fail(why, "too_long", NULL);
    int64_t announced_ms = media_source_duration_ms(pass->source);
    int64_t share = pass->to_permille - pass->from_permille;
    int64_t permille = announced_ms > 0 ? done_ms * share / announced_ms : 0;
    permille = pass->from_permille + (permille < share ? permille : share - 1);
    if (job->report != NULL && !job->report(job->context, (int)permille))
        return media_fail(why, "cancelled", NULL);
    return true;
}

static bool pass_frames(struct pass *pass, struct media_failure *why)
{
    const struct media_sink sink = {.write = take_samples, .context = pass};
    AVFrame *frame = NULL;
    enum media_step step;
    while ((step = media_source_next(pass->source, &frame, why)) == MEDIA_STEP_FRAME) {
        if (!pass->is_begun && !begin(pass, frame, why))
            return false;
        if (!media_resampler_pass(pass->resampler, frame, &sink, why) || !account(pass, why))
            return false;
    }
    if (step == MEDIA_STEP_FAILED)
        return false;
    if (!pass->is_begun) // the edit list presents nothing of what was decoded
        return media_fail(why, "no_audio", "The audio track of this file is empty.");
    return media_resampler_pass(pass->resampler, NULL, &sink, why);
}

static bool run(struct pass *pass, struct media_failure *why)
{
    const struct choices *choices = pass->job->choices;
    const struct media_selection selection = {
        .track = choices->track[0] != '\0' ? choices->track : NULL,
        .start_ms = choices->start_ms,
        .end_ms = choices->end_ms,
        .max_duration_ms = pass->job->max_duration_ms,
    };
    pass->source = media_source_open(pass->job->source_fd, &selection, why);
    // What lies before the piece may have to be decoded too.
    if (pass->source != NULL)
        media_confine_expect(media_source_duration_ms(pass->source) + pass->job->choices->start_ms);
    bool is_done = pass->source != NULL && pass_frames(pass, why);
    media_resampler_destroy(pass->resampler);
    media_source_close(pass->source);
    return is_done;
}

static bool measure(const struct media_job *job, struct media_result *out,
                    struct media_failure *why)
{
    struct pass pass = {.job = job, .is_measuring = true, .to_permille = MEASURING_PERMILLE};
    bool is_done = run(&pass, why) && media_loudness_level(pass.meter, &out->level, why);
    media_loudness_destroy(pass.meter);
    if (is_done)
        out->gain_db =
            media_loudness_gain_db(&out->level, job->choices->loudness_centi_lufs / 100.0);
    return is_done;
}

bool media_convert(const struct media_job *job, struct media_result *out, struct media_failure *why)
{
    struct media_result result = {0};
    bool is_measured = job->choices->has_loudness;
    if (is_measured && !measure(job, &result, why))
        return false;
    struct pass pass = {.job = job,
                        .gain = (float)pow(10, result.gain_db / 20),
                        .from_permille = is_measured ? MEASURING_PERMILLE : 0,
                        .to_permille = 1000};
    if (!run(&pass, why) || !media_encoder_finish(job->encoder, why))
        return false;
    result.samples = media_encoder_samples(job->encoder);
    result.duration_ms = to_ms(result.samples, pass.format.rate_hz);
    *out = result;
    return true;
}

void media_convert_report(const struct media_job *job, const struct media_result *result,
                          struct media_report *out)
{
    out->kind = MEDIA_DONE;
    out->duration_ms = result->duration_ms;
    out->has_loudness = result->level.has_loudness;
    out->has_gain = job->choices->has_loudness;
    out->loudness_centi_lufs = llround(result->level.loudness_lufs * 100);
    out->gain_centi_db = llround(result->gain_db * 100);
}
