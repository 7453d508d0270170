// Every call of an operation fails once, before or after it took effect: the outcome is that of
// before or of after, never half; and whoever is told "done" finds it done.

#include "faulty_sql.h"
#include "jobs_fixture.h"
#include "jobs_operations.h"
#include "jobs_oracle.h"
#include "sql/sql.h"
#include "sql_under_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct jobs *jobs;

// Returns whether call `number` exists.
static bool fail_call(const struct jobs_operation *operation, int number, enum faulty_sql_when when)
{
    fixture_empty(jobs);
    struct jobs_claimed claimed = {0};
    operation->prepare(jobs, &claimed);
    int64_t letters = fixture_integer(jobs, "SELECT COUNT(*) FROM letter", NULL);
    faulty_sql_fail(number, 1, when);
    bool is_done = operation->run(jobs, &claimed);
    bool is_hit = faulty_sql_disarm();
    if (jobs_operation_check(operation, jobs, claimed.conversion.id, number, is_done, is_hit))
        letters = operation->letters;
    assert_int_equal(fixture_integer(jobs, "SELECT COUNT(*) FROM letter", NULL), letters);
    return is_hit;
}

static void walk(enum faulty_sql_when when)
{
    for (size_t i = 0; i < JOBS_OPERATIONS; i++) {
        int calls = 0;
        while (fail_call(&jobs_operations[i], calls + 1, when))
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
    } ends[] = {{JOBS_OPERATION_COMMIT, 4},   {JOBS_OPERATION_CLAIM, 4},
                {JOBS_OPERATION_FINISH, 7},   {JOBS_OPERATION_FAIL, 6},
                {JOBS_OPERATION_POSTPONE, 4}, {JOBS_OPERATION_GIVE_BACK, 4}};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        const struct jobs_operation *operation = &jobs_operations[ends[i].index];
        fixture_empty(jobs);
        struct jobs_claimed claimed = {0};
        operation->prepare(jobs, &claimed);
        faulty_sql_fail(ends[i].commit, 1, FAULTY_SQL_AFTER);
        assert_true(operation->run(jobs, &claimed));
        assert_true(faulty_sql_disarm());
        assert_true(fixture_is(jobs, claimed.conversion.id, operation->to_state));
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
