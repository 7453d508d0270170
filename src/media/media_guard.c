#include "media/media_guard.h"

#include "base/file.h"
#include "base/stop.h"
#include "base/text.h"
#include "media/media_confine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINE_SIZE = 512, PROCESSOR_S = 24 * 3600, EXIT_NOT_RUN = 127 };

static const int64_t output_bytes_largest = 64LL * 1024 * 1024 * 1024;

extern char **environ;

// ---- in the child ----

void media_guard_report(const struct media_report *report)
{
    char line[LINE_SIZE];
    struct error ignored;
    size_t size = media_report_format(report, line, sizeof line);
    (void)file_write_all(MEDIA_REPORT_FD, line, size, &ignored);
}

static int fail(const struct media_failure *why)
{
    struct media_report report = {.kind = MEDIA_FAIL};
    text_copy(report.code, sizeof report.code, why->code);
    text_copy(report.detail, sizeof report.detail, why->detail);
    media_guard_report(&report);
    return 1;
}

// Nothing is raised: whoever started us may have set tighter ones.
static bool limit(__rlimit_resource_t resource, int64_t value)
{
    struct rlimit now;
    if (getrlimit(resource, &now) != 0)
        return false;
    if (now.rlim_max > (rlim_t)value)
        now.rlim_max = (rlim_t)value;
    if (now.rlim_cur > now.rlim_max)
        now.rlim_cur = now.rlim_max;
    return setrlimit(resource, &now) == 0;
}

static bool set_limits(const struct media_task *task)
{
    int64_t memory_bytes = confinement_memory_bytes(task->threads);
    int64_t output_bytes = task->output_bytes > 0 ? task->output_bytes : output_bytes_largest;
    return (memory_bytes == 0 || limit(RLIMIT_AS, memory_bytes)) &&
           limit(RLIMIT_CPU, PROCESSOR_S) && limit(RLIMIT_FSIZE, output_bytes);
}

static bool confine_and_work(const struct media_task *task, struct media_report *out_done,
                             struct media_failure *why)
{
    struct media_confinement confinement = {0};
    if (!set_limits(task))
        return media_fail(why, "internal", "This process could not be given limits.");
    media_confine_isolate(&confinement);
    if (task->begin != NULL && !task->begin(task->context, why))
        return false;
    if (!media_confine_enter(&confinement, why) && !task->is_best_effort)
        return false;
    media_guard_report(
        &(struct media_report){.kind = MEDIA_CONFINED, .layers = confinement.layers});
    return task->work(task->context, out_done, why);
}

int media_guard_work(const struct media_task *task)
{
    struct media_failure why;
    struct media_report done = {.kind = MEDIA_DONE};
    bool is_done = confine_and_work(task, &done, &why);
    if (task->end != NULL)
        task->end(task->context);
    if (!is_done)
        return fail(&why);
    media_guard_report(&done);
    return 0;
}

static bool set_descriptors(const struct media_guard *guard, int report_fd)
{
    int source_fd = fcntl(guard->source_fd, F_DUPFD, 3);
    int output_fd = fcntl(guard->output_fd, F_DUPFD, 3);
    int own_report_fd = fcntl(report_fd, F_DUPFD, 3);
    return source_fd >= 0 && output_fd >= 0 && own_report_fd >= 0 &&
           dup2(source_fd, MEDIA_SOURCE_FD) >= 0 && dup2(output_fd, MEDIA_OUTPUT_FD) >= 0 &&
           dup2(own_report_fd, MEDIA_REPORT_FD) >= 0 && close_range(3, UINT_MAX, 0) == 0;
}

// The parent decides what a signal means; a terminal sends them to both. A file that may grow no
// more is an error of its write, no death.
static bool set_signals(void)
{
    const struct sigaction ignored = {.sa_handler = SIG_IGN};
    return sigaction(SIGXFSZ, &ignored, NULL) == 0 && sigaction(SIGTERM, &ignored, NULL) == 0 &&
           sigaction(SIGINT, &ignored, NULL) == 0 && sigaction(SIGHUP, &ignored, NULL) == 0;
}

// What stands in the environment of the person who converts is none of the file's business.
static void forget_environment(void)
{
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++)
        explicit_bzero(*entry, strlen(*entry));
    clearenv();
}

_Noreturn static void become(const struct media_guard *guard, int report_fd, pid_t parent)
{
    forget_environment();
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent || !set_signals() ||
        !set_descriptors(guard, report_fd))
        _exit(EXIT_NOT_RUN);
    _exit(media_guard_work(&guard->task));
}

// ---- in the parent ----

struct listening {
    const struct media_guard *guard;
    struct media_report last;
    char line[LINE_SIZE];
    size_t line_size;
};

static void end_line(struct listening *listening)
{
    media_report_parse(listening->line, listening->line_size, &listening->last);
    listening->line_size = 0;
    const struct media_guard *guard = listening->guard;
    if (listening->last.kind == MEDIA_PROGRESS && guard->progress != NULL)
        guard->progress(guard->progress_context, listening->last.progress_permille);
}

// False at the end.
static bool read_report(struct listening *listening, int fd)
{
    char piece[1024];
    ssize_t got = read(fd, piece, sizeof piece);
    for (ssize_t i = 0; i < got; i++) {
        if (piece[i] == '\n')
            end_line(listening);
        else if (listening->line_size < sizeof listening->line)
            listening->line[listening->line_size++] = piece[i];
    }
    return got > 0 || (got < 0 && errno == EINTR);
}

// Until the report ends, which no process but the child holds. False: asked to stop.
static bool listen_to(struct listening *listening, int report_fd)
{
    struct pollfd polled[] = {{.fd = report_fd, .events = POLLIN},
                              {.fd = stop_fd(), .events = POLLIN}};
    for (;;) {
        if (poll(polled, 2, -1) < 0)
            continue;
        if (polled[1].revents != 0)
            return false;
        if (polled[0].revents != 0 && !read_report(listening, report_fd))
            return true;
    }
}

static bool judge(const struct media_report *last, int wait_status, struct media_report *out_done,
                  struct media_failure *why)
{
    if (WIFSIGNALED(wait_status))
        return media_fail(why, WTERMSIG(wait_status) == SIGXCPU ? "timed_out" : "decoder_crash",
                          NULL);
    if (last->kind == MEDIA_FAIL)
        return media_fail(why, last->code, "%s", last->detail);
    if (WEXITSTATUS(wait_status) != 0 || last->kind != MEDIA_DONE)
        return media_fail(why, "internal", "The conversion ended with status %d and no result.",
                          WEXITSTATUS(wait_status));
    *out_done = *last;
    return true;
}

bool media_guard_run(const struct media_guard *guard, struct media_report *out_done,
                     struct media_failure *why)
{
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) != 0)
        return media_fail_errno(why, errno, "pipe");
    SCOPED_FD int report_fd = pipe_fds[0];
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        become(guard, pipe_fds[1], parent);
    close(pipe_fds[1]);
    if (pid < 0)
        return media_fail_errno(why, errno, "fork");
    struct listening listening = {.guard = guard, .last = {.kind = MEDIA_MALFORMED}};
    bool is_stopped = !listen_to(&listening, report_fd);
    // One that has closed its report is ending, or has nothing more to say and need not stay.
    kill(pid, SIGKILL);
    int wait_status = 0;
    while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR) {
    }
    if (is_stopped)
        return media_fail(why, "cancelled", NULL);
    return judge(&listening.last, wait_status, out_done, why);
}
