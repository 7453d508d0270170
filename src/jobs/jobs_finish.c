// The ways out of `converting` that its owner has. Each is one transaction: the row under its
// claim, the event, and the letter if it is an end.
//
// The row keeps the claim of whoever ended it (in another state than `converting` it permits
// nothing), so that a lost answer, or a second call, can be told from a row somebody else has
// taken.

#include "base/clock.h"
#include "jobs/jobs_internal.h"

#include <stdio.h>

enum { FIRST_BACK_OFF_MS = 15000 };

struct leaving {
    const struct jobs_claimed *claimed;
    const char *to_state;
    const char *update;
    struct sql_values values;
    bool has_letter;
    bool is_changed;
};

static bool leave_body(struct sql *sql, void *context, struct error *err)
{
    struct leaving *leaving = context;
    const struct conversion *conversion = &leaving->claimed->conversion;
    if (!jobs_change(sql, conversion->id, leaving->update, leaving->values, conversion->worker,
                     &leaving->is_changed, err))
        return false;
    return !leaving->is_changed || !leaving->has_letter ||
           jobs_add_ending_letter(sql, conversion->id, conversion->attempt, err);
}

static enum jobs_answer leave(struct jobs *jobs, struct leaving *leaving, struct error *err)
{
    struct error failure = {0};
    bool is_answered = sql_transaction(jobs->durable, leave_body, leaving, &failure);
    if (is_answered && leaving->is_changed)
        return JOBS_DONE;
    const struct jobs_claimed *claimed = leaving->claimed;
    int64_t count = 0;
    struct error lookup = {0};
    bool is_read = sql_query(jobs->durable,
                             "SELECT COUNT(*) FROM conversion WHERE id=? AND claim=? AND state=?",
                             SQL_VALUES(SQL_TEXT(claimed->conversion.id), SQL_TEXT(claimed->claim),
                                        SQL_TEXT(leaving->to_state)),
                             jobs_collect_integer, &count, &lookup);
    if (is_read && count == 1)
        return JOBS_DONE;
    if (is_read && is_answered)
        return JOBS_NOT_YOURS;
    *err = is_answered ? lookup : failure;
    error_prefix(err, "leave converting for %s", leaving->to_state);
    return JOBS_ERROR;
}

#define UNDER_CLAIM " WHERE id=? AND state='converting' AND claim=?"

enum jobs_answer jobs_finish(struct jobs *jobs, const struct jobs_claimed *claimed,
                             const struct jobs_result *result, struct error *err)
{
    struct leaving leaving = {
        .claimed = claimed,
        .to_state = "ready",
        .has_letter = true,
        .update = JOBS_CHANGE ", state='ready', progress_permille=1000, source_key='', audio_key=?,"
                              " audio_bytes=?, audio_sha256=?, duration_ms=?, error_code='',"
                              " error_detail='', wake_at={now}+?, expires_at={now}+?" UNDER_CLAIM,
        .values = SQL_VALUES(SQL_TEXT(result->audio_key), SQL_INTEGER(result->audio_bytes),
                             SQL_TEXT(result->audio_sha256), SQL_INTEGER(result->duration_ms),
                             SQL_INTEGER(result->retention_ms), SQL_INTEGER(result->retention_ms),
                             SQL_TEXT(claimed->conversion.id), SQL_TEXT(claimed->claim)),
    };
    return leave(jobs, &leaving, err);
}

struct failing {
    const char *code, *detail;
    int64_t failures, crashes;
    int64_t retention_ms;
};

static enum jobs_answer leave_for_failed(struct jobs *jobs, const struct jobs_claimed *claimed,
                                         const struct failing *failing, struct error *err)
{
    char detail[JOBS_DETAIL_SIZE];
    jobs_clean(detail, sizeof detail, failing->detail);
    struct leaving leaving = {
        .claimed = claimed,
        .to_state = "failed",
        .has_letter = true,
        .update = JOBS_CHANGE ", state='failed', error_code=?, error_detail=?, failures=?,"
                              " crashes=?, wake_at={now}+?, expires_at={now}+?" UNDER_CLAIM,
        .values = SQL_VALUES(SQL_TEXT(failing->code), SQL_TEXT(detail),
                             SQL_INTEGER(failing->failures), SQL_INTEGER(failing->crashes),
                             SQL_INTEGER(failing->retention_ms), SQL_INTEGER(failing->retention_ms),
                             SQL_TEXT(claimed->conversion.id), SQL_TEXT(claimed->claim)),
    };
    return leave(jobs, &leaving, err);
}

