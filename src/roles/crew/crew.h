#pragma once
// The two threads of a role that works through rows that are due: conversions or letters.
//
// The worker does the work: it takes the row that a hint names, then whatever else is due, and
// looks again every five seconds. The keeper owns the queue's connection and a database handle of
// its own: it receives hints and renews the lease of the row at hand, so that a store that blocks
// the worker stops neither heartbeat nor lease. They meet in `struct crew` alone.

#include "base/error.h"
#include "base/id.h"
#include "base/scope.h"
#include "http/http_admin.h"
#include "jobs/jobs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct crew;

enum crew_answer {
    CREW_WORKED,   // the row was taken, and what came of it was noted
    CREW_NOT_OURS, // somebody else has it, or it is not due
    CREW_TROUBLE,  // err is set: something we need does not answer
};

enum crew_cancel {
    CREW_GO_ON,
    CREW_LOST,     // the row belongs to somebody else now, or may soon: touch it no more
    CREW_STOPPING, // this process ends: give the row back
};

struct crew_duty {
    const char *topic;    // whose hints
    bool hint_names_work; // a hint's id may be handed to `work`; else it only says "look"
    void *context;        // for the worker's four:

    // Opens what is not open. False: no row is taken now; called again after a back-off.
    bool (*prepare)(void *context, struct error *err);
    // Closes everything; after trouble and at the end.
    void (*release)(void *context);
    bool (*due)(void *context, char (*out_ids)[ID_SIZE], size_t limit, size_t *out_count,
                struct error *err);
    enum crew_answer (*work)(void *context, const char *id, struct error *err);

    // The keeper's, with its own handle.
    enum crew_answer (*renew)(struct jobs *jobs, const char *id, const char *claim,
                              int64_t progress_permille, struct error *err);
};

// The duty and the URLs must outlive the crew. No thread runs before crew_start.
struct crew *crew_create(const struct crew_duty *duty, const char *queue_url, const char *jobs_url,
                         struct error *err);
bool crew_start(struct crew *crew, struct error *err);
// Cancels the work at hand, waits for both threads, frees. Takes NULL.
void crew_stop(struct crew *crew);
SCOPE_DEFINE(crew_stop, struct crew *);

// ---- for `work`, in the worker thread ----

// From here on the keeper renews the lease; until crew_let_go.
void crew_hold(struct crew *crew, const char *id, const char *claim);
void crew_progress(struct crew *crew, int64_t permille);
enum crew_cancel crew_cancelled(struct crew *crew);
// Readable once the work at hand is cancelled: for poll(2).
int crew_cancel_fd(struct crew *crew);
// Before the row is settled: a renewal that finds it settled is no loss. Returns whether the work
// was cancelled until now.
enum crew_cancel crew_let_go(struct crew *crew);
// Waits; true at once when the process is stopping.
bool crew_wait_ms(struct crew *crew, int64_t ms);

// ---- for the role ----

// "host:pid", for the rows; `out` holds 64 bytes.
void crew_worker_name(char out[64]);
// Fills the checks of what every crew needs (jobs, queue), each with a handle of its own; returns
// how many.
size_t crew_checks(struct crew *crew, struct http_admin_check *out, size_t limit);
// Whether failure number `count` in a row deserves a line in the log: 1, 2, 4, 8, …
bool crew_is_worth_a_line(int count);
