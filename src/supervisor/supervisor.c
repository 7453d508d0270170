#include "supervisor/supervisor.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "supervisor/child.h"
#include "supervisor/restart.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

struct slot {
    const struct supervisor_child *child;
    struct child_memory memory;
    pid_t pid;             // 0: none
    int ready_fd;          // -1: none
    int64_t started_at_ms; // monotonic
    int64_t deadline_ms;   // 0: none
};

struct supervisor {
    const struct supervisor_options *options;
    struct slot slots[SUPERVISOR_CHILDREN_LIMIT];
    int signal_fd;
    bool is_stopping;
    int stop_phase;
    bool was_ready;
};

static void tell(struct supervisor *supervisor, struct slot *slot, enum child_event event);

static void spawn(struct supervisor *supervisor, struct slot *slot)
{
    struct error err = {0};
    struct child_start start = {.role = slot->child->role, .environment = slot->child->environment};
    slot->started_at_ms = clock_monotonic_ms();
    if (child_spawn(&start, &slot->pid, &slot->ready_fd, &err))
        return;
    log_error("cannot start a child", LOG_TEXT("child", slot->child->name),
              LOG_TEXT("reason", err.text));
    tell(supervisor, slot, EVENT_DEATH);
}

static void tell(struct supervisor *supervisor, struct slot *slot, enum child_event event)
{
    struct child_decision decision = restart_decide(&slot->memory, event);
    switch (decision.action) {
    case ACTION_NONE:
        break;
    case ACTION_SPAWN:
        slot->deadline_ms = 0;
        spawn(supervisor, slot);
        break;
    case ACTION_TERMINATE:
        kill(slot->pid, SIGTERM);
        slot->deadline_ms = clock_monotonic_ms() + supervisor->options->stop_timeout_ms;
        break;
    case ACTION_KILL:
        log_warn("child did not stop in time and is killed", LOG_TEXT("child", slot->child->name));
        kill(slot->pid, SIGKILL);
        slot->deadline_ms = 0;
        break;
    case ACTION_DELAY:
        slot->deadline_ms = clock_monotonic_ms() + decision.delay_ms;
        break;
    }
}

// The obituary: one line a death.
static void bury(struct supervisor *supervisor, struct slot *slot, int wait_status)
{
    char death[96];
    child_describe_death(wait_status, death, sizeof death);
    bool was_expected = slot->memory.state == CHILD_STOPPING;
    int64_t lived_ms = clock_monotonic_ms() - slot->started_at_ms;
    file_close(slot->ready_fd);
    pid_t pid = slot->pid;
    slot->ready_fd = -1;
    slot->pid = 0;
    slot->deadline_ms = 0;
    const char *state = child_state_name(slot->memory.state);
    tell(supervisor, slot, EVENT_DEATH);
    int64_t again_ms = slot->deadline_ms == 0 ? -1 : slot->deadline_ms - clock_monotonic_ms();
    log_write(was_expected ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, "child ended",
              LOG_FIELDS(LOG_TEXT("child", slot->child->name), LOG_INTEGER("pid", pid),
                         LOG_TEXT("how", death), LOG_TEXT("was", state),
                         LOG_INTEGER("lived_ms", lived_ms), LOG_INTEGER("again_in_ms", again_ms)));
}

static void reap(struct supervisor *supervisor)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (size_t i = 0; i < supervisor->options->count; i++)
            if (supervisor->slots[i].pid == pid)
                bury(supervisor, &supervisor->slots[i], status);
}

static void read_signals(struct supervisor *supervisor)
{
    struct signalfd_siginfo signal_info;
    while (read(supervisor->signal_fd, &signal_info, sizeof signal_info) ==
           (ssize_t)sizeof signal_info) {
        if (signal_info.ssi_signo != SIGCHLD && !supervisor->is_stopping) {
            log_info("stopping");
            supervisor->is_stopping = true;
            supervisor->stop_phase = -1;
        }
    }
    reap(supervisor);
}

