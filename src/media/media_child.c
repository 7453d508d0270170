#include "media/media_child.h"

#include "base/file.h"
#include "base/text.h"
#include "media/media_confine.h"
#include "media/media_convert.h"
#include "media/media_encode.h"
#include "media/media_progress.h"

#include <getopt.h>
#include <unistd.h>

enum { SOURCE_FD = 0, OUTPUT_FD = 1, REPORT_FD = 2 };

static void send_report(const struct media_report *report)
{
    char line[512];
    struct error ignored;
    size_t size = media_report_format(report, line, sizeof line);
    (void)file_write_all(REPORT_FD, line, size, &ignored);
}

static int fail(const struct media_failure *why)
{
    struct media_report report = {.kind = MEDIA_FAIL};
    text_copy(report.code, sizeof report.code, why->code);
    text_copy(report.detail, sizeof report.detail, why->detail);
    send_report(&report);
    return 1;
}

static bool parse_arguments(int argument_count, char **arguments, struct media_job *out,
                            int64_t *out_cores)
{
    static const struct option options[] = {
        {"preset", required_argument, NULL, 'p'},
        {"title", required_argument, NULL, 't'},
        {"max-duration-ms", required_argument, NULL, 'd'},
        {"cores", required_argument, NULL, 'c'},
        {NULL, 0, NULL, 0},
    };
    opterr = 0;
    optind = 1;
    for (int option; (option = getopt_long(argument_count, arguments, "", options, NULL)) != -1;) {
        bool is_understood = false;
        if (option == 'p')
            is_understood = (out->preset = preset_find(optarg)) != NULL;
        else if (option == 't')
            is_understood = (out->title = optarg) != NULL;
        else if (option == 'd')
            is_understood = text_parse_integer(optarg, 0, INT64_MAX / 1000, &out->max_duration_ms);
        else if (option == 'c')
            is_understood = text_parse_integer(optarg, 1, 1024, out_cores);
        if (!is_understood)
            return false;
    }
    return optind == argument_count;
}

int media_child_run(int argument_count, char **arguments)
{
    struct media_progress progress = {
        .fd = REPORT_FD, .form = MEDIA_PROGRESS_LINES, .last_permille = -1};
    struct media_job job = {.source_fd = SOURCE_FD,
                            .output_fd = OUTPUT_FD,
                            .preset = preset_find(PRESET_DEFAULT),
                            .report = media_progress_report,
                            .context = &progress};
    struct media_failure why;
    int64_t cores = 1;
    media_confine_prepare();
    if (!parse_arguments(argument_count, arguments, &job, &cores)) {
        media_fail(&why, "internal", "The media child was started with wrong arguments.");
        fail(&why);
        return 2;
    }
    SCOPED(media_encoder_close)
    struct media_encoder *encoder = media_encoder_create((int)cores, &why);
    if (encoder == NULL)
        return fail(&why);
    job.encoder = encoder;
    if (!media_confine_enter()) {
        media_fail(&why, "internal", "The media child could not confine itself.");
        return fail(&why);
    }
    struct media_result result;
    if (!media_convert(&job, &result, &why))
        return fail(&why);
    const struct media_report done = {.kind = MEDIA_DONE, .duration_ms = result.duration_ms};
    send_report(&done);
    return 0;
}
