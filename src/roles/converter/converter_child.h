#pragma once
// Runs the media program on two open files: no environment, no descriptor but those two and its
// report, limits on memory, time and size, killed with its whole process group when it is
// cancelled, late, noisy or finished. Nothing that it says is believed further than the table in
// converter_child.c.

#include "base/error.h"
#include "protocol/media_report.h"
#include "protocol/nursery.h"

#include <stdbool.h>
#include <stdint.h>

struct converter_nursery;

struct converter_child {
    struct converter_nursery *nursery; // which starts it
    const char *const *arguments;      // with the program's name first, NULL-terminated
    int source_fd, output_fd;          // borrowed; become descriptors 0 and 1
    int cancel_fd;                     // readable: kill it
    int64_t timeout_ms;                // by the clock on the wall
    struct nursery_limits limits;
    void (*progress)(void *context, int permille);
    void *context;
};

enum converter_child_end {
    CHILD_DONE,      // the output is complete, it says
    CHILD_FAILED,    // the file itself is the reason: `code` and `detail`
    CHILD_TRANSIENT, // another try may help: `detail`
    CHILD_CRASHED,   // killed by a signal, or ended without a word
    CHILD_CANCELLED,
};

struct converter_child_verdict {
    enum converter_child_end end;
    int64_t duration_ms; // DONE: what it claims
    struct nursery_cost cost;
    unsigned layers;        // what it says that confines it: protocol/confinement.h
    bool is_forbidden_call; // CRASHED: by a system call that no file has a need for
    char code[MEDIA_CODE_SIZE];
    char detail[MEDIA_DETAIL_SIZE];
};

// Returns when no process of the child's group is left.
void converter_child_run(const struct converter_child *child, struct converter_child_verdict *out);

// ---- for the test of the table ----

struct converter_child_facts {
    bool is_started;
    bool is_cancelled;
    bool is_late;                    // the deadline passed
    bool is_noisy;                   // more report than any honest child writes
    unsigned layers;                 // of its first line
    int wait_status;                 // of waitpid(2)
    struct media_report last_report; // MEDIA_PROGRESS where there was none
};
void converter_child_judge(const struct converter_child_facts *facts,
                           struct converter_child_verdict *out);
