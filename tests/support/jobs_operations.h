#pragma once
// The changes of a conversion's state, for suites that let one of their calls fail: each brings a
// conversion into its first state, then tries the change.

#include "jobs/jobs.h"

#include <stdbool.h>
#include <stddef.h>

struct jobs_operation {
    const char *from_state, *to_state;
    void (*prepare)(struct jobs *jobs, struct jobs_claimed *out);
    // True: it was told that it is done. Ends the test when it is told that the row is another's.
    bool (*run)(struct jobs *jobs, const struct jobs_claimed *claimed);
    int letters; // that the outcome has
};

enum {
    JOBS_OPERATION_COMMIT,
    JOBS_OPERATION_ABORT,
    JOBS_OPERATION_CLAIM,
    JOBS_OPERATION_FINISH,
    JOBS_OPERATION_FAIL,
    JOBS_OPERATION_POSTPONE,
    JOBS_OPERATION_GIVE_BACK,
    JOBS_OPERATION_RETRY,
    JOBS_OPERATION_DELETE,
    JOBS_OPERATIONS
};

extern const struct jobs_operation jobs_operations[JOBS_OPERATIONS];

// Ends the test unless the row is in the first state or in the last, wholly, and in the last if
// `is_told_done`; an operation that nothing disturbed has to be done. Returns whether it is in
// the last.
bool jobs_operation_check(const struct jobs_operation *operation, struct jobs *jobs, const char *id,
                          int number, bool is_told_done, bool is_disturbed);
