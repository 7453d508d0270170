// The sweeps: rows whose alarm clock rang and that nobody will take by hand. Any number of replicas
// may run them at once, since each row is moved by its own conditional UPDATE. A call writes 50
// rows at most; whoever calls in a loop pauses in between, or other writers to SQLite starve.

#include "jobs/jobs_internal.h"

enum { TAKEN_MS = 60000 };
static const int64_t tombstone_ms = INT64_C(30) * 24 * 60 * 60 * 1000;

struct batch {
    char ids[JOBS_BATCH][ID_SIZE];
    size_t count;
    const char *from_state;
    int64_t retention_ms;
    int64_t moved;
};

typedef bool (*batch_body)(struct sql *sql, void *context, struct error *err);

// Reads the ids first and outside, so that the transaction holds its lock for the writes only.
static bool run_batch(struct jobs *jobs, struct batch *batch, const char *select,
                      struct sql_values values, batch_body body, struct error *err)
{
    struct jobs_ids ids = {.items = batch->ids, .limit = JOBS_BATCH};
    if (!sql_query(jobs->durable, select, values, jobs_collect_id, &ids, err))
        return false;
    batch->count = ids.count;
    batch->moved = 0;
    return batch->count == 0 || sql_transaction(jobs->durable, body, batch, err);
}

// A queued row has budget left by construction, so an expired lease is the only way to get here.
static bool give_up_body(struct sql *sql, void *context, struct error *err)
{
    struct batch *batch = context;
    batch->moved = 0;
    for (size_t i = 0; i < batch->count; i++) {
        const char *id = batch->ids[i];
        bool is_changed = false;
        struct conversion row;
        if (!jobs_change(sql, id,
                         JOBS_CHANGE ", state='failed', claim=NULL, error_code='gave_up',"
                                     " error_detail=?, wake_at={now}+?, expires_at={now}+?"
                                     " WHERE id=? AND state='converting' AND wake_at<={now}"
                                     " AND failures>=?",
                         SQL_VALUES(SQL_TEXT("The conversion was tried several times and never "
                                             "came to an end."),
                                    SQL_INTEGER(batch->retention_ms),
                                    SQL_INTEGER(batch->retention_ms), SQL_TEXT(id),
                                    SQL_INTEGER(JOBS_FAILURES_LIMIT)),
                         "sweep", &is_changed, err))
            return false;
        if (is_changed &&
            (!jobs_load(sql, id, &row, err) || !jobs_add_ending_letter(sql, id, row.attempt, err)))
            return false;
        batch->moved += is_changed;
    }
    return true;
}

static bool expire_body(struct sql *sql, void *context, struct error *err)
{
    struct batch *batch = context;
    batch->moved = 0;
    for (size_t i = 0; i < batch->count; i++) {
        const char *id = batch->ids[i];
        bool is_changed = false;
        if (!jobs_change(sql, id, JOBS_TO_DELETING " WHERE id=? AND state=? AND wake_at<={now}",
                         SQL_VALUES(SQL_TEXT(id), SQL_TEXT(batch->from_state)), "sweep",
                         &is_changed, err))
            return false;
        if (is_changed && !jobs_silence(sql, id, err))
            return false;
        batch->moved += is_changed;
    }
    return true;
}

// After a day a client no longer repeats a request; its key may be used for something else.
static bool free_keys_body(struct sql *sql, void *context, struct error *err)
{
    struct batch *batch = context;
    batch->moved = 0;
    for (size_t i = 0; i < batch->count; i++) {
        int64_t matched = 0;
        if (!sql_execute(sql,
                         "UPDATE conversion SET idempotency_key=NULL, idempotency_until=NULL"
                         " WHERE id=? AND idempotency_until<={now} AND state<>'receiving'",
                         SQL_VALUES(SQL_TEXT(batch->ids[i])), &matched, err))
            return false;
        batch->moved += matched;
    }
    return true;
}

static bool wake_body(struct sql *sql, void *context, struct error *err)
{
    struct batch *batch = context;
    batch->moved = 0;
    for (size_t i = 0; i < batch->count; i++)
        if (!sql_execute(sql,
                         "UPDATE conversion SET wake_at={now}+? WHERE id=? AND state=?"
                         " AND wake_at>{now}+?",
                         SQL_VALUES(SQL_INTEGER(JOBS_LEASE_MS), SQL_TEXT(batch->ids[i]),
                                    SQL_TEXT(batch->from_state), SQL_INTEGER(JOBS_WAIT_LONGEST_MS)),
                         NULL, err))
            return false;
    return true;
}

// No back-off and no lease is that long: the database's clock was set back, and these would sleep
// for as far as it was. A running one is renewed before its minute is over.
static bool wake_sleepers(struct jobs *jobs, struct batch *batch, struct error *err)
{
    static const char *const states[] = {"queued", "converting", "deleting"};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        batch->from_state = states[i];
        if (!run_batch(jobs, batch,
                       "SELECT id FROM conversion WHERE state=? AND wake_at>{now}+? LIMIT ?",
                       SQL_VALUES(SQL_TEXT(states[i]), SQL_INTEGER(JOBS_WAIT_LONGEST_MS),
                                  SQL_INTEGER(JOBS_BATCH)),
                       wake_body, err))
            return error_prefix(err, "wake sleeping conversions");
    }
    return letters_wake_sleepers(jobs->durable, err);
}

static const char due_query[] =
    "SELECT id FROM conversion WHERE state=? AND wake_at<={now} ORDER BY wake_at LIMIT ?";

