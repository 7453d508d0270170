#pragma once
// Conversions: the truth about every video that was accepted. A conversion is a row with a `state`
// and one alarm clock, `wake_at`: the moment from which somebody may take it.
//
//     receiving ─► queued ─► converting ─► ready        any ─► deleting ─► deleted (kept 30 days)
//                    ▲            │ └────► failed
//                    └─ transient ┘   └─ retry by the user (source still there) ─► queued
//
// Every change of state is one conditional UPDATE that names the state it leaves and, while
// converting, the `claim`: a random token that only the present owner knows. Zero rows mean that
// somebody else owns the row: walk away. Every change inserts its event in the same transaction;
// ending a conversion inserts its letter there too.
//
// Times are the database's clock. A handle belongs to one thread.

#include "base/error.h"
#include "base/id.h"
#include "base/scope.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    JOBS_NAME_SIZE = 256,
    JOBS_EMAIL_SIZE = 255,
    JOBS_KEY_SIZE = 96, // blob keys
    JOBS_CODE_SIZE = 32,
    JOBS_DETAIL_SIZE = 240,
    JOBS_SHA256_SIZE = 65, // hex
    JOBS_STATE_SIZE = 16,
    JOBS_OPTIONS_SIZE = 1024,
    JOBS_IDEMPOTENCY_SIZE = 129,
    JOBS_TRACE_SIZE = 56,    // W3C traceparent
    JOBS_FAILURES_LIMIT = 5, // transient failures and expired leases
    JOBS_CRASHES_LIMIT = 2,  // children killed by a signal
};

struct conversion {
    char id[ID_SIZE];
    char owner[ID_SIZE];
    char owner_email[JOBS_EMAIL_SIZE];
    char name[JOBS_NAME_SIZE];       // the file's name, cleaned; never a path
    char options[JOBS_OPTIONS_SIZE]; // JSON object: {"preset":"standard", …}
    char state[JOBS_STATE_SIZE];
    char worker[64];
    int64_t attempt; // grows with each claim; part of the result's blob key
    int64_t failures;
    int64_t crashes;
    int64_t progress_permille;
    char source_key[JOBS_KEY_SIZE]; // "" once it is removed
    int64_t source_bytes;
    char source_sha256[JOBS_SHA256_SIZE];
    char audio_key[JOBS_KEY_SIZE]; // "" until ready
    int64_t audio_bytes;
    char audio_sha256[JOBS_SHA256_SIZE];
    int64_t duration_ms;
    char error_code[JOBS_CODE_SIZE]; // "" unless failed
    char error_detail[JOBS_DETAIL_SIZE];
    char idempotency_key[JOBS_IDEMPOTENCY_SIZE]; // "" for none
    char traceparent[JOBS_TRACE_SIZE];
    char mail_state[JOBS_STATE_SIZE]; // state of the newest letter; "" for none
    int64_t wake_at_ms;               // 0 for never
    int64_t created_at_ms, updated_at_ms;
    int64_t expires_at_ms; // 0 until ready or failed
    int64_t revision;
};

struct jobs;

// The same database as the letters. Opens a durable connection and a relaxed one for renewals.
struct jobs *jobs_open(const char *url, struct error *err);
void jobs_close(struct jobs *jobs);
SCOPE_DEFINE(jobs_close, struct jobs *);

bool jobs_migrate(const char *url, struct error *err); // jobs and letters
bool jobs_ready(struct jobs *jobs, struct error *err); // answers, and migrated

// The connection under it, for `letters/`, which live in the same database.
struct sql;
struct sql *jobs_sql(struct jobs *jobs);

// ---- the gateway's side ----

struct jobs_limits {
    int64_t user_bytes;      // stored by one user: sources and audio
    int64_t user_unfinished; // receiving, queued and converting
};

struct jobs_usage {
    int64_t bytes;
    int64_t unfinished;
};
bool jobs_usage(struct jobs *jobs, const char *owner, struct jobs_usage *out, struct error *err);

struct jobs_upload {
    const char *id; // made by the caller with id_new
    const char *owner, *owner_email, *name, *options, *traceparent;
    const char *idempotency_key; // NULL for none; unique within the owner
    const char *source_key;      // where the blob will be
    int64_t announced_bytes;     // counts for the quota until the real size is known
    int64_t deadline_ms;         // from now; later the sweep takes an unfinished upload
};

