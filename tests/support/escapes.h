#pragma once
// What somebody would try who has taken over the decoder by a file: one call that leads out, or
// further in, each.

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum escape_outside {
    ESCAPE_POSSIBLE, // outside of the confinement, wherever a test runs
    ESCAPE_PERHAPS,  // by the machine and the user
    ESCAPE_HARMFUL,  // not to be tried outside
};

struct escape {
    const char *name;
    bool (*is_possible)(void); // tries it
    enum escape_outside outside;
};

extern const struct escape escapes[];
extern const size_t escapes_count;

// Whom the process that tries it has for a parent; set before the fork.
extern pid_t escapes_parent;
