#include "roles/converter/converter_child.h"

#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LINE_SIZE = 512,
    REPORT_LIMIT = 256 * 1024, // an honest child writes a thousand short lines at most
    DESCRIPTORS_LIMIT = 16,    // the dynamic loader opens libraries one at a time
    NICENESS = 5,              // the roles that answer people go first
    PROCESSOR_GRACE_S = 5,     // between SIGXCPU, which can be told apart, and SIGKILL
    EXIT_NOT_RUN = 127,        // exec failed; also the dynamic loader's status
};

// ---- the verdict ----

enum wait_kind { ENDED_WELL, ENDED_BADLY, NOT_RUN, KILLED, KILLED_BY_CLOCK };

static enum wait_kind kind_of(int wait_status)
{
    if (WIFSIGNALED(wait_status))
        return WTERMSIG(wait_status) == SIGXCPU ? KILLED_BY_CLOCK : KILLED;
    switch (WEXITSTATUS(wait_status)) {
    case 0:
        return ENDED_WELL;
    case EXIT_NOT_RUN:
        return NOT_RUN;
    default:
        return ENDED_BADLY;
    }
}

static const enum converter_child_end by_report_and_end[][5] = {
    // clang-format off
    // last words        ended well     ended badly    not run          killed         by the clock
    [MEDIA_PROGRESS]  = {CHILD_CRASHED, CHILD_CRASHED, CHILD_TRANSIENT, CHILD_CRASHED, CHILD_FAILED},
    [MEDIA_DONE]      = {CHILD_DONE,    CHILD_CRASHED, CHILD_TRANSIENT, CHILD_CRASHED, CHILD_FAILED},
    [MEDIA_FAIL]      = {CHILD_FAILED,  CHILD_FAILED,  CHILD_TRANSIENT, CHILD_CRASHED, CHILD_FAILED},
    [MEDIA_CONFINED]  = {CHILD_CRASHED, CHILD_CRASHED, CHILD_TRANSIENT, CHILD_CRASHED, CHILD_FAILED},
    [MEDIA_MALFORMED] = {CHILD_CRASHED, CHILD_CRASHED, CHILD_TRANSIENT, CHILD_CRASHED, CHILD_FAILED},
    // clang-format on
};

static void judge_late(struct converter_child_verdict *out)
{
    *out = (struct converter_child_verdict){.end = CHILD_FAILED};
    snprintf(out->code, sizeof out->code, "timed_out");
    snprintf(out->detail, sizeof out->detail, "%s", media_code_sentence("timed_out"));
}

static void judge_crash(const struct converter_child_facts *facts,
                        struct converter_child_verdict *out)
{
    out->is_forbidden_call =
        WIFSIGNALED(facts->wait_status) && WTERMSIG(facts->wait_status) == SIGSYS;
    if (out->is_forbidden_call)
        snprintf(out->detail, sizeof out->detail,
                 "the media program was killed for a forbidden system call: the file may have "
                 "taken it over");
    else if (WIFSIGNALED(facts->wait_status) && !facts->is_noisy)
        snprintf(out->detail, sizeof out->detail, "the media program was killed by signal %d",
                 WTERMSIG(facts->wait_status));
    else if (facts->is_noisy)
        snprintf(out->detail, sizeof out->detail, "the media program wrote too long a report");
    else
        snprintf(out->detail, sizeof out->detail,
                 "the media program ended with status %d and no result",
                 WEXITSTATUS(facts->wait_status));
}

static void judge_report(const struct media_report *report, struct converter_child_verdict *out)
{
    if (!media_code_is_permanent(report->code)) {
        out->end = CHILD_TRANSIENT;
        snprintf(out->detail, sizeof out->detail, "%.31s: %.200s", report->code, report->detail);
        return;
    }
    // The sentence goes to a person and into a mail: ours, not what a child that may be
    // somebody else's by now has written.
    snprintf(out->code, sizeof out->code, "%s", report->code);
    snprintf(out->detail, sizeof out->detail, "%s", media_code_sentence(report->code));
}

