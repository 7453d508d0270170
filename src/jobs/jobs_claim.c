// Claims: who may work on a conversion. Each claim draws a new random token; whoever holds an older
// one finds zero rows from then on, whatever it tries.

#include "base/text.h"
#include "jobs/jobs_internal.h"

struct claim {
    const char *id, *worker, *token;
    bool is_changed;
};

// `failures` counts an expired lease; it is read before `state` is assigned.
static bool claim_body(struct sql *sql, void *context, struct error *err)
{
    struct claim *claim = context;
    return jobs_change(
        sql, claim->id,
        JOBS_CHANGE ", failures=CASE WHEN state='converting' THEN failures+1 ELSE failures END,"
                    " attempt=attempt+1, state='converting', claim=?, worker=?,"
                    " wake_at={now}+?, progress_permille=0"
                    " WHERE id=? AND state IN ('queued', 'converting') AND wake_at<={now}"
                    " AND failures<?",
        SQL_VALUES(SQL_TEXT(claim->token), SQL_TEXT(claim->worker), SQL_INTEGER(JOBS_LEASE_MS),
                   SQL_TEXT(claim->id), SQL_INTEGER(JOBS_FAILURES_LIMIT)),
        claim->worker, &claim->is_changed, err);
}

enum jobs_answer jobs_claim(struct jobs *jobs, const char *id, const char *worker,
                            struct jobs_claimed *out, struct error *err)
{
    char own_id[ID_SIZE]; // `id` may lie in *out
    text_copy(own_id, sizeof own_id, id);
    *out = (struct jobs_claimed){0};
    unsigned char random[(JOBS_CLAIM_SIZE - 1) / 2];
    random_bytes(random, sizeof random);
    text_hex(random, sizeof random, out->claim);
    char short_worker[JOBS_WORKER_SIZE];
    text_copy(short_worker, sizeof short_worker, worker);

    struct claim claim = {.id = own_id, .worker = short_worker, .token = out->claim};
    struct error failure = {0};
    bool is_answered = sql_transaction(jobs->durable, claim_body, &claim, &failure);
    if (is_answered && !claim.is_changed)
        return JOBS_NOT_YOURS;
    // Also after an error: the COMMIT may have happened although its answer did not arrive.
    struct jobs_rows rows = {.items = &out->conversion, .limit = 1};
    struct error lookup = {0};
    bool is_read = sql_query(
        jobs->durable, JOBS_SELECT " WHERE c.id=? AND c.state='converting' AND c.claim=?",
        SQL_VALUES(SQL_TEXT(own_id), SQL_TEXT(out->claim)), jobs_collect_row, &rows, &lookup);
    if (is_read && rows.count == 1)
        return JOBS_DONE;
    if (is_answered && is_read)
        return JOBS_NOT_YOURS; // deleted since
    *err = is_answered ? lookup : failure;
    error_prefix(err, "claim conversion");
    return JOBS_ERROR;
}

// Expired leases first: they are few, one for each converter that died, while the queued ones may
// never come to an end. Two questions with one equality each: MariaDB sorts all rows for IN (…)
// ORDER BY, 86 ms against 0.19 ms with 90,000 queued.
bool jobs_due(struct jobs *jobs, char (*out_ids)[ID_SIZE], size_t limit, size_t *out_count,
              struct error *err)
{
    static const char *const states[] = {"converting", "queued"};
    struct jobs_ids ids = {.items = out_ids, .limit = limit};
    for (size_t i = 0; i < 2 && ids.count < limit; i++) {
        if (!sql_query(jobs->durable,
                       "SELECT id FROM conversion WHERE state=? AND wake_at<={now} AND failures<?"
                       " ORDER BY wake_at LIMIT ?",
                       SQL_VALUES(SQL_TEXT(states[i]), SQL_INTEGER(JOBS_FAILURES_LIMIT),
                                  SQL_INTEGER((int64_t)(limit - ids.count))),
                       jobs_collect_id, &ids, err))
            return error_prefix(err, "look for due conversions");
    }
    *out_count = ids.count;
    return true;
}

// A renewal without progress is nobody's news: it changes neither revision nor updated_at.
enum jobs_answer jobs_renew(struct jobs *jobs, const char *id, const char *claim,
                            int64_t progress_permille, struct error *err)
{
    int64_t matched = 0;
    if (!sql_execute(jobs->relaxed,
                     "UPDATE conversion SET wake_at={now}+?,"
                     " revision=CASE WHEN progress_permille<>? THEN revision+1 ELSE revision END,"
                     " updated_at=CASE WHEN progress_permille<>? THEN {now} ELSE updated_at END,"
                     " progress_permille=? WHERE id=? AND state='converting' AND claim=?",
                     SQL_VALUES(SQL_INTEGER(JOBS_LEASE_MS), SQL_INTEGER(progress_permille),
                                SQL_INTEGER(progress_permille), SQL_INTEGER(progress_permille),
                                SQL_TEXT(id), SQL_TEXT(claim)),
                     &matched, err)) {
        error_prefix(err, "renew lease");
        return JOBS_ERROR;
    }
    return matched == 1 ? JOBS_DONE : JOBS_NOT_YOURS;
}
