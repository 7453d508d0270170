// A few of the ways out, each tried by a process of its own. All of them, and that they are there
// without the confinement, are tried by tests/unit/test_media_confine.c.
#include "media/media_self_test.h"

#include "media/media_confine.h"
#include "media/media_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REFUSED = 42, POSSIBLE = 43 };

static bool open_file(void)
{
    return open("/proc/self/maps", O_RDONLY) >= 0;
}

static bool make_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}

static bool start_process(void)
{
    return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) >= 0;
}

// With nothing to execute: what is asked is how far the kernel goes.
static bool execute_program(void)
{
    char *const nothing[] = {NULL};
    execve("", nothing, nothing);
    return true;
}

static bool signal_others(void)
{
    return kill(getppid(), 0) == 0;
}

static bool run_data(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
           MAP_FAILED;
}

static const struct attempt {
    const char *what;
    bool (*is_possible)(void);
} attempts[] = {
    {"open a file", open_file},           {"make a socket", make_socket},
    {"start a process", start_process},   {"execute a program", execute_program},
    {"signal its parent", signal_others}, {"run data as a program", run_data},
};

static bool try(void *context, struct media_report *out_done, struct media_failure *why)
{
    (void)out_done;
    (void)why;
    const struct attempt *attempt = context;
    _exit(attempt->is_possible() ? POSSIBLE : REFUSED);
}

// What these processes report is not for our parent: it goes where the MP3 would.
static bool is_possible(const struct attempt *attempt, bool is_best_effort)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(MEDIA_OUTPUT_FD, MEDIA_REPORT_FD);
        _exit(media_guard_work(&(struct media_task){.work = try,
                                                    .context = (void *)(uintptr_t)attempt,
                                                    .threads = 1,
                                                    .is_best_effort = is_best_effort}));
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    bool is_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
    return pid < 0 || !(is_killed || (WIFEXITED(status) && WEXITSTATUS(status) == REFUSED));
}

static bool conclude(void *context, struct media_report *out_done, struct media_failure *why)
{
    (void)out_done;
    const struct attempt *const *possible = context;
    return *possible == NULL ||
           media_fail(why, "internal", "A confined process could %s.", (*possible)->what);
}

int media_self_test_run(int argument_count, char **arguments)
{
    bool is_best_effort = argument_count == 2 && strcmp(arguments[1], "--best-effort") == 0;
    if (argument_count > 1 && !is_best_effort)
        return 2;
    media_confine_prepare();
    const struct attempt *possible = NULL;
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0] && possible == NULL; i++)
        if (is_possible(&attempts[i], is_best_effort))
            possible = &attempts[i];
    return media_guard_work(&(struct media_task){
        .work = conclude, .context = &possible, .threads = 1, .is_best_effort = is_best_effort});
}
