#pragma once
// `unreel serve`: starts the roles as children, starts them again when they die, stops them in
// order. It only turns signals, deaths, ready bytes and timers into events of restart.h.

#include <stdbool.h>
#include <stddef.h>

enum { SUPERVISOR_CHILDREN_LIMIT = 72 };

struct supervisor_child {
    const char *name;   // for the log: "converter-2"
    const char *role;   // the command
    char **environment; // borrowed
    int stop_phase;     // 0 is stopped first; the next phase waits until it is gone
};

struct supervisor_options {
    const struct supervisor_child *children;
    size_t count;
    int stop_timeout_ms; // from SIGTERM to SIGKILL
    // Called once, when every child is ready for the first time.
    void (*all_ready)(void *context);
    void *context;
};

// Returns the exit status: 0 after an ordered stop by SIGTERM or SIGINT.
int supervisor_run(const struct supervisor_options *options);
