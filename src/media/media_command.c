#include "media/media_command.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/id.h"
#include "base/processors.h"
#include "base/stop.h"
#include "base/text.h"
#include "media/media_confine.h"
#include "media/media_files.h"
#include "media/media_guard.h"
#include "media/media_options.h"
#include "media/media_progress.h"
#include "media/media_work.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DONE = 0, NOT_CONVERTED = 1, USAGE = 2, OPTION_COLUMNS = 18 };

// Of options: no letter can be typed for TITLE.
enum { TITLE = 0x100 };
static const char letters[] = "hqf";

struct command_line {
    const char *input;  // "-": standard input
    const char *output; // "-": standard output; NULL: the input's name with .mp3
    const char *title;
    struct choices choices;
    bool is_quiet;
    bool is_forced;
    bool wants_help;
};

static void help_with_option(const char *name, const char *placeholder, const char *text)
{
    int width = printf("  --%s%s%s", name, placeholder != NULL ? " " : "",
                       placeholder != NULL ? placeholder : "");
    printf("%*s%s\n", width < OPTION_COLUMNS ? OPTION_COLUMNS - width : 1, "", text);
}

static void help_with_presets(void)
{
    const struct preset *preset;
    for (size_t i = 0; (preset = preset_at(i)) != NULL; i++)
        printf("%*s%-9s %s\n", OPTION_COLUMNS + 2, "", preset->name, preset->summary);
}

void media_command_help(void)
{
    printf("Usage: unreel convert IN [OUT] [options]\n"
           "\n"
           "Turns the audio of an MP4, M4A or MOV into an MP3. Without OUT the MP3 stands beside\n"
           "IN, with .mp3 as its ending. \"-\" reads standard input or writes standard output.\n"
           "\n");
    const struct choice *choice;
    for (size_t i = 0; (choice = choices_at(i)) != NULL; i++) {
        help_with_option(choice->name, choice->placeholder, choice->summary);
        if (strcmp(choice->name, "preset") == 0)
            help_with_presets();
    }
    help_with_option("title", "TEXT", "the title, for a file that has none of its own");
    help_with_option("force", NULL, "replace OUT if it is there");
    help_with_option("quiet", NULL, "no progress bar");
    help_with_option("help", NULL, "this text");
    printf("\n"
           "A time is 83.5 (seconds), 1:23.5 or 0:01:23.5, counted in the sound that would play.\n"
           "--loudness measures the whole sound first and then turns all of it up or down alike;\n"
           "it stays below the LUFS asked for where peaks would rise above -1 dBTP.\n"
           "\n"
           "Exit status: 0 converted, 1 not converted (standard error says why), 2 wrong usage.\n"
           "See also: unreel probe, which lists the tracks.\n");
}

static int complain(int status, const char *name, const char *text)
{
    char readable[512];
    text_clean(readable, sizeof readable, name, strlen(name));
    fprintf(stderr, "unreel: %s: %s\n", readable, text);
    return status;
}

static int refuse_usage(const char *text)
{
    fprintf(stderr, "unreel: convert: %s (try --help)\n", text);
    return USAGE;
}

static int refuse_word(const char *word, const char *text)
{
    char readable[512];
    text_clean(readable, sizeof readable, word, strlen(word));
    fprintf(stderr, "unreel: convert: \"%s\": %s (try --help)\n", readable, text);
    return USAGE;
}

// The sentence begins with the choice's name.
static int refuse_choice(const struct error *err)
{
    fprintf(stderr, "unreel: convert: --%s (try --help)\n", err->text);
    return USAGE;
}

// One wrong letter among several says nothing of where it stands: getopt keeps it in optopt.
static int refuse_option(char **arguments)
{
    const char letter[] = {'-', (char)optopt, '\0'};
    bool is_letter = optopt != 0 && optopt < TITLE && strchr(letters, optopt) == NULL;
    return refuse_word(is_letter ? letter : arguments[optind - 1],
                       "unknown option, or one without its value");
}

static bool is_dash(const char *name)
{
    return strcmp(name, "-") == 0;
}

