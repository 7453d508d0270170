#include "media/media_nursery.h"

#include "base/file.h"
#include "protocol/nursery.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PROCESSOR_GRACE_S = 5, // between SIGXCPU, which can be told apart, and SIGKILL
    STACK_BYTES = 8 * 1024 * 1024,
    EXIT_NOT_RUN = 127,
};

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

static bool set_limits(const struct nursery_limits *limits)
{
    return (limits->memory_bytes == 0 ||
            limit(RLIMIT_AS, limits->memory_bytes, limits->memory_bytes)) &&
           limit(RLIMIT_CPU, limits->processor_s, limits->processor_s + PROCESSOR_GRACE_S) &&
           limit(RLIMIT_FSIZE, limits->output_bytes, limits->output_bytes) &&
           limit(RLIMIT_STACK, STACK_BYTES, STACK_BYTES);
}

static bool set_descriptors(const int fds[3])
{
    int source_fd = fcntl(fds[0], F_DUPFD, 6), output_fd = fcntl(fds[1], F_DUPFD, 6);
    int report_fd = fcntl(fds[2], F_DUPFD, 6);
    return source_fd >= 0 && output_fd >= 0 && report_fd >= 0 && dup2(source_fd, 0) == 0 &&
           dup2(output_fd, 1) == 1 && dup2(report_fd, 2) == 2 && close_range(3, UINT_MAX, 0) == 0;
}

// Source and output are touched once the converter has been told that there is somebody who does.
// Where the nursery dies before, the converter may start another child on the same ones.
static bool wait_to_go(int go_fd)
{
    eventfd_t value;
    int result;
    do
        result = eventfd_read(go_fd, &value);
    while (result != 0 && errno == EINTR);
    return result == 0;
}

_Noreturn static void become(struct nursery_request *request, pid_t parent, int go_fd,
                             int (*work)(int argument_count, char **arguments))
{
    setpgid(0, 0);
    // The parent may have died before the kernel was told to tell us.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent || !wait_to_go(go_fd) ||
        !set_descriptors(request->fds) || !set_limits(&request->limits))
        _exit(EXIT_NOT_RUN);
    _exit(work(request->argument_count, request->arguments));
}

static int64_t micros(struct timeval time)
{
    return (int64_t)time.tv_sec * 1000000 + time.tv_usec;
}

// The group first: its id is the child's as long as that is not waited for.
static void wait_for(pid_t pid, struct nursery_answer *out)
{
    siginfo_t ignored;
    struct rusage used = {0};
    while (waitid(P_PID, (id_t)pid, &ignored, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
    }
    kill(-pid, SIGKILL);
    while (wait4(pid, &out->wait_status, 0, &used) < 0 && errno == EINTR) {
    }
    out->cost = (struct nursery_cost){.processor_us = micros(used.ru_utime) + micros(used.ru_stime),
                                      .peak_kib = used.ru_maxrss};
}

// False: the converter is gone.
static bool raise_child(struct nursery_request *request,
                        int (*work)(int argument_count, char **arguments))
{
    SCOPED_FD int go_fd = eventfd(0, EFD_CLOEXEC);
    pid_t parent = getpid(), pid = go_fd < 0 ? -1 : fork();
    if (pid == 0)
        become(request, parent, go_fd, work);
    for (int i = 0; i < 3; i++)
        file_close(request->fds[i]);
    if (pid < 0)
        return false;
    setpgid(pid, pid); // here too: it may be killed before it has run
    SCOPED_FD int pid_fd = pidfd_open(pid, 0);
    bool is_told =
        pid_fd >= 0 && nursery_send_answer(NURSERY_FD, &(struct nursery_answer){.pid_fd = pid_fd});
    if (!is_told || eventfd_write(go_fd, 1) != 0)
        kill(pid, SIGKILL);
    struct nursery_answer ended = {.pid_fd = -1};
    wait_for(pid, &ended);
    return is_told && nursery_send_answer(NURSERY_FD, &ended);
}

int media_nursery_run(int (*work)(int argument_count, char **arguments))
{
    struct nursery_request request;
    while (nursery_receive_request(NURSERY_FD, &request))
        if (!raise_child(&request, work))
            return 1;
    return 0;
}
