#include "media/media_child.h"

#include "base/file.h"
#include "base/text.h"
#include "media/media_confine.h"
#include "media/media_convert.h"
#include "media/media_encode.h"
#include "media/media_options.h"
#include "media/media_progress.h"

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

struct arguments {
    struct choices choices;
    const char *title;
    int64_t max_duration_ms;
    int64_t cores;
};

static bool take_argument(int option, struct arguments *out)
{
    struct error ignored;
    if (media_options_is_choice(option))
        return media_options_take(option, optarg, &out->choices, &ignored);
    if (option == 't')
        return (out->title = optarg) != NULL;
    if (option == 'd')
        return text_parse_integer(optarg, 0, INT64_MAX / 1000, &out->max_duration_ms);
    return option == 'c' && text_parse_integer(optarg, 1, 1024, &out->cores);
}

static bool parse_arguments(int argument_count, char **arguments, struct arguments *out)
{
    static const struct option others[] = {
        {"title", required_argument, NULL, 't'},
        {"max-duration-ms", required_argument, NULL, 'd'},
        {"cores", required_argument, NULL, 'c'},
        {NULL, 0, NULL, 0},
    };
    struct option options[MEDIA_OPTIONS_SIZE];
    struct error ignored;
    media_options_list(others, options);
    *out = (struct arguments){.cores = 1};
    choices_init(&out->choices);
    opterr = 0;
    optind = 1;
    for (int option; (option = getopt_long(argument_count, arguments, "", options, NULL)) != -1;)
        if (!take_argument(option, out))
            return false;
    return optind == argument_count && choices_check(&out->choices, &ignored);
}

int media_child_run(int argument_count, char **arguments)
{
    struct arguments parsed;
    struct media_failure why;
    media_confine_prepare();
    if (!parse_arguments(argument_count, arguments, &parsed)) {
        media_fail(&why, "internal", "The media child was started with wrong arguments.");
        fail(&why);
        return 2;
    }
    SCOPED(media_encoder_close)
    struct media_encoder *encoder = media_encoder_create((int)parsed.cores, &why);
    if (encoder == NULL)
        return fail(&why);
    struct media_progress progress = {
        .fd = REPORT_FD, .form = MEDIA_PROGRESS_LINES, .last_permille = -1};
    const struct media_job job = {.source_fd = SOURCE_FD,
                                  .output_fd = OUTPUT_FD,
                                  .choices = &parsed.choices,
                                  .title = parsed.title,
                                  .max_duration_ms = parsed.max_duration_ms,
                                  .encoder = encoder,
                                  .report = media_progress_report,
                                  .context = &progress};
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