static void read_ready(struct supervisor *supervisor, struct slot *slot)
{
    char byte;
    ssize_t got = read(slot->ready_fd, &byte, 1);
    if (got < 0 && errno == EINTR)
        return;
    file_close(slot->ready_fd);
    slot->ready_fd = -1;
    if (got == 1)
        tell(supervisor, slot, EVENT_READY);
}

// One poll over the signals and the ready pipes; returns when something happened or a timer is due.
static void wait_for_event(struct supervisor *supervisor)
{
    struct pollfd polled[SUPERVISOR_CHILDREN_LIMIT + 1] = {
        {.fd = supervisor->signal_fd, .events = POLLIN}};
    int timeout_ms = -1;
    size_t count = supervisor->options->count;
    for (size_t i = 0; i < count; i++) {
        struct slot *slot = &supervisor->slots[i];
        polled[i + 1] = (struct pollfd){.fd = slot->ready_fd, .events = POLLIN};
        if (slot->deadline_ms != 0) {
            int left_ms = clock_left_ms(slot->deadline_ms);
            timeout_ms = timeout_ms < 0 || left_ms < timeout_ms ? left_ms : timeout_ms;
        }
    }
    if (poll(polled, (nfds_t)count + 1, timeout_ms) < 0)
        return;
    for (size_t i = 0; i < count; i++)
        if (polled[i + 1].revents != 0 && supervisor->slots[i].ready_fd >= 0)
            read_ready(supervisor, &supervisor->slots[i]);
    if (polled[0].revents != 0)
        read_signals(supervisor);
}

static void run_timers(struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->options->count; i++) {
        struct slot *slot = &supervisor->slots[i];
        if (slot->deadline_ms == 0 || clock_left_ms(slot->deadline_ms) > 0)
            continue;
        slot->deadline_ms = 0;
        tell(supervisor, slot, EVENT_TIMEOUT);
    }
}

static bool phase_is_over(const struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->options->count; i++)
        if (supervisor->slots[i].child->stop_phase <= supervisor->stop_phase &&
            supervisor->slots[i].memory.state != CHILD_STOPPED)
            return false;
    return true;
}

static bool is_all(const struct supervisor *supervisor, enum child_state state)
{
    for (size_t i = 0; i < supervisor->options->count; i++)
        if (supervisor->slots[i].memory.state != state)
            return false;
    return true;
}

// Goes to the next phase when the present one is gone.
static void stop_in_order(struct supervisor *supervisor)
{
    while (phase_is_over(supervisor) && !is_all(supervisor, CHILD_STOPPED)) {
        supervisor->stop_phase++;
        for (size_t i = 0; i < supervisor->options->count; i++)
            if (supervisor->slots[i].child->stop_phase == supervisor->stop_phase)
                tell(supervisor, &supervisor->slots[i], EVENT_STOP);
    }
}

static void block_signals(struct supervisor *supervisor)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    supervisor->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    assert(supervisor->signal_fd >= 0);
}

int supervisor_run(const struct supervisor_options *options)
{
    struct supervisor supervisor = {.options = options};
    assert(options->count > 0 && options->count <= SUPERVISOR_CHILDREN_LIMIT);
    block_signals(&supervisor);
    for (size_t i = 0; i < options->count; i++)
        supervisor.slots[i] = (struct slot){.child = &options->children[i], .ready_fd = -1};
    for (size_t i = 0; i < options->count; i++)
        tell(&supervisor, &supervisor.slots[i], EVENT_START);
    while (!supervisor.is_stopping || !is_all(&supervisor, CHILD_STOPPED)) {
        wait_for_event(&supervisor);
        run_timers(&supervisor);
        if (supervisor.is_stopping)
            stop_in_order(&supervisor);
        if (!supervisor.was_ready && is_all(&supervisor, CHILD_READY)) {
            supervisor.was_ready = true;
            options->all_ready(options->context);
        }
    }
    file_close(supervisor.signal_fd);
    log_info("stopped");
    return 0;
}
