#include "media/media_child.h"

#include "base/text.h"
#include "media/media_confine.h"
#include "media/media_convert.h"
#include "media/media_encode.h"
#include "media/media_guard.h"
#include "media/media_options.h"
#include "media/media_progress.h"

struct arguments {
    struct choices choices;
    const char *title;
    int64_t max_duration_ms;
    int64_t cores;
    bool is_best_effort;
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
    if (option == 'b')
        return out->is_best_effort = true;
    return option == 'c' && text_parse_integer(optarg, 1, 1024, &out->cores);
}

static bool parse_arguments(int argument_count, char **arguments, struct arguments *out)
{
    static const struct option others[] = {
        {"title", required_argument, NULL, 't'},
        {"max-duration-ms", required_argument, NULL, 'd'},
        {"cores", required_argument, NULL, 'c'},
        {"best-effort", no_argument, NULL, 'b'},
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

struct child {
    struct arguments arguments;
    struct media_encoder *encoder;
};

static bool begin(void *context, struct media_failure *why)
{
    struct child *child = context;
    child->encoder = media_encoder_create((int)child->arguments.cores, why);
    return child->encoder != NULL;
}

static bool work(void *context, struct media_report *out_done, struct media_failure *why)
{
    struct child *child = context;
    struct media_progress progress = {
        .fd = MEDIA_REPORT_FD, .form = MEDIA_PROGRESS_LINES, .last_permille = -1};
    const struct media_job job = {.source_fd = MEDIA_SOURCE_FD,
                                  .output_fd = MEDIA_OUTPUT_FD,
                                  .choices = &child->arguments.choices,
                                  .title = child->arguments.title,
                                  .max_duration_ms = child->arguments.max_duration_ms,
                                  .encoder = child->encoder,
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
    struct child *child = context;
    media_encoder_close(child->encoder);
}

int media_child_run(int argument_count, char **arguments)
{
    struct child child = {0};
    media_confine_prepare();
    if (!parse_arguments(argument_count, arguments, &child.arguments)) {
        media_guard_report(
            &(struct media_report){.kind = MEDIA_FAIL,
                                   .code = "internal",
                                   .detail = "The media child was started with wrong arguments."});
        return 2;
    }
    return media_guard_work(&(struct media_task){.begin = begin,
                                                 .work = work,
                                                 .end = end,
                                                 .context = &child,
                                                 .threads = (int)child.arguments.cores,
                                                 .is_best_effort = child.arguments.is_best_effort});
}
