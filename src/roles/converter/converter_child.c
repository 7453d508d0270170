#include "roles/converter/converter_child.h"

#include "base/clock.h"
#include "base/file.h"
#include "roles/converter/converter_nursery.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LINE_SIZE = 512,
    REPORT_LIMIT = 256 * 1024, // an honest child writes a thousand short lines at most
    EXIT_NOT_RUN = 127,        // the program or a limit of it; also the dynamic loader's status
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

// ---- reading and watching ----

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
// the child left behind may still hold the pipe. Nor is it the nursery that is asked, which may
// stand still while the time runs.
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

void converter_child_run(const struct converter_child *child, struct converter_child_verdict *out)
{
    struct converter_child_facts facts = {.last_report = {.kind = MEDIA_PROGRESS}};
    struct converter_nursery *nursery = child->nursery;
    struct nursery_cost cost = {0};
    int pipe_fds[2] = {-1, -1};
    SCOPED_FD int pid_fd = -1;
    if (pipe2(pipe_fds, O_CLOEXEC) != 0) {
        converter_child_judge(&facts, out);
        return;
    }
    SCOPED_FD int report_fd = pipe_fds[0];
    const int fds[3] = {child->source_fd, child->output_fd, pipe_fds[1]};
    facts.is_started =
        converter_nursery_begin(nursery, &child->limits, fds, child->arguments, &pid_fd);
    close(pipe_fds[1]);
    if (facts.is_started) {
        fcntl(report_fd, F_SETFL, O_NONBLOCK);
        struct reading reading = {
            .child = child, .report_fd = report_fd, .facts = &facts, .is_first_line = true};
        watch(&reading, pid_fd);
        if (reading.line_size > 0)
            facts.last_report.kind = MEDIA_MALFORMED;
        pidfd_send_signal(pid_fd, SIGKILL, NULL, 0);
        facts.wait_status = converter_nursery_end(nursery, &cost);
    }
    converter_child_judge(&facts, out);
    out->cost = cost;
}
