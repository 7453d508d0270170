#pragma once
// One child process of the supervisor: the same program, executed anew with a role as its command.

#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

struct child_start {
    const char *role;         // "gateway": the command
    char *const *environment; // NULL-terminated; replaces the whole environment
};

// `out_ready_fd` becomes readable when the child says that it is ready, or ends. The child finds
// the other end as descriptor 3 (UNREEL_READY_FD=3) and dies with this process.
bool child_spawn(const struct child_start *start, pid_t *out_pid, int *out_ready_fd,
                 struct error *err);

// "exit 1", "killed by signal 9 (Killed)".
void child_describe_death(int wait_status, char *out, size_t out_size);
