#pragma once
// Which call of a decorated port fails: call number `fail_at` (1, 2, …; 0 for none), before it has
// had its effect or after it.

#include <stdbool.h>

struct fault {
    int fail_at;
    bool after_effect;
    int calls; // so far
};

enum fault_answer { FAULT_NONE, FAULT_BEFORE, FAULT_AFTER };

static inline enum fault_answer fault_next(struct fault *fault)
{
    if (++fault->calls != fault->fail_at)
        return FAULT_NONE;
    return fault->after_effect ? FAULT_AFTER : FAULT_BEFORE;
}
