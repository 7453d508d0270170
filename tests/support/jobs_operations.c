#include "jobs_operations.h"

#include "jobs_fixture.h"
#include "jobs_oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void prepare_receiving(struct jobs *jobs, struct jobs_claimed *out)
{
    fixture_receiving(jobs, out->conversion.id);
}

static void prepare_queued(struct jobs *jobs, struct jobs_claimed *out)
{
    fixture_queued(jobs, out->conversion.id);
}

static void prepare_claimed(struct jobs *jobs, struct jobs_claimed *out)
{
    *out = fixture_claimed(jobs);
}

static void prepare_failed(struct jobs *jobs, struct jobs_claimed *out)
{
    fixture_failed(jobs, out->conversion.id);
}

static bool is_done(enum jobs_answer answer)
{
    assert_int_not_equal(answer, JOBS_NOT_YOURS);
    return answer == JOBS_DONE;
}

static bool run_commit(struct jobs *jobs, const struct jobs_claimed *claimed)
{
    struct error err = {0};
    return jobs_upload_commit(jobs, claimed->conversion.id, "x.mp4", NULL, 5, fixture_sha256, NULL,
                              &err);
}

static bool run_abort(struct jobs *jobs, const struct jobs_claimed *claimed)
{
    struct error err = {0};
    return jobs_upload_abort(jobs, claimed->conversion.id, &err);
}

// A second claim of the same is NOT_YOURS, rightly.
static bool run_claim(struct jobs *jobs, const struct jobs_claimed *claimed)
{
    struct error err = {0};
    struct jobs_claimed ignored;
    return jobs_claim(jobs, claimed->conversion.id, "w", &ignored, &err) == JOBS_DONE;
}

static bool run_finish(struct jobs *jobs, const struct jobs_claimed *claimed)
{
    struct error err = {0};
    struct jobs_result result = fixture_result();
    return is_done(jobs_finish(jobs, claimed, &result, &err));
}

static bool run_fail(struct jobs *jobs, const struct jobs_claimed *claimed)
{
    struct error err = {0};
    return is_done(jobs_fail(jobs, claimed, "no_audio", "No sound.", 1000, &err));
}

static bool run_postpone(struct jobs *jobs, const struct jobs_claimed *claimed)
{
    struct error err = {0};
    return is_done(jobs_postpone(jobs, claimed, "Later.", 1000, &err));
}

static bool run_give_back(struct jobs *jobs, const struct jobs_claimed *claimed)
{
    struct error err = {0};
    return is_done(jobs_give_back(jobs, claimed, &err));
}

static bool run_retry(struct jobs *jobs, const struct jobs_claimed *claimed)
{
    struct error err = {0};
    return jobs_retry(jobs, fixture_alice, claimed->conversion.id, NULL, &err);
}

static bool run_delete(struct jobs *jobs, const struct jobs_claimed *claimed)
{
    struct error err = {0};
    return jobs_delete(jobs, fixture_alice, claimed->conversion.id, &err);
}

const struct jobs_operation jobs_operations[JOBS_OPERATIONS] = {
    [JOBS_OPERATION_COMMIT] = {"receiving", "queued", prepare_receiving, run_commit, 0},
    [JOBS_OPERATION_ABORT] = {"receiving", "deleting", prepare_receiving, run_abort, 0},
    [JOBS_OPERATION_CLAIM] = {"queued", "converting", prepare_queued, run_claim, 0},
    [JOBS_OPERATION_FINISH] = {"converting", "ready", prepare_claimed, run_finish, 1},
    [JOBS_OPERATION_FAIL] = {"converting", "failed", prepare_claimed, run_fail, 1},
    [JOBS_OPERATION_POSTPONE] = {"converting", "queued", prepare_claimed, run_postpone, 0},
    [JOBS_OPERATION_GIVE_BACK] = {"converting", "queued", prepare_claimed, run_give_back, 0},
    [JOBS_OPERATION_RETRY] = {"failed", "queued", prepare_failed, run_retry, 1},
    [JOBS_OPERATION_DELETE] = {"failed", "deleting", prepare_failed, run_delete, 1},
};

bool jobs_operation_check(const struct jobs_operation *operation, struct jobs *jobs, const char *id,
                          int number, bool is_told_done, bool is_disturbed)
{
    struct conversion row = fixture_row(jobs, id);
    bool is_before = strcmp(row.state, operation->from_state) == 0;
    bool is_after = strcmp(row.state, operation->to_state) == 0;
    const char *complaint = jobs_oracle_complaint(jobs, id);
    if (complaint || !(is_before || is_after) || (is_told_done && !is_after) ||
        !(is_disturbed || is_told_done))
        fail_msg("%s to %s, fault %d: state %s, done %d: %s", operation->from_state,
                 operation->to_state, number, row.state, is_told_done, complaint ? complaint : "");
    return is_after;
}
