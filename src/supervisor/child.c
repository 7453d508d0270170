#include "supervisor/child.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READY_FD = 3 };

// Between fork and exec: only calls that are safe there.
__attribute__((noreturn)) static void become(const struct child_start *start, int ready_fd,
                                             pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    // Ctrl-C reaches the supervisor alone, which stops the roles in order. A terminal that stops
    // writers outside its foreground group must not stop their logs.
    setpgid(0, 0);
    sigaction(SIGTTOU, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (ready_fd == READY_FD)
        fcntl(READY_FD, F_SETFD, 0);
    else
        dup2(ready_fd, READY_FD);
    close_range(READY_FD + 1, ~0U, 0);
    char name[] = "unreel";
    char role[32];
    snprintf(role, sizeof role, "%s", start->role);
    char *arguments[] = {name, role, NULL};
    execve("/proc/self/exe", arguments, start->environment);
    _exit(127);
}

bool child_spawn(const struct child_start *start, pid_t *out_pid, int *out_ready_fd,
                 struct error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return error_set_errno(err, errno, "create a pipe");
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0)
        become(start, ends[1], parent);
    int fork_errno = errno;
    file_close(ends[1]);
    if (pid < 0) {
        file_close(ends[0]);
        return error_set_errno(err, fork_errno, "start %s", start->role);
    }
    *out_pid = pid;
    *out_ready_fd = ends[0];
    return true;
}

void child_describe_death(int wait_status, char *out, size_t out_size)
{
    if (WIFSIGNALED(wait_status))
        snprintf(out, out_size, "killed by signal %d (%s)", WTERMSIG(wait_status),
                 sigdescr_np(WTERMSIG(wait_status)));
    else
        snprintf(out, out_size, "exit %d", WEXITSTATUS(wait_status));
}