enum jobs_begin {
    JOBS_BEGUN,         // a row at `receiving` was made
    JOBS_SAME_RUNNING,  // that idempotency key is being received right now
    JOBS_SAME_FINISHED, // that key was accepted before: `out_existing` is the conversion
    JOBS_OVER_BYTES,    // the user's store is full
    JOBS_OVER_UNFINISHED,
    JOBS_BEGIN_FAILED, // err is set
};
// Quota and row in one transaction, before the first byte of the body is read.
enum jobs_begin jobs_upload_begin(struct jobs *jobs, const struct jobs_upload *upload,
                                  const struct jobs_limits *limits, struct conversion *out_existing,
                                  struct error *err);
// receiving → queued, after the blob is durable. The name may have become known only with the body.
// CONFLICT when the upload was taken back meanwhile.
bool jobs_upload_commit(struct jobs *jobs, const char *id, const char *name, const char *options,
                        int64_t bytes, const char *sha256, struct conversion *out,
                        struct error *err);
// receiving → deleting; frees the idempotency key. Nothing to do is fine.
bool jobs_upload_abort(struct jobs *jobs, const char *id, struct error *err);
// Puts the deadline of an upload that makes progress off.
bool jobs_upload_extend(struct jobs *jobs, const char *id, int64_t deadline_ms, struct error *err);

// NOT_FOUND for another user's, and for deleting and deleted ones.
bool jobs_find(struct jobs *jobs, const char *owner, const char *id, struct conversion *out,
               struct error *err);
// Newest first, older than the id `before` (NULL: from the newest); without receiving, deleting and
// deleted ones. `out` has room for `limit`; `out_as_of_ms` is the database's clock.
bool jobs_list(struct jobs *jobs, const char *owner, const char *before, size_t limit,
               struct conversion *out, size_t *out_count, int64_t *out_as_of_ms, struct error *err);
// Calls `each` for every conversion whose `updated_at_ms` is greater than `since_ms`, oldest change
// first, deleting and deleted ones included, receiving ones not; of one owner, or of all for NULL.
// A transaction may commit later than its `updated_at` says, so a tail asks again from some seconds
// before the last it saw and passes over an id whose `revision` it knows; progress, too, raises the
// revision. `each` returns false to stop and must not use the same handle.
bool jobs_changed(struct jobs *jobs, const char *owner, int64_t since_ms,
                  bool (*each)(const struct conversion *conversion, void *context), void *context,
                  struct error *err);
// any → deleting. A running one is thereby cancelled: its owner loses the claim.
bool jobs_delete(struct jobs *jobs, const char *owner, const char *id, struct error *err);
// failed → queued with fresh budgets. CONFLICT when it is not failed or its source is gone.
bool jobs_retry(struct jobs *jobs, const char *owner, const char *id, struct conversion *out,
                struct error *err);
// One more letter about a ready or failed conversion. CONFLICT in any other state, or when five
// letters about it were asked for within an hour.
bool jobs_letter_again(struct jobs *jobs, const char *owner, const char *id, struct error *err);

// A link that needs no log-in: the token is shown once and stored as SHA-256. CONFLICT when the
// conversion is not ready, TOO_LARGE when it has 100 links.
bool jobs_link_create(struct jobs *jobs, const char *owner, const char *id, int64_t lifetime_ms,
                      char out_token[TOKEN_SIZE], struct error *err);
// NOT_FOUND when it is unknown or over, or the conversion is not ready.
bool jobs_link_find(struct jobs *jobs, const char *token, struct conversion *out,
                    struct error *err);

// ---- the converter's side ----

enum { JOBS_CLAIM_SIZE = 33, JOBS_LEASE_MS = 60000, JOBS_RENEW_MS = 15000 };

struct jobs_claimed {
    struct conversion conversion;
    char claim[JOBS_CLAIM_SIZE];
};

enum jobs_answer {
    JOBS_DONE,      // the row changed; it is yours, or it is finished
    JOBS_NOT_YOURS, // zero rows: taken, not due, finished or deleted: walk away
    JOBS_ERROR,     // err is set; the outcome is unknown
};

// Takes the conversion if it is due. Settles also a COMMIT whose answer was lost.
enum jobs_answer jobs_claim(struct jobs *jobs, const char *id, const char *worker,
                            struct jobs_claimed *out, struct error *err);
