#include "media/media_child.h"

#include "base/text.h"
#include "media/media_confine.h"
#include "media/media_guard.h"
#include "media/media_options.h"
#include "media/media_work.h"

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

int media_child_run(int argument_count, char **arguments)
{
    struct arguments parsed;
    media_confine_prepare();
    if (!parse_arguments(argument_count, arguments, &parsed)) {
        media_guard_report(
            &(struct media_report){.kind = MEDIA_FAIL,
                                   .code = "internal",
                                   .detail = "The media child was started with wrong arguments."});
        return 2;
    }
    struct media_work work = {.choices = &parsed.choices,
                              .title = parsed.title,
                              .max_duration_ms = parsed.max_duration_ms,
                              .threads = (int)parsed.cores};
    struct media_task task = media_work_task(&work);
    task.is_best_effort = parsed.is_best_effort;
    return media_guard_work(&task);
}
