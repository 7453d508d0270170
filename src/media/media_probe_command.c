#include "media/media_probe_command.h"

#include "base/file.h"
#include "base/stop.h"
#include "base/text.h"
#include "media/media_confine.h"
#include "media/media_files.h"
#include "media/media_guard.h"
#include "media/media_probe.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DONE = 0, NOT_READ = 1, USAGE = 2 };

static void print_help(void)
{
    printf("Usage: unreel probe FILE\n"
           "\n"
           "Says what is in an MP4, M4A or MOV, as JSON on standard output: the tracks of sound\n"
           "with their languages and codecs, tags, cover and chapters, and whether the file can\n"
           "be converted; if not, why. \"-\" reads standard input.\n"
           "\n"
           "  --help          this text\n"
           "\n"
           "Exit status: 0 printed, 1 the file could not be read, 2 wrong usage.\n"
           "See also: unreel convert\n");
}

static int complain(int status, const char *name, const char *text)
{
    char readable[512];
    text_clean(readable, sizeof readable, name, strlen(name));
    fprintf(stderr, "unreel: %s: %s\n", readable, text);
    return status;
}

static bool begin(void *context, struct media_failure *why)
{
    (void)context;
    (void)why;
    media_probe_prepare();
    return true;
}

// Confined: the source and the output have their own descriptors.
static bool work(void *context, struct media_report *out_done, struct media_failure *why)
{
    (void)context;
    (void)out_done;
    struct error err;
    SCOPED_BUF struct buf json;
    buf_init(&json, MEDIA_PROBE_BYTES);
    if (!media_probe(MEDIA_SOURCE_FD, &json, why))
        return false;
    return file_write_all(MEDIA_OUTPUT_FD, json.bytes, json.size, &err) ||
           media_fail(why, "internal", "%s", err.text);
}

static int probe(const char *name)
{
    struct error err;
    SCOPED_FD int input = media_files_open(name, &err);
    if (input < 0)
        return complain(NOT_READ, name, err.text);
    SCOPED_FD int output = media_files_scratch(&err);
    if (output < 0)
        return complain(NOT_READ, name, err.text);
    const struct media_guard guard = {
        .task = {.begin = begin, .work = work, .output_bytes = MEDIA_PROBE_BYTES},
        .source_fd = input,
        .output_fd = output};
    struct media_report done;
    struct media_failure why;
    if (!media_guard_run(&guard, &done, &why))
        return complain(NOT_READ, name, why.detail);
    // A file that has taken over the child shall not talk to the terminal.
    if (lseek(output, 0, SEEK_SET) != 0 ||
        !media_files_copy_text(output, STDOUT_FILENO, MEDIA_PROBE_BYTES, &err))
        return complain(NOT_READ, "standard output", "could not be written");
    return DONE;
}

int media_probe_command_run(int argument_count, char **arguments)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    opterr = 0;
    optind = 1;
    int option = getopt_long(argument_count, arguments, "h", options, NULL);
    int names = argument_count - optind;
    if (option == 'h') {
        print_help();
        return DONE;
    }
    if (option != -1 || names != 1) {
        fprintf(stderr, "unreel: probe: %s (try --help)\n",
                option != -1 ? "unknown option"
                : names < 1  ? "which file?"
                             : "too many names");
        return USAGE;
    }
    stop_install();
    media_confine_prepare();
    return probe(arguments[optind]);
}
