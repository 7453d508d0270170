#pragma once
// What to do with a child when something happens to it: a pure table, no clock, no process.

#include <stdbool.h>
#include <stdint.h>

enum child_state {
    CHILD_STOPPED,  // not there and not wanted
    CHILD_STARTING, // runs, has not said that it is ready
    CHILD_READY,    // runs and is ready
    CHILD_WAITING,  // died; is started again when its time comes
    CHILD_STOPPING, // was told to stop
    CHILD_STATES,
};

enum child_event {
    EVENT_START,   // it is wanted
    EVENT_READY,   // it wrote its newline
    EVENT_DEATH,   // it ended, whatever the reason
    EVENT_TIMEOUT, // the time that the last decision set has come
    EVENT_STOP,    // it is not wanted any more
    CHILD_EVENTS,
};

enum child_action {
    ACTION_NONE,
    ACTION_SPAWN,
    ACTION_TERMINATE, // SIGTERM; kill_after_ms later a TIMEOUT follows
    ACTION_KILL,      // SIGKILL
    ACTION_DELAY,     // set a TIMEOUT after delay_ms
};

struct child_memory {
    enum child_state state;
    int failed_starts; // in a row, without having been ready
};

struct child_decision {
    enum child_action action;
    int64_t delay_ms; // for ACTION_DELAY
};

// Changes the memory and says what to do. A child that has been ready is started again at once when
// it dies; one that never was waits 1 s, 2 s, 4 s … 60 s.
struct child_decision restart_decide(struct child_memory *memory, enum child_event event);

const char *child_state_name(enum child_state state);
