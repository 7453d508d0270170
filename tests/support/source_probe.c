// What media_source gives of a file, sample by sample, for tests that compare it with what went in:
// 32-bit float PCM on standard output, and on standard error a line `RATE CHANNELS SAMPLES` for
// each run of frames of one shape; then `end DURATION_MS` or `fail CODE`.
// Usage: source-probe FILE [START_MS END_MS [TRACK]]
#include "base/file.h"
#include "media/media_confine.h"
#include "media/media_source.h"

#include <fcntl.h>
#include <inttypes.h>
#include <libavutil/frame.h>
#include <libswresample/swresample.h>
#include <stdio.h>
#include <stdlib.h>

struct run {
    int rate_hz;
    int channels;
    int format;
    int64_t samples;
    SwrContext *swr;
};

static void end_run(struct run *run)
{
    if (run->samples > 0)
        fprintf(stderr, "%d %d %" PRId64 "\n", run->rate_hz, run->channels, run->samples);
    swr_free(&run->swr);
}

// From the decoder's sample format to floats, the rate and channels as they are.
static bool begin_run(struct run *run, AVFrame *frame)
{
    end_run(run);
    *run = (struct run){.rate_hz = frame->sample_rate,
                        .channels = frame->ch_layout.nb_channels,
                        .format = frame->format};
    return swr_alloc_set_opts2(&run->swr, &frame->ch_layout, AV_SAMPLE_FMT_FLT, frame->sample_rate,
                               &frame->ch_layout, (enum AVSampleFormat)frame->format,
                               frame->sample_rate, 0, NULL) >= 0 &&
           swr_init(run->swr) >= 0;
}

static bool write_frame(struct run *run, AVFrame *frame)
{
    bool is_same = run->rate_hz == frame->sample_rate && run->format == frame->format &&
                   run->channels == frame->ch_layout.nb_channels;
    if (!is_same && !begin_run(run, frame))
        return false;
    size_t size = (size_t)frame->nb_samples * (size_t)run->channels * sizeof(float);
    uint8_t *out = malloc(size + 1);
    const uint8_t *in[AV_NUM_DATA_POINTERS];
    for (int i = 0; i < AV_NUM_DATA_POINTERS; i++)
        in[i] = frame->data[i];
    int got = swr_convert(run->swr, &out, frame->nb_samples, in, frame->nb_samples);
    bool is_written = got == frame->nb_samples && fwrite(out, 1, size, stdout) == size;
    run->samples += frame->nb_samples;
    free(out);
    return is_written;
}

int main(int argument_count, char **arguments)
{
    if (argument_count < 2)
        return 2;
    media_confine_prepare();
    struct media_selection selection = {0};
    if (argument_count > 3) {
        selection.start_ms = strtoll(arguments[2], NULL, 10);
        selection.end_ms = strtoll(arguments[3], NULL, 10);
    }
    if (argument_count > 4)
        selection.track = arguments[4];
    SCOPED_FD int fd = open(arguments[1], O_RDONLY | O_CLOEXEC);
    struct media_failure why = {0};
    SCOPED(media_source_close)
    struct media_source *source = media_source_open(fd, &selection, &why);
    struct run run = {0};
    AVFrame *frame = NULL;
    enum media_step step = source != NULL ? MEDIA_STEP_FRAME : MEDIA_STEP_FAILED;
    while (step == MEDIA_STEP_FRAME &&
           (step = media_source_next(source, &frame, &why)) == MEDIA_STEP_FRAME)
        if (!write_frame(&run, frame))
            return 3;
    end_run(&run);
    if (step == MEDIA_STEP_END)
        fprintf(stderr, "end %" PRId64 "\n", media_source_duration_ms(source));
    else
        fprintf(stderr, "fail %s\n", why.code);
    return step == MEDIA_STEP_END ? 0 : 1;
}
