// The converter's side of a conversion for files that come in by standard input: many of them, each
// through a child of its own, for tests/fuzz/campaign. Usage: child-probe PROGRAM SCRATCH CORES
//
//   SIZE ARGUMENT…      words with a space between them; then so many bytes, the file
//
// Answers a line, its fields with a tab between them:
//
//   END CODE CLAIMED_MS MP3_MS WALL_MS PROCESSOR_US PEAK_KIB OUTPUT_BYTES DETAIL
//
// MP3_MS is -1 where the MP3 does not pass mp3_check_file; DETAIL says why. END is `leftover` where
// a process or a descriptor stayed behind.

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "mp3/mp3_frames.h"
#include "protocol/confinement.h"
#include "roles/converter/converter_child.h"
#include "roles/converter/converter_nursery.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// Tighter than the converter's but for the memory: these files are short.
enum {
    WORDS_LIMIT = 32,
    FILE_LIMIT_BYTES = 64 * 1024 * 1024,
    TIMEOUT_MS = 180000,
    PROCESSOR_S = 60,
    OUTPUT_LIMIT_BYTES = 64 * 1024 * 1024,
};

static const char *const end_names[] = {
    [CHILD_DONE] = "done",       [CHILD_FAILED] = "failed",       [CHILD_TRANSIENT] = "transient",
    [CHILD_CRASHED] = "crashed", [CHILD_CANCELLED] = "cancelled",
};

static struct converter_nursery nursery = {.socket_fd = -1};
static struct converter_child child = {
    .nursery = &nursery,
    .cancel_fd = -1,
    .timeout_ms = TIMEOUT_MS,
    .limits = {.processor_s = PROCESSOR_S, .output_bytes = OUTPUT_LIMIT_BYTES},
};
static const char *scratch;

static int count_descriptors(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert(directory != NULL);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

// Orphans come to this process, which is their subreaper; only the nursery may be there.
static bool has_children(void)
{
    pid_t pid = waitpid(-1, NULL, WNOHANG);
    return nursery.pid > 0 ? pid != 0 : pid >= 0 || errno != ECHILD;
}

static void answer(int source_fd, int output_fd)
{
    struct converter_child_verdict verdict;
    struct mp3_summary summary = {.duration_ms = -1};
    struct error err = {0};
    struct stat about;
    int descriptors = count_descriptors() - (nursery.socket_fd >= 0);
    child.source_fd = source_fd;
    child.output_fd = output_fd;
    int64_t began_ms = clock_monotonic_ms();
    converter_child_run(&child, &verdict);
    int64_t wall_ms = clock_monotonic_ms() - began_ms;
    bool is_clean =
        !has_children() && count_descriptors() - (nursery.socket_fd >= 0) == descriptors;
    if (lseek(output_fd, 0, SEEK_SET) != 0 || fstat(output_fd, &about) != 0)
        abort();
    if (verdict.end == CHILD_DONE && !mp3_check_file(output_fd, &summary, &err))
        summary.duration_ms = -1;
    printf("%s\t%s\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64
           "\t%s\n",
           is_clean ? end_names[verdict.end] : "leftover", verdict.code, verdict.duration_ms,
           summary.duration_ms, wall_ms, verdict.cost.processor_us, verdict.cost.peak_kib,
           (int64_t)about.st_size, err.text[0] != '\0' ? err.text : verdict.detail);
    fflush(stdout);
}

static void split(char *line, const char *words[WORDS_LIMIT])
{
    size_t count = 0;
    for (char *rest = line, *word; (word = strsep(&rest, " ")) != NULL && count < WORDS_LIMIT - 1;)
        words[count++] = word;
    words[count] = NULL;
}

static void convert(size_t size)
{
    struct error err = {0};
    SCOPED(free) unsigned char *bytes = alloc_zeroed(1, size + 1);
    SCOPED_FD int source_fd = file_open_scratch(scratch, &err);
    SCOPED_FD int output_fd = file_open_scratch(scratch, &err);
    if (fread(bytes, 1, size, stdin) != size || source_fd < 0 || output_fd < 0 ||
        !file_write_all(source_fd, bytes, size, &err) || lseek(source_fd, 0, SEEK_SET) != 0) {
        fprintf(stderr, "child-probe: %s\n", err.text[0] != '\0' ? err.text : "the file is cut");
        exit(2);
    }
    answer(source_fd, output_fd);
}

int main(int count, char **arguments)
{
    if (count != 4) {
        fprintf(stderr, "usage: child-probe PROGRAM SCRATCH CORES\n");
        return 2;
    }
    nursery.program = arguments[1];
    scratch = arguments[2];
    child.limits.memory_bytes = confinement_memory_bytes((int)strtol(arguments[3], NULL, 10));
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    char line[4096];
    while (fgets(line, sizeof line, stdin) != NULL) {
        const char *words[WORDS_LIMIT];
        line[strcspn(line, "\n")] = '\0';
        split(line, words);
        size_t size = strtoul(words[0], NULL, 10);
        if (size > FILE_LIMIT_BYTES)
            return 2;
        words[0] = "unreel-media";
        child.arguments = words;
        convert(size);
    }
    return 0;
}
