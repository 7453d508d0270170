#pragma once
// What the files of jobs/ share: the handle, reading a row, and the one way a state changes.

#include "jobs/jobs.h"
#include "letters/letters.h"
#include "sql/sql.h"

struct jobs {
    struct sql *durable;
    struct sql
        *relaxed; // leases, progress, upload deadlines: losing the last of them loses nothing
};

enum {
    JOBS_BATCH = 50,
    JOBS_WORKER_SIZE = 64,
    JOBS_WAIT_LONGEST_MS = 15 * 60 * 1000, // of every back-off, and more than a lease
};

// ---- rows

// What jobs_read_row reads; a WHERE clause follows.
#define JOBS_SELECT                                                                                \
    "SELECT c.id, c.owner, c.owner_email, c.name, c.options, c.state, c.worker, c.attempt, "       \
    "c.failures,"                                                                                  \
    " c.crashes, c.progress_permille, c.source_key, c.source_bytes, c.source_sha256, c.audio_key," \
    " c.audio_bytes, c.audio_sha256, c.duration_ms, c.error_code, c.error_detail,"                 \
    " c.idempotency_key, c.traceparent, c.wake_at, c.created_at, c.updated_at, c.expires_at,"      \
    " c.revision, " LETTERS_NEWEST_STATE("c.id") " FROM conversion c"

void jobs_read_row(const struct sql_row *row, struct conversion *out);

struct jobs_rows {
    struct conversion *items;
    size_t limit, count;
};
bool jobs_collect_row(const struct sql_row *row, void *rows);

struct jobs_ids {
    char (*items)[ID_SIZE];
    size_t limit, count;
};
bool jobs_collect_id(const struct sql_row *row, void *ids); // the first column

bool jobs_collect_integer(const struct sql_row *row, void *out); // int64_t

// The row of that id, whoever owns it and whatever its state. False with NOT_FOUND without one.
bool jobs_load(struct sql *sql, const char *id, struct conversion *out, struct error *err);

// ---- changes of state, all inside the caller's transaction

// Begins the SET list of each change of state, before anything is assigned to `state`.
#define JOBS_CHANGE                                                                                \
    "UPDATE conversion SET previous_state=state, revision=revision+1, updated_at={now}"
#define JOBS_TO_DELETING                                                                           \
    JOBS_CHANGE ", state='deleting', wake_at={now}, claim=NULL, idempotency_key=NULL,"             \
                " idempotency_until=NULL"

// Runs the conditional UPDATE, which begins with JOBS_CHANGE, and if it matched adds the event.
bool jobs_change(struct sql *sql, const char *id, const char *update, struct sql_values values,
                 const char *actor, bool *out_changed, struct error *err);
// Cancels the letters and ends the links of a conversion that has just become `deleting`.
bool jobs_silence(struct sql *sql, const char *id, struct error *err);
bool jobs_add_event(struct sql *sql, const char *id, const char *actor, struct error *err);

// Writes the letter about a conversion that is now ready or failed, with a link if it is ready.
// Without an address there is none to write. `dedupe` is unique within the conversion.
bool jobs_add_letter(struct sql *sql, const char *id, const char *dedupe, struct error *err);
// The same for an ending: one letter per attempt that ended, however often this is tried.
bool jobs_add_ending_letter(struct sql *sql, const char *id, int64_t attempt, struct error *err);

// A link to that conversion, good until `expires_at_ms`.
bool jobs_add_link(struct sql *sql, const char *id, int64_t expires_at_ms,
                   char out_token[TOKEN_SIZE], struct error *err);

// A text that strangers may have chosen, as one readable line.
void jobs_clean(char *out, size_t out_size, const char *text);