static int parse(int argument_count, char **arguments, struct command_line *out)
{
    static const struct option others[] = {
        {"title", required_argument, NULL, TITLE},
        {"force", no_argument, NULL, 'f'},
        {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct option options[MEDIA_OPTIONS_SIZE];
    struct error err;
    media_options_list(others, options);
    opterr = 0;
    optind = 1;
    for (int option;
         (option = getopt_long(argument_count, arguments, letters, options, NULL)) != -1;) {
        if (media_options_is_choice(option) &&
            !media_options_take(option, optarg, &out->choices, &err))
            return refuse_choice(&err);
        if (option == '?')
            return refuse_option(arguments);
        out->title = option == TITLE ? optarg : out->title;
        out->is_forced |= option == 'f';
        out->is_quiet |= option == 'q';
        out->wants_help |= option == 'h';
    }
    int names = argument_count - optind;
    if (out->wants_help)
        return DONE;
    if (!choices_check(&out->choices, &err))
        return refuse_choice(&err);
    if (names < 1 || names > 2)
        return refuse_usage(names < 1 ? "which file?" : "too many names");
    out->input = arguments[optind];
    out->output = names == 2 ? arguments[optind + 1] : is_dash(out->input) ? "-" : NULL;
    return DONE;
}

// "films/holiday.mp4" -> "films/holiday.mp3"; a dot that starts a name or stands in a folder's
// name is no ending.
static char *default_output(const char *input)
{
    const char *slash = strrchr(input, '/');
    const char *name = slash != NULL ? slash + 1 : input;
    const char *dot = strrchr(name, '.');
    size_t stem = dot != NULL && dot != name ? (size_t)(dot - input) : strlen(input);
    return alloc_format("%.*s.mp3", (int)stem, input);
}

static bool is_same_file(int fd, const char *path)
{
    struct stat one, other;
    return fstat(fd, &one) == 0 && stat(path, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

// More threads than this would want more memory than they save time.
static int thread_count(void)
{
    enum { MOST_THREADS = 16 };
    int count = processors_usable();
    return count < MOST_THREADS ? count : MOST_THREADS;
}

static void draw(void *context, int permille)
{
    (void)media_progress_report(context, permille); // who stops us is seen by the guard
}

// What somebody who asked for a loudness should know.
static void explain_loudness(const struct command_line *line, const struct media_report *done)
{
    char text[96];
    int64_t reached_centi_lufs = done->loudness_centi_lufs + done->gain_centi_db;
    if (line->is_quiet || !line->choices.has_loudness)
        return;
    if (!done->has_loudness)
        complain(DONE, line->input, "no loudness can be measured in this; left as it is");
    else if (reached_centi_lufs < line->choices.loudness_centi_lufs - 10) {
        snprintf(text, sizeof text, "its peaks allow no more than %.1f LUFS",
                 (double)reached_centi_lufs / 100);
        complain(DONE, line->input, text);
    }
}

static int convert(const struct command_line *line, int input, int output)
{
    struct media_progress progress = {.fd = STDERR_FILENO, .last_permille = -1};
    if (!line->is_quiet && isatty(STDERR_FILENO))
        progress.form = MEDIA_PROGRESS_BAR;
    struct media_work work = {
        .choices = &line->choices, .title = line->title, .threads = thread_count()};
    const struct media_guard guard = {.task = media_work_task(&work),
                                      .source_fd = input,
                                      .output_fd = output,
                                      .progress = draw,
                                      .progress_context = &progress};
    struct media_report done;
    struct media_failure why;
    bool is_done = media_guard_run(&guard, &done, &why);
    media_progress_clear(&progress);
    if (!is_done)
        return complain(NOT_CONVERTED, line->input, why.detail);
    explain_loudness(line, &done);
    return DONE;
}

static int convert_to_standard_output(const struct command_line *line, int input)
{
    struct error err;
    SCOPED_FD int spool = media_files_scratch(&err);
    if (spool < 0)
        return complain(NOT_CONVERTED, "standard output", err.text);
    int status = convert(line, input, spool);
    if (status != DONE)
        return status;
    if (lseek(spool, 0, SEEK_SET) != 0 || !media_files_copy(spool, STDOUT_FILENO, &err))
        return complain(NOT_CONVERTED, "standard output", "the MP3 could not be written");
    return DONE;
}

// In the folder of `path`. Nothing of its name is in there: together they could be too long.
static char *unfinished_name(const char *path)
{
    char token[TOKEN_SIZE];
    token_new(token);
    const char *slash = strrchr(path, '/');
    return alloc_format("%.*sunreel-%s.part", slash != NULL ? (int)(slash + 1 - path) : 0, path,
                        token);
}

// The MP3 grows under another name in the same folder; `path` has the old file or the whole new
// one at every moment.
static int convert_to_file(const struct command_line *line, int input, const char *path)
{
    SCOPED(free) char *unfinished = unfinished_name(path);
    SCOPED_FD int output = open(unfinished, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (output < 0)
        return complain(NOT_CONVERTED, path, strerrordesc_np(errno));
    int status = convert(line, input, output);
    if (status == DONE && fsync(output) != 0)
        status = complain(NOT_CONVERTED, path, strerrordesc_np(errno));
    if (status == DONE && rename(unfinished, path) != 0)
        status = complain(NOT_CONVERTED, path, strerrordesc_np(errno));
    if (status != DONE)
        unlink(unfinished);
    return status;
}

// A link that leads nowhere is there, too.
static int check_output(const struct command_line *line, int input, const char *path)
{
    struct stat about;
    if (is_same_file(input, path))
        return complain(USAGE, path, "IN and OUT are the same file");
    if (lstat(path, &about) != 0)
        return errno == ENOENT ? DONE : complain(NOT_CONVERTED, path, strerrordesc_np(errno));
    bool leads_nowhere = stat(path, &about) != 0;
    if (!leads_nowhere && S_ISDIR(about.st_mode))
        return complain(USAGE, path, "is a folder; name the MP3 too");
    if (!leads_nowhere && !S_ISREG(about.st_mode))
        return complain(USAGE, path, "is no file; \"-\" writes standard output");
    if (!line->is_forced)
        return complain(USAGE, path, "is already there (--force replaces it)");
    return DONE;
}

int media_command_run(int argument_count, char **arguments)
{
    struct command_line line = {0};
    choices_init(&line.choices);
    int status = parse(argument_count, arguments, &line);
    if (status != DONE)
        return status;
    if (line.wants_help) {
        media_command_help();
        return DONE;
    }
    if (line.output != NULL && is_dash(line.output) && isatty(STDOUT_FILENO))
        return complain(USAGE, "standard output", "is a terminal; name a file for the MP3");
    stop_install();
    media_confine_prepare();
    struct error err;
    SCOPED_FD int input = media_files_open(line.input, &err);
    if (input < 0)
        return complain(NOT_CONVERTED, line.input, err.text);
    if (line.output != NULL && is_dash(line.output))
        return convert_to_standard_output(&line, input);
    SCOPED(free)
    char *path = line.output != NULL ? alloc_text(line.output) : default_output(line.input);
    status = check_output(&line, input, path);
    return status != DONE ? status : convert_to_file(&line, input, path);
}
