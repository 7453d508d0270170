#pragma once
// The database as the simulator wants it: one SQLite file on a memory file system, `{now}` bound to
// a clock that the test moves, and calls that fail now and then, before or after they took effect.

#include "jobs/jobs.h"

#include <stdbool.h>
#include <stdint.h>

struct virtual_sql {
    int64_t now_ms;
    // Asked before each call of a statement, BEGIN or COMMIT.
    enum virtual_fault { VIRTUAL_NONE, VIRTUAL_BEFORE, VIRTUAL_AFTER } (*fault)(void *context);
    void *context;
};
extern struct virtual_sql virtual_sql;

// Ends the process with a sentence where the database cannot be made.
struct jobs *virtual_sql_open(void);
void virtual_sql_close(struct jobs *jobs);
