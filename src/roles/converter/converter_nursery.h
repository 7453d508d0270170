#pragma once
// The converter's side of the nursery: starts it, asks it for children, starts another where it is
// gone. One child at a time.

#include "protocol/nursery.h"

#include <stdbool.h>
#include <sys/types.h>

struct converter_nursery { // .program is set by its owner, .socket_fd is -1 at first
    const char *program;   // a path
    pid_t pid;
    int socket_fd;
    int children;
};

// False where the program cannot be run. The descriptor of the process is the caller's, and
// readable once that has ended.
bool converter_nursery_begin(struct converter_nursery *nursery, const struct nursery_limits *limits,
                             const int fds[3], const char *const *arguments, int *out_pid_fd);

// After the child has ended or was killed: its status as waitpid(2) gives it, or that of a program
// that could not be run where the nursery itself has died.
int converter_nursery_end(struct converter_nursery *nursery, struct nursery_cost *out);

// Ends it, with a child that may run. A nursery that was never begun is fine.
void converter_nursery_stop(struct converter_nursery *nursery);