enum jobs_answer jobs_fail(struct jobs *jobs, const struct jobs_claimed *claimed, const char *code,
                           const char *detail, int64_t retention_ms, struct error *err)
{
    struct failing failing = {
        .code = code,
        .detail = detail,
        .failures = claimed->conversion.failures,
        .crashes = claimed->conversion.crashes,
        .retention_ms = retention_ms,
    };
    return leave_for_failed(jobs, claimed, &failing, err);
}

// At most 15 s, 1, 4 and 15 minutes, at least half of that: the first try comes soon, and all five
// together outlast ten minutes in which a store does not do its work.
static int64_t back_off_ms(int64_t failures)
{
    return clock_backoff_ms((int)(2 * failures - 1), FIRST_BACK_OFF_MS, JOBS_WAIT_LONGEST_MS);
}

// Only the owner of the claim changes the budgets while converting, so what it read at the claim is
// still so if the claim is.
static enum jobs_answer try_again(struct jobs *jobs, const struct jobs_claimed *claimed,
                                  const struct failing *failing, struct error *err)
{
    char detail[JOBS_DETAIL_SIZE];
    jobs_clean(detail, sizeof detail, failing->detail);
    struct leaving leaving = {
        .claimed = claimed,
        .to_state = "queued",
        .update = JOBS_CHANGE ", state='queued', progress_permille=0, error_detail=?, failures=?,"
                              " crashes=?, wake_at={now}+?" UNDER_CLAIM,
        .values =
            SQL_VALUES(SQL_TEXT(detail), SQL_INTEGER(failing->failures),
                       SQL_INTEGER(failing->crashes), SQL_INTEGER(back_off_ms(failing->failures)),
                       SQL_TEXT(claimed->conversion.id), SQL_TEXT(claimed->claim)),
    };
    return leave(jobs, &leaving, err);
}

static enum jobs_answer spend_failure(struct jobs *jobs, const struct jobs_claimed *claimed,
                                      struct failing failing, struct error *err)
{
    if (failing.failures < JOBS_FAILURES_LIMIT)
        return try_again(jobs, claimed, &failing, err);
    failing.code = "gave_up";
    return leave_for_failed(jobs, claimed, &failing, err);
}

enum jobs_answer jobs_postpone(struct jobs *jobs, const struct jobs_claimed *claimed,
                               const char *detail, int64_t retention_ms, struct error *err)
{
    struct failing failing = {
        .detail = detail,
        .failures = claimed->conversion.failures + 1,
        .crashes = claimed->conversion.crashes,
        .retention_ms = retention_ms,
    };
    return spend_failure(jobs, claimed, failing, err);
}

enum jobs_answer jobs_crashed(struct jobs *jobs, const struct jobs_claimed *claimed,
                              int64_t retention_ms, struct error *err)
{
    struct failing failing = {
        .code = "decoder_crash",
        .detail = "The decoder crashed on this file.",
        .failures = claimed->conversion.failures + 1,
        .crashes = claimed->conversion.crashes + 1,
        .retention_ms = retention_ms,
    };
    if (failing.crashes >= JOBS_CRASHES_LIMIT)
        return leave_for_failed(jobs, claimed, &failing, err);
    return spend_failure(jobs, claimed, failing, err);
}

// A row at `queued` always has budget left: the last attempt, given back, may be taken once more.
enum jobs_answer jobs_give_back(struct jobs *jobs, const struct jobs_claimed *claimed,
                                struct error *err)
{
    int64_t failures = claimed->conversion.failures;
    if (failures >= JOBS_FAILURES_LIMIT)
        failures = JOBS_FAILURES_LIMIT - 1;
    struct leaving leaving = {
        .claimed = claimed,
        .to_state = "queued",
        .update = JOBS_CHANGE
        ", state='queued', progress_permille=0, failures=?, wake_at={now}" UNDER_CLAIM,
        .values = SQL_VALUES(SQL_INTEGER(failures), SQL_TEXT(claimed->conversion.id),
                             SQL_TEXT(claimed->claim)),
    };
    return leave(jobs, &leaving, err);
}
