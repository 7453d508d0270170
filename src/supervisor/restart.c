#include "supervisor/restart.h"

enum { DELAY_FIRST_MS = 1000, DELAY_LAST_MS = 60000, DELAY_HEALTHY_MS = 50 };

struct cell {
    enum child_state next;
    enum child_action action;
};

// Rows: state; columns: START, READY, DEATH, TIMEOUT, STOP.
static const struct cell table[CHILD_STATES][CHILD_EVENTS] = {
    [CHILD_STOPPED] = {{CHILD_STARTING, ACTION_SPAWN},
                       {CHILD_STOPPED, ACTION_NONE},
                       {CHILD_STOPPED, ACTION_NONE},
                       {CHILD_STOPPED, ACTION_NONE},
                       {CHILD_STOPPED, ACTION_NONE}},
    [CHILD_STARTING] = {{CHILD_STARTING, ACTION_NONE},
                        {CHILD_READY, ACTION_NONE},
                        {CHILD_WAITING, ACTION_DELAY},
                        {CHILD_STARTING, ACTION_NONE},
                        {CHILD_STOPPING, ACTION_TERMINATE}},
    [CHILD_READY] = {{CHILD_READY, ACTION_NONE},
                     {CHILD_READY, ACTION_NONE},
                     {CHILD_WAITING, ACTION_DELAY},
                     {CHILD_READY, ACTION_NONE},
                     {CHILD_STOPPING, ACTION_TERMINATE}},
    [CHILD_WAITING] = {{CHILD_WAITING, ACTION_NONE},
                       {CHILD_WAITING, ACTION_NONE},
                       {CHILD_WAITING, ACTION_NONE},
                       {CHILD_STARTING, ACTION_SPAWN},
                       {CHILD_STOPPED, ACTION_NONE}},
    [CHILD_STOPPING] = {{CHILD_STOPPING, ACTION_NONE},
                        {CHILD_STOPPING, ACTION_NONE},
                        {CHILD_STOPPED, ACTION_NONE},
                        {CHILD_STOPPING, ACTION_KILL},
                        {CHILD_STOPPING, ACTION_NONE}},
};

static int64_t delay_after_death(struct child_memory *memory)
{
    if (memory->state == CHILD_READY) {
        memory->failed_starts = 0;
        return DELAY_HEALTHY_MS;
    }
    int64_t delay_ms = DELAY_FIRST_MS;
    for (int i = 0; i < memory->failed_starts && delay_ms < DELAY_LAST_MS; i++)
        delay_ms *= 2;
    memory->failed_starts++;
    return delay_ms < DELAY_LAST_MS ? delay_ms : DELAY_LAST_MS;
}

struct child_decision restart_decide(struct child_memory *memory, enum child_event event)
{
    struct cell cell = table[memory->state][event];
    struct child_decision decision = {.action = cell.action};
    if (cell.action == ACTION_DELAY)
        decision.delay_ms = delay_after_death(memory);
    if (cell.next == CHILD_READY)
        memory->failed_starts = 0;
    memory->state = cell.next;
    return decision;
}

const char *child_state_name(enum child_state state)
{
    static const char *const names[] = {"stopped", "starting", "ready", "waiting", "stopping"};
    return names[state];
}