void converter_child_judge(const struct converter_child_facts *facts,
                           struct converter_child_verdict *out)
{
    *out = (struct converter_child_verdict){.end = CHILD_TRANSIENT, .layers = facts->layers};
    if (!facts->is_started) {
        snprintf(out->detail, sizeof out->detail, "the media program could not be started");
        return;
    }
    if (facts->is_cancelled) {
        out->end = CHILD_CANCELLED;
        return;
    }
    if (facts->is_late) {
        judge_late(out);
        return;
    }
    enum wait_kind kind = kind_of(facts->wait_status);
    out->end = facts->is_noisy ? CHILD_CRASHED : by_report_and_end[facts->last_report.kind][kind];
    if (kind == KILLED_BY_CLOCK && out->end == CHILD_FAILED)
        judge_late(out);
    else if (out->end == CHILD_DONE)
        out->duration_ms = facts->last_report.duration_ms;
    else if (out->end == CHILD_FAILED)
        judge_report(&facts->last_report, out);
    else if (out->end == CHILD_CRASHED)
        judge_crash(facts, out);
    else
        snprintf(out->detail, sizeof out->detail, "the media program could not be run");
}

// ---- the child's side: only async-signal-safe calls between fork and exec ----

// Where the machine's own limit is tighter already, that one stays.
static bool limit(__rlimit_resource_t resource, int64_t soft, int64_t hard)
{
    struct rlimit value;
    if (getrlimit(resource, &value) != 0)
        return false;
    if (value.rlim_max > (rlim_t)hard)
        value.rlim_max = (rlim_t)hard;
    value.rlim_cur = (rlim_t)soft < value.rlim_max ? (rlim_t)soft : value.rlim_max;
    return setrlimit(resource, &value) == 0;
}

static bool set_limits(const struct converter_child *child)
{
    return (child->memory_bytes == 0 ||
            limit(RLIMIT_AS, child->memory_bytes, child->memory_bytes)) &&
           limit(RLIMIT_CPU, child->processor_s, child->processor_s + PROCESSOR_GRACE_S) &&
           limit(RLIMIT_FSIZE, child->output_bytes, child->output_bytes) &&
           limit(RLIMIT_NOFILE, DESCRIPTORS_LIMIT, DESCRIPTORS_LIMIT) && limit(RLIMIT_CORE, 0, 0);
}

// Signals are blocked since before the fork: a handler of the parent's must not run here, where it
// would write into descriptors that both share. Who stops a service may send SIGTERM to all of its
// processes at once (systemd does): to the child that is none of its business, and dying of it
// would look like a crash. It dies by SIGKILL, with its parent at the latest.
static bool set_signals(void)
{
    struct sigaction by_default = {.sa_handler = SIG_DFL}, ignored = {.sa_handler = SIG_IGN};
    sigset_t none;
    sigemptyset(&none);
    return sigaction(SIGPIPE, &by_default, NULL) == 0 && sigaction(SIGTERM, &ignored, NULL) == 0 &&
           sigaction(SIGINT, &ignored, NULL) == 0 && sigaction(SIGHUP, &ignored, NULL) == 0 &&
           sigprocmask(SIG_SETMASK, &none, NULL) == 0;
}

static bool set_descriptors(const struct converter_child *child, int report_fd)
{
    int source_fd = fcntl(child->source_fd, F_DUPFD, 3);
    int output_fd = fcntl(child->output_fd, F_DUPFD, 3);
    int own_report_fd = fcntl(report_fd, F_DUPFD, 3);
    return source_fd >= 0 && output_fd >= 0 && own_report_fd >= 0 && dup2(source_fd, 0) == 0 &&
           dup2(output_fd, 1) == 1 && dup2(own_report_fd, 2) == 2 &&
           close_range(3, UINT_MAX, 0) == 0;
}

static void step_back(void)
{
    if (nice(NICENESS) < 0) {
        // As nice as can be already, or -1 is the new niceness.
    }
}

_Noreturn static void become(const struct converter_child *child, int report_fd, pid_t parent)
{
    char *const no_environment[] = {NULL};
    setpgid(0, 0);
    step_back();
    // The parent may have died before the kernel was told to tell us.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent && set_signals() &&
        set_descriptors(child, report_fd) && set_limits(child))
        execve(child->program, (char *const *)(uintptr_t)child->arguments, no_environment);
    _exit(EXIT_NOT_RUN);
}