bool jobs_sweep(struct jobs *jobs, int64_t retention_ms, int64_t *out_moved, struct error *err)
{
    struct batch batch = {.retention_ms = retention_ms};
    *out_moved = 0;
    if (!wake_sleepers(jobs, &batch, err))
        return false;
    if (!run_batch(jobs, &batch,
                   "SELECT id FROM conversion WHERE state='converting' AND wake_at<={now}"
                   " AND failures>=? ORDER BY wake_at LIMIT ?",
                   SQL_VALUES(SQL_INTEGER(JOBS_FAILURES_LIMIT), SQL_INTEGER(JOBS_BATCH)),
                   give_up_body, err))
        return error_prefix(err, "sweep used-up conversions");
    *out_moved += batch.moved;

    static const char *const expiring[] = {"receiving", "ready", "failed"};
    for (size_t i = 0; i < 3 && *out_moved < JOBS_BATCH; i++) {
        batch.from_state = expiring[i];
        if (!run_batch(jobs, &batch, due_query,
                       SQL_VALUES(SQL_TEXT(expiring[i]), SQL_INTEGER(JOBS_BATCH - *out_moved)),
                       expire_body, err))
            return error_prefix(err, "sweep %s", expiring[i]);
        *out_moved += batch.moved;
    }
    if (*out_moved >= JOBS_BATCH)
        return true;
    if (!run_batch(jobs, &batch,
                   "SELECT id FROM conversion WHERE idempotency_until<={now}"
                   " AND state<>'receiving' ORDER BY idempotency_until LIMIT ?",
                   SQL_VALUES(SQL_INTEGER(JOBS_BATCH - *out_moved)), free_keys_body, err))
        return error_prefix(err, "sweep idempotency keys");
    *out_moved += batch.moved;
    return true;
}

bool jobs_take_deleting(struct jobs *jobs, struct conversion *out, size_t limit, size_t *out_count,
                        struct error *err)
{
    char ids[JOBS_BATCH][ID_SIZE];
    struct jobs_ids due = {.items = ids, .limit = limit < JOBS_BATCH ? limit : JOBS_BATCH};
    *out_count = 0;
    if (!sql_query(jobs->durable, due_query,
                   SQL_VALUES(SQL_TEXT("deleting"), SQL_INTEGER((int64_t)due.limit)),
                   jobs_collect_id, &due, err))
        return error_prefix(err, "look for conversions to delete");
    for (size_t i = 0; i < due.count; i++) {
        int64_t matched = 0;
        if (!sql_execute(jobs->relaxed,
                         "UPDATE conversion SET wake_at={now}+?"
                         " WHERE id=? AND state='deleting' AND wake_at<={now}",
                         SQL_VALUES(SQL_INTEGER(TAKEN_MS), SQL_TEXT(ids[i])), &matched, err))
            return error_prefix(err, "take a conversion to delete");
        if (matched == 0)
            continue;
        if (!jobs_load(jobs->durable, ids[i], &out[*out_count], err))
            return error_prefix(err, "take a conversion to delete");
        (*out_count)++;
    }
    return true;
}

struct tombstone {
    const char *id;
};

// The tombstone keeps what the page's list needs to forget the row, and nothing personal.
static bool deleted_body(struct sql *sql, void *context, struct error *err)
{
    const struct tombstone *tombstone = context;
    bool is_changed = false;
    return jobs_change(sql, tombstone->id,
                       JOBS_CHANGE ", state='deleted', wake_at={now}+?, owner_email='', name='',"
                                   " options='{}', source_key='', audio_key='', error_detail='',"
                                   " traceparent='' WHERE id=? AND state='deleting'",
                       SQL_VALUES(SQL_INTEGER(tombstone_ms), SQL_TEXT(tombstone->id)), "sweep",
                       &is_changed, err);
}

bool jobs_deleted(struct jobs *jobs, const char *id, struct error *err)
{
    struct tombstone tombstone = {.id = id};
    return sql_transaction(jobs->durable, deleted_body, &tombstone, err) ||
           error_prefix(err, "note the deletion");
}

static bool forget_body(struct sql *sql, void *context, struct error *err)
{
    static const char *const statements[] = {
        "DELETE FROM event WHERE conversion=?",
        "DELETE FROM link WHERE conversion=?",
    };
    struct batch *batch = context;
    batch->moved = 0;
    for (size_t i = 0; i < batch->count; i++) {
        struct sql_values id = SQL_VALUES(SQL_TEXT(batch->ids[i]));
        int64_t matched = 0;
        if (!sql_execute(sql, "DELETE FROM conversion WHERE id=? AND state='deleted'", id, &matched,
                         err))
            return false;
        for (size_t k = 0; k < 2 && matched == 1; k++)
            if (!sql_execute(sql, statements[k], id, NULL, err))
                return false;
        if (matched == 1 && !letters_forget(sql, batch->ids[i], err))
            return false;
        batch->moved += matched;
    }
    return true;
}

bool jobs_forget(struct jobs *jobs, int64_t *out_forgotten, struct error *err)
{
    struct batch batch = {0};
    *out_forgotten = 0;
    if (!run_batch(jobs, &batch, due_query,
                   SQL_VALUES(SQL_TEXT("deleted"), SQL_INTEGER(JOBS_BATCH)), forget_body, err))
        return error_prefix(err, "forget deleted conversions");
    *out_forgotten = batch.moved;
    return true;
}
