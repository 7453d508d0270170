#pragma once
// The simulated world: one seed decides all of it. Time is virtual; everybody who acts is a step
// machine that is woken at its hour, does one thing through the real jobs and letters code, and may
// be killed or frozen at any step.

#include "jobs/jobs.h"
#include "letters/letters.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    WORLD_JOBS = 8,
    WORLD_WORKERS = 4,
    WORLD_NOTIFIERS = 2,
    WORLD_HINTS = 64,
    WORLD_ATTEMPTS = 256,
    WORLD_LETTERS = 64,
    WORLD_RETENTION_MS = 7 * 24 * 3600 * 1000,
};

// What kind of file a job is: its nature does not change from attempt to attempt.
enum nature { NATURE_GOOD, NATURE_SILENT, NATURE_CRASHES_DECODER, NATURE_KILLS_WORKER };

struct job {
    char id[ID_SIZE], key[32];
    enum nature nature;
    bool is_begun, is_accepted, is_delete_asked;
    int retries;
    bool has_source;
    bool has_audio[WORLD_ATTEMPTS]; // blobs, by attempt
};

struct worker {
    int64_t wake_ms;
    enum worker_step { WORKER_IDLE, WORKER_WORKING, WORKER_STORING, WORKER_ENDING } step;
    struct jobs_claimed claimed;
    struct job *job;
    int steps_left, errors;
    int64_t progress;
};

struct notifier {
    int64_t wake_ms;
    enum notifier_step { NOTIFIER_IDLE, NOTIFIER_SENDING, NOTIFIER_NOTING } step;
    struct letter letter;
};

struct sent_letter {
    char id[ID_SIZE];
    int sent, excuses; // a second mail needs an excuse: a death or an error behind the final dot
};

struct hint {
    struct job *job;
    int64_t at_ms;
};

struct world {
    uint64_t random;
    bool is_calm; // no more faults: whatever is unfinished has to come to its end now
    struct jobs *jobs;
    struct job job[WORLD_JOBS];
    size_t jobs_wanted, jobs_made;
    struct worker worker[WORLD_WORKERS];
    size_t workers;
    struct notifier notifier[WORLD_NOTIFIERS];
    int64_t user_wake_ms, janitor_wake_ms;
    struct hint hint[WORLD_HINTS];
    size_t hints;
    struct sent_letter letter[WORLD_LETTERS];
    size_t letters;
    char violation[512]; // "" while all is well
    int64_t claims, kills, takeovers, lost_answers;
};

extern struct world world;

int64_t world_now_ms(void);
uint64_t world_below(uint64_t limit);      // 0 … limit-1
bool world_chance(uint64_t in_a_thousand); // never when the world is calm
int64_t world_between(int64_t from_ms, int64_t to_ms);
void world_violation(const char *format, ...) __attribute__((format(printf, 1, 2)));

void hint_send(struct job *job);
struct job *hint_receive(void); // NULL: none has arrived

void worker_step(struct worker *worker);
void user_step(void);
void janitor_step(void);
void notifier_step(struct notifier *notifier);

struct job *job_of(const char *id);
