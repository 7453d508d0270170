#include "roles/converter/converter_nursery.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    DESCRIPTORS_LIMIT = 16, // the dynamic loader opens libraries one at a time
    NICENESS = 5,           // the roles that answer people go first
    CHILDREN_LIMIT = 100,   // all have the same addresses, which nobody shall get to know
    START_MS = 30000,       // on a machine that is busy or reads its disk
    END_MS = 30000,         // for a process that was killed
    EXIT_NOT_RUN = 127,     // also the dynamic loader's status
};

// ---- the nursery's side: only async-signal-safe calls between fork and exec ----

static bool set_limits(void)
{
    const struct rlimit none = {0, 0}, few = {DESCRIPTORS_LIMIT, DESCRIPTORS_LIMIT};
    return setrlimit(RLIMIT_CORE, &none) == 0 && setrlimit(RLIMIT_NOFILE, &few) == 0;
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

static void step_back(void)
{
    if (nice(NICENESS) < 0) {
        // As nice as can be already, or -1 is the new niceness.
    }
}

_Noreturn static void become(const char *program, int socket_fd, pid_t parent)
{
    char name[] = "unreel-media", face[] = "nursery";
    char *const arguments[] = {name, face, NULL}, *const no_environment[] = {NULL};
    setpgid(0, 0);
    step_back();
    // The parent may have died before the kernel was told to tell us.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent && set_signals() &&
        dup2(socket_fd, NURSERY_FD) == NURSERY_FD && close_range(1, UINT_MAX, 0) == 0 &&
        set_limits())
        execve(program, arguments, no_environment);
    _exit(EXIT_NOT_RUN);
}

// ---- the converter's side ----

static bool start(struct converter_nursery *nursery)
{
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
        return false;
    sigset_t all, before;
    sigfillset(&all);
    pid_t parent = getpid();
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        become(nursery->program, sockets[1], parent);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(sockets[1]);
    nursery->pid = pid;
    nursery->socket_fd = sockets[0];
    nursery->children = 0;
    if (pid < 0)
        converter_nursery_stop(nursery);
    return pid > 0;
}

static bool ask(struct converter_nursery *nursery, const struct nursery_limits *limits,
                const int fds[3], const char *const *arguments, int *out_pid_fd)
{
    struct nursery_answer answer = {.pid_fd = -1};
    if (nursery->socket_fd < 0 && !start(nursery))
        return false;
    if (!nursery_send_request(nursery->socket_fd, limits, fds, arguments) ||
        !nursery_receive_answer(nursery->socket_fd, START_MS, &answer) || answer.pid_fd < 0)
        return false;
    nursery->children++;
    *out_pid_fd = answer.pid_fd;
    return true;
}

static void kill_and_wait(struct converter_nursery *nursery)
{
    int status;
    if (nursery->pid > 0) {
        kill(nursery->pid, SIGKILL);
        while (waitpid(nursery->pid, &status, 0) < 0 && errno == EINTR) {
        }
    }
    nursery->pid = 0;
}

// Whether no child of it had its descriptors: it says so before it lets one go.
static bool stop_before_a_child(struct converter_nursery *nursery)
{
    struct nursery_answer late = {.pid_fd = -1};
    kill_and_wait(nursery);
    bool has_answered = nursery_receive_answer(nursery->socket_fd, 0, &late);
    file_close(late.pid_fd);
    converter_nursery_stop(nursery);
    return !has_answered;
}

bool converter_nursery_begin(struct converter_nursery *nursery, const struct nursery_limits *limits,
                             const int fds[3], const char *const *arguments, int *out_pid_fd)
{
    bool was_there = nursery->socket_fd >= 0; // it may have died since
    if (ask(nursery, limits, fds, arguments, out_pid_fd) ||
        (was_there && stop_before_a_child(nursery) &&
         ask(nursery, limits, fds, arguments, out_pid_fd)))
        return true;
    converter_nursery_stop(nursery);
    return false;
}

// Whoever made a child crash once shall not meet the same addresses again.
int converter_nursery_end(struct converter_nursery *nursery, struct nursery_cost *out)
{
    struct nursery_answer answer = {.pid_fd = -1};
    bool is_told = nursery_receive_answer(nursery->socket_fd, END_MS, &answer);
    if (!is_told || WIFSIGNALED(answer.wait_status) || nursery->children >= CHILDREN_LIMIT)
        converter_nursery_stop(nursery);
    file_close(answer.pid_fd);
    *out = answer.cost;
    return is_told ? answer.wait_status : EXIT_NOT_RUN << 8;
}

void converter_nursery_stop(struct converter_nursery *nursery)
{
    kill_and_wait(nursery);
    file_close(nursery->socket_fd);
    nursery->socket_fd = -1;
}
