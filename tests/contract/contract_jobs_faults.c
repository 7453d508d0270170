// Every call of an operation fails once, before or after it took effect: the outcome is that of
// before or of after, never half; and whoever is told "done" finds it done.

#include "faulty_sql.h"
#include "jobs_fixture.h"
#include "jobs_oracle.h"
#include "sql/sql.h"
#include "sql_under_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct jobs *jobs;

// An operation on a conversion that is brought into its first state anew for each fault.
struct operation {
    const char *from_state, *to_state;
    void (*prepare)(struct jobs_claimed *claimed);
    bool (*run)(struct jobs_claimed *claimed); // true: it was told that it is done
    int letters;                               // that the outcome has
};

static void prepare_receiving(struct jobs_claimed *claimed)
{
    fixture_receiving(jobs, claimed->conversion.id);
}

static void prepare_queued(struct jobs_claimed *claimed)
{
    fixture_queued(jobs, claimed->conversion.id);
}

static void prepare_claimed(struct jobs_claimed *claimed)
{
    *claimed = fixture_claimed(jobs);
}

static void prepare_failed(struct jobs_claimed *claimed)
{
    fixture_failed(jobs, claimed->conversion.id);
}

static bool run_commit(struct jobs_claimed *claimed)
{
    struct error err = {0};
    return jobs_upload_commit(jobs, claimed->conversion.id, "x.mp4", NULL, 5, fixture_sha256, NULL,
                              &err);
}

static bool run_abort(struct jobs_claimed *claimed)
{
    struct error err = {0};
    return jobs_upload_abort(jobs, claimed->conversion.id, &err);
}

static bool run_claim(struct jobs_claimed *claimed)
{
    struct error err = {0};
    return jobs_claim(jobs, claimed->conversion.id, "w", claimed, &err) == JOBS_DONE;
}

static bool run_finish(struct jobs_claimed *claimed)
{
    struct error err = {0};
    struct jobs_result result = fixture_result();
    enum jobs_answer answer = jobs_finish(jobs, claimed, &result, &err);
    assert_int_not_equal(answer, JOBS_NOT_YOURS);
    return answer == JOBS_DONE;
}

static bool run_fail(struct jobs_claimed *claimed)
{
    struct error err = {0};
    enum jobs_answer answer = jobs_fail(jobs, claimed, "no_audio", "No sound.", 1000, &err);
    assert_int_not_equal(answer, JOBS_NOT_YOURS);
    return answer == JOBS_DONE;
}

static bool run_postpone(struct jobs_claimed *claimed)
{
    struct error err = {0};
    enum jobs_answer answer = jobs_postpone(jobs, claimed, "Later.", 1000, &err);
    assert_int_not_equal(answer, JOBS_NOT_YOURS);
    return answer == JOBS_DONE;
}

static bool run_give_back(struct jobs_claimed *claimed)
{
    struct error err = {0};
    enum jobs_answer answer = jobs_give_back(jobs, claimed, &err);
    assert_int_not_equal(answer, JOBS_NOT_YOURS);
    return answer == JOBS_DONE;
}

static bool run_retry(struct jobs_claimed *claimed)
{
    struct error err = {0};
    return jobs_retry(jobs, fixture_alice, claimed->conversion.id, NULL, &err);
}

static bool run_delete(struct jobs_claimed *claimed)
{
    struct error err = {0};
    return jobs_delete(jobs, fixture_alice, claimed->conversion.id, &err);
}

static const struct operation operations[] = {
    {"receiving", "queued", prepare_receiving, run_commit, 0},
    {"receiving", "deleting", prepare_receiving, run_abort, 0},
    {"queued", "converting", prepare_queued, run_claim, 0},
    {"converting", "ready", prepare_claimed, run_finish, 1},
    {"converting", "failed", prepare_claimed, run_fail, 1},
    {"converting", "queued", prepare_claimed, run_postpone, 0},
    {"converting", "queued", prepare_claimed, run_give_back, 0},
    {"failed", "queued", prepare_failed, run_retry, 1},
    {"failed", "deleting", prepare_failed, run_delete, 1},
};

// Returns whether call `number` exists. `claimed` may be overwritten by a claim that failed.
static bool fail_call(const struct operation *operation, int number, enum faulty_sql_when when)
{
    fixture_empty(jobs);
    struct jobs_claimed claimed = {0};
    char id[ID_SIZE];
    operation->prepare(&claimed);
    memcpy(id, claimed.conversion.id, ID_SIZE);
    int64_t letters = fixture_integer(jobs, "SELECT COUNT(*) FROM letter", NULL);
    faulty_sql_fail(number, 1, when);
    bool is_done = operation->run(&claimed);
    bool is_hit = faulty_sql_disarm();
    struct conversion row = fixture_row(jobs, id);
    bool is_before = strcmp(row.state, operation->from_state) == 0;
    bool is_after = strcmp(row.state, operation->to_state) == 0;
    const char *complaint = jobs_oracle_complaint(jobs, id);
    if (complaint || !(is_before || is_after) || (is_done && !is_after) || (!is_hit && !is_done))
        fail_msg("%s to %s, call %d: state %s, done %d: %s", operation->from_state,
                 operation->to_state, number, row.state, is_done, complaint ? complaint : "");
    assert_int_equal(fixture_integer(jobs, "SELECT COUNT(*) FROM letter", NULL),
                     is_after ? operation->letters : letters);
    return is_hit;
}