// Ids that are due, oldest first: converting with an expired lease, then queued. At most `limit`.
bool jobs_due(struct jobs *jobs, char (*out_ids)[ID_SIZE], size_t limit, size_t *out_count,
              struct error *err);
// Puts the lease off by JOBS_LEASE_MS and notes the progress (relaxed connection).
enum jobs_answer jobs_renew(struct jobs *jobs, const char *id, const char *claim,
                            int64_t progress_permille, struct error *err);

struct jobs_result {
    const char *audio_key;
    int64_t audio_bytes;
    const char *audio_sha256;
    int64_t duration_ms;
    int64_t retention_ms; // expires_at = now + this
};
// The five ways out. Asked again after JOBS_ERROR, each answers JOBS_DONE if the first call went
// through after all; JOBS_NOT_YOURS is certain.
//
// converting → ready, with letter and link; source_key becomes "", so the caller then removes that
// blob.
enum jobs_answer jobs_finish(struct jobs *jobs, const struct jobs_claimed *claimed,
                             const struct jobs_result *result, struct error *err);
// converting → failed, with a letter: the file itself is the reason.
enum jobs_answer jobs_fail(struct jobs *jobs, const struct jobs_claimed *claimed, const char *code,
                           const char *detail, int64_t retention_ms, struct error *err);
// converting → queued after a back-off, one failure spent; → failed(gave_up) when the budget is.
// `detail` is a sentence that the user may read: it is what the letter says in the end.
enum jobs_answer jobs_postpone(struct jobs *jobs, const struct jobs_claimed *claimed,
                               const char *detail, int64_t retention_ms, struct error *err);
// The child was killed by a signal: as postpone, but the second time failed(decoder_crash).
enum jobs_answer jobs_crashed(struct jobs *jobs, const struct jobs_claimed *claimed,
                              int64_t retention_ms, struct error *err);
// converting → queued at once, nothing spent: this process is stopping.
enum jobs_answer jobs_give_back(struct jobs *jobs, const struct jobs_claimed *claimed,
                                struct error *err);

// ---- the sweeps: any process, any number of replicas ----

// Rows that a clock set back would let sleep are woken; due rows with a used-up budget →
// failed(gave_up); stale uploads → deleting; expired ready and failed → deleting. At most 50 rows a
// call.
bool jobs_sweep(struct jobs *jobs, int64_t retention_ms, int64_t *out_moved, struct error *err);

// Rows at `deleting` that are due, each taken for a minute. The caller removes the blobs (the named
// keys, and every key of `audio/<id>/`), then calls jobs_deleted.
bool jobs_take_deleting(struct jobs *jobs, struct conversion *out, size_t limit, size_t *out_count,
                        struct error *err);
bool jobs_deleted(struct jobs *jobs, const char *id, struct error *err); // deleting → deleted
// Removes tombstones over 30 days old with their events, links and letters; at most 50.
bool jobs_forget(struct jobs *jobs, int64_t *out_forgotten, struct error *err);
// What the row of that id says about a blob: used to collect leavings of dead attempts. Sets
// out_known=false when there is no row: such a blob is left alone,
// for it may be the only trace of an accepted upload.
bool jobs_blob_is_garbage(struct jobs *jobs, const char *id, const char *blob_key, bool *out_known,
                          bool *out_is_garbage, struct error *err);

// ---- for metrics and tests ----

enum { JOBS_COUNT_LIMIT = 10000, JOBS_STATES = 7, JOBS_LETTER_STATES = 2 };

struct jobs_count {
    const char *state;
    int64_t count; // up to JOBS_COUNT_LIMIT: a question's price must not grow with the table
    int64_t oldest_due_ms; // how long the row that is due first has been due; 0 for none
};
// Of conversions in each state, and of letters that are still to be sent.
bool jobs_counts(struct jobs *jobs, struct jobs_count out[JOBS_STATES], struct error *err);
bool jobs_letter_counts(struct jobs *jobs, struct jobs_count out[JOBS_LETTER_STATES],
                        struct error *err);

struct jobs_event {
    int64_t revision;
    char from_state[JOBS_STATE_SIZE], to_state[JOBS_STATE_SIZE];
    int64_t attempt;
    char actor[64];
    int64_t at_ms;
};
bool jobs_events(struct jobs *jobs, const char *id, struct jobs_event *out, size_t limit,
                 size_t *out_count, struct error *err);