static pid_t start(const struct converter_child *child, int report_fd)
{
    sigset_t all, before;
    sigfillset(&all);
    pid_t parent = getpid();
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        become(child, report_fd, parent);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (pid > 0)
        setpgid(pid, pid); // here too: it may be killed before it has run
    return pid;
}

// ---- the parent's side ----

struct reading {
    const struct converter_child *child;
    int report_fd;
    struct converter_child_facts *facts;
    char line[LINE_SIZE];
    size_t line_size;
    bool is_first_line;
    bool is_line_too_long;
    size_t total_bytes;
};

static void end_line(struct reading *reading)
{
    struct media_report report = {.kind = MEDIA_MALFORMED};
    if (!reading->is_line_too_long)
        media_report_parse(reading->line, reading->line_size, &report);
    reading->line_size = 0;
    reading->is_line_too_long = false;
    reading->facts->last_report = report;
    if (report.kind == MEDIA_CONFINED && reading->is_first_line)
        reading->facts->layers = report.layers;
    reading->is_first_line = false;
    if (report.kind == MEDIA_PROGRESS && reading->child->progress != NULL)
        reading->child->progress(reading->child->context, report.progress_permille);
}

// What is there now; false at the end or when there is too much.
static bool read_report(struct reading *reading)
{
    char piece[4096];
    ssize_t got = read(reading->report_fd, piece, sizeof piece);
    if (got < 0)
        return errno == EINTR || errno == EAGAIN;
    if (got == 0)
        return false;
    reading->total_bytes += (size_t)got;
    reading->facts->is_noisy = reading->total_bytes > REPORT_LIMIT;
    for (ssize_t i = 0; i < got; i++) {
        if (piece[i] == '\n')
            end_line(reading);
        else if (reading->line_size < sizeof reading->line)
            reading->line[reading->line_size++] = piece[i];
        else
            reading->is_line_too_long = true;
    }
    return !reading->facts->is_noisy;
}

// Until the child has ended or must be killed. The end of the report says nothing: a process that
// the child left behind may still hold the pipe.
static void watch(struct reading *reading, int pid_fd)
{
    const struct converter_child *child = reading->child;
    int64_t deadline_ms = clock_monotonic_ms() + child->timeout_ms;
    struct pollfd polled[] = {
        {.fd = child->cancel_fd, .events = POLLIN},
        {.fd = pid_fd, .events = POLLIN},
        {.fd = reading->report_fd, .events = POLLIN},
    };
    for (;;) {
        int left_ms = clock_left_ms(deadline_ms);
        int ready = poll(polled, 3, left_ms);
        reading->facts->is_cancelled = ready > 0 && polled[0].revents != 0;
        reading->facts->is_late = ready <= 0 && left_ms == 0;
        if (reading->facts->is_cancelled || reading->facts->is_late)
            return;
        if (ready <= 0)
            continue;
        if (polled[2].revents != 0 && !read_report(reading))
            polled[2].fd = -1;
        if (reading->facts->is_noisy || (polled[1].revents != 0 && polled[2].revents == 0))
            return;
        polled[2].revents = 0;
    }
}

// The group first: its id is ours as long as the child is not waited for.
static int end_child(pid_t pid)
{
    int status = 0;
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

void converter_child_run(const struct converter_child *child, struct converter_child_verdict *out)
{
    struct converter_child_facts facts = {.last_report = {.kind = MEDIA_PROGRESS}};
    int pipe_fds[2] = {-1, -1};
    if (pipe2(pipe_fds, O_CLOEXEC) != 0) {
        converter_child_judge(&facts, out);
        return;
    }
    SCOPED_FD int report_fd = pipe_fds[0];
    pid_t pid = start(child, pipe_fds[1]);
    close(pipe_fds[1]);
    SCOPED_FD int pid_fd = pid > 0 ? pidfd_open(pid, 0) : -1;
    if (pid > 0 && pid_fd >= 0) {
        fcntl(report_fd, F_SETFL, O_NONBLOCK);
        struct reading reading = {
            .child = child, .report_fd = report_fd, .facts = &facts, .is_first_line = true};
        watch(&reading, pid_fd);
        if (reading.line_size > 0)
            facts.last_report.kind = MEDIA_MALFORMED;
        facts.is_started = true;
    }
    if (pid > 0)
        facts.wait_status = end_child(pid);
    converter_child_judge(&facts, out);
}