static void walk(enum faulty_sql_when when)
{
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        int calls = 0;
        while (fail_call(&operations[i], calls + 1, when))
            calls++;
        assert_true(calls >= 4); // BEGIN, UPDATE, event, COMMIT
    }
}

static void a_call_that_does_not_happen_leaves_before_or_after(void **state)
{
    (void)state;
    walk(FAULTY_SQL_BEFORE);
}

static void a_call_whose_answer_is_lost_leaves_before_or_after(void **state)
{
    (void)state;
    walk(FAULTY_SQL_AFTER);
}

static void a_busy_database_is_waited_for(void **state)
{
    (void)state;
    walk(FAULTY_SQL_BUSY);
}

// BEGIN, UPDATE, event, row, link, letter, COMMIT: the seventh call of a finish is its COMMIT.
static void a_commit_whose_answer_was_lost_is_settled_by_a_look(void **state)
{
    (void)state;
    static const struct {
        int index, commit;
    } ends[] = {{0, 4}, {2, 4}, {3, 7}, {4, 6}, {5, 4}, {6, 4}};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        fixture_empty(jobs);
        struct jobs_claimed claimed = {0};
        operations[ends[i].index].prepare(&claimed);
        faulty_sql_fail(ends[i].commit, 1, FAULTY_SQL_AFTER);
        assert_true(operations[ends[i].index].run(&claimed));
        assert_true(faulty_sql_disarm());
        assert_true(fixture_is(jobs, claimed.conversion.id, operations[ends[i].index].to_state));
    }
}

static void an_upload_is_begun_or_not_at_all(void **state)
{
    (void)state;
    for (enum faulty_sql_when when = FAULTY_SQL_BEFORE; when <= FAULTY_SQL_BUSY; when++) {
        bool is_hit = true;
        for (int number = 1; is_hit; number++) {
            fixture_empty(jobs);
            struct error err = {0};
            struct conversion existing;
            char id[ID_SIZE];
            id_new(id);
            struct jobs_upload upload = fixture_upload(id, "key-1");
            faulty_sql_fail(number, 1, when);
            enum jobs_begin begin =
                jobs_upload_begin(jobs, &upload, &fixture_limits, &existing, &err);
            is_hit = faulty_sql_disarm();
            int64_t rows = fixture_integer(jobs, "SELECT COUNT(*) FROM conversion", NULL);
            int64_t events = fixture_integer(jobs, "SELECT COUNT(*) FROM event", NULL);
            assert_int_equal(rows, events);
            assert_true(begin == JOBS_BEGUN ? rows == 1 : err.kind == ERROR_UNAVAILABLE);
            assert_true(is_hit || begin == JOBS_BEGUN);
        }
    }
}

static void the_sweep_moves_a_row_wholly_or_not(void **state)
{
    (void)state;
    for (enum faulty_sql_when when = FAULTY_SQL_BEFORE; when <= FAULTY_SQL_AFTER; when++) {
        bool is_hit = true;
        for (int number = 1; is_hit; number++) {
            fixture_empty(jobs);
            struct error err = {0};
            struct jobs_claimed claimed = fixture_claimed(jobs);
            char stale[ID_SIZE], ready[ID_SIZE];
            fixture_receiving(jobs, stale);
            fixture_ready(jobs, ready);
            fixture_execute(jobs, "UPDATE conversion SET failures=5 WHERE id=?",
                            claimed.conversion.id);
            fixture_pass(jobs, INT64_C(8) * 24 * 3600 * 1000);
            int64_t moved = 0;
            faulty_sql_fail(number, 1, when);
            bool is_done = jobs_sweep(jobs, FIXTURE_RETENTION_MS, &moved, &err);
            is_hit = faulty_sql_disarm();
            assert_true(is_hit || (is_done && moved == 3));
            const char *const ids[] = {claimed.conversion.id, stale, ready};
            for (size_t i = 0; i < 3; i++)
                if (jobs_oracle_complaint(jobs, ids[i]))
                    fail_msg("call %d: %s", number, jobs_oracle_complaint(jobs, ids[i]));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_that_does_not_happen_leaves_before_or_after),
        cmocka_unit_test(a_call_whose_answer_is_lost_leaves_before_or_after),
        cmocka_unit_test(a_busy_database_is_waited_for),
        cmocka_unit_test(a_commit_whose_answer_was_lost_is_settled_by_a_look),
        cmocka_unit_test(an_upload_is_begun_or_not_at_all),
        cmocka_unit_test(the_sweep_moves_a_row_wholly_or_not),
    };
    sql_under_test_start();
    faulty_sql_install();
    jobs = fixture_open();
    faulty_sql_remove();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    fixture_close(jobs);
    sql_under_test_stop();
    return failed;
}
