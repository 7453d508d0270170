#include "media/media_work.h"

#include "media/media_confine.h"
#include "media/media_convert.h"
#include "media/media_encode.h"
#include "media/media_progress.h"

static bool begin(void *context, struct media_failure *why)
{
    struct media_work *work = context;
    work->encoder = media_encoder_create(work->threads, why);
    return work->encoder != NULL;
}

static bool convert(void *context, struct media_report *out_done, struct media_failure *why)
{
    struct media_work *work = context;
    struct media_progress progress = {
        .fd = MEDIA_REPORT_FD, .form = MEDIA_PROGRESS_LINES, .last_permille = -1};
    const struct media_job job = {.source_fd = MEDIA_SOURCE_FD,
                                  .output_fd = MEDIA_OUTPUT_FD,
                                  .choices = work->choices,
                                  .title = work->title,
                                  .max_duration_ms = work->max_duration_ms,
                                  .encoder = work->encoder,
                                  .report = media_progress_report,
                                  .context = &progress};
    struct media_result result;
    if (!media_convert(&job, &result, why))
        return false;
    media_convert_report(&job, &result, out_done);
    return true;
}

static void end(void *context)
{
    struct media_work *work = context;
    media_encoder_close(work->encoder);
}

struct media_task media_work_task(struct media_work *work)
{
    return (struct media_task){
        .begin = begin, .work = convert, .end = end, .context = work, .threads = work->threads};
}
