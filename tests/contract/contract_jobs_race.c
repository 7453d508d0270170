// Several processes at once, each with a handle of its own: what one transaction promises holds
// between them too.

#include "jobs_fixture.h"
#include "sql_under_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { PROCESSES = 4, CONVERSIONS = 40, LIMIT = 10 };

// Runs `work` in several processes at once; it returns false when something was not as promised. No
// handle is carried over the fork, so the one given is closed, and another comes back.
static struct jobs *race(struct jobs *idle, bool (*work)(struct jobs *jobs))
{
    jobs_close(idle);
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] > 0)
            continue;
        struct error err = {0};
        struct jobs *jobs = jobs_open(sql_under_test_url(), &err);
        bool is_well = jobs && work(jobs);
        jobs_close(jobs);
        _exit(is_well ? 0 : 1);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = 0;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    struct error err = {0};
    struct jobs *jobs = jobs_open(sql_under_test_url(), &err);
    assert_non_null(jobs);
    return jobs;
}

static bool convert_all(struct jobs *jobs)
{
    struct error err = {0};
    for (;;) {
        char due[8][ID_SIZE];
        size_t count = 0;
        if (!jobs_due(jobs, due, 8, &count, &err))
            return false;
        if (count == 0)
            return true;
        for (size_t i = 0; i < count; i++) {
            struct jobs_claimed claimed;
            enum jobs_answer answer = jobs_claim(jobs, due[i], "racer", &claimed, &err);
            if (answer == JOBS_ERROR)
                return false;
            if (answer == JOBS_NOT_YOURS)
                continue;
            struct jobs_result result = fixture_result();
            if (jobs_finish(jobs, &claimed, &result, &err) != JOBS_DONE)
                return false;
        }
    }
}

static void each_conversion_is_claimed_once(void **state)
{
    (void)state;
    struct jobs *jobs = fixture_open();
    char id[ID_SIZE];
    for (int i = 0; i < CONVERSIONS; i++)
        fixture_queued(jobs, id);
    jobs = race(jobs, convert_all);
    assert_int_equal(fixture_integer(jobs,
                                     "SELECT COUNT(*) FROM conversion WHERE state=? AND attempt=1",
                                     "ready"),
                     CONVERSIONS);
    assert_int_equal(fixture_integer(jobs, "SELECT COUNT(*) FROM letter", NULL), CONVERSIONS);
    fixture_close(jobs);
}

static bool begin_many(struct jobs *jobs)
{
    const struct jobs_limits limits = {.user_bytes = 1000000, .user_unfinished = LIMIT};
    for (int i = 0; i < LIMIT; i++) {
        struct error err = {0};
        char id[ID_SIZE];
        id_new(id);
        struct jobs_upload upload = fixture_upload(id, NULL);
        enum jobs_begin begin = jobs_upload_begin(jobs, &upload, &limits, NULL, &err);
        if (begin != JOBS_BEGUN && begin != JOBS_OVER_UNFINISHED)
            return false;
    }
    return true;
}

static void uploads_side_by_side_do_not_pass_the_quota_together(void **state)
{
    (void)state;
    struct jobs *jobs = fixture_open();
    jobs = race(jobs, begin_many);
    assert_int_equal(fixture_integer(jobs, "SELECT COUNT(*) FROM conversion", NULL), LIMIT);
    fixture_close(jobs);
}

static bool begin_same(struct jobs *jobs)
{
    struct error err = {0};
    struct conversion existing;
    char id[ID_SIZE];
    id_new(id);
    struct jobs_upload upload = fixture_upload(id, "key-1");
    enum jobs_begin begin = jobs_upload_begin(jobs, &upload, &fixture_limits, &existing, &err);
    return begin == JOBS_BEGUN || begin == JOBS_SAME_RUNNING;
}

static void one_of_several_uploads_with_the_same_key_begins(void **state)
{
    (void)state;
    struct jobs *jobs = fixture_open();
    jobs = race(jobs, begin_same);
    assert_int_equal(fixture_integer(jobs, "SELECT COUNT(*) FROM conversion", NULL), 1);
    fixture_close(jobs);
}

static bool sweep_all(struct jobs *jobs)
{
    struct error err = {0};
    int64_t moved = 0;
    for (int i = 0; i < 3; i++)
        if (!jobs_sweep(jobs, FIXTURE_RETENTION_MS, &moved, &err))
            return false;
    return true;
}

static void sweeps_side_by_side_move_each_row_once(void **state)
{
    (void)state;
    struct jobs *jobs = fixture_open();
    char id[ID_SIZE];
    for (int i = 0; i < CONVERSIONS; i++)
        fixture_receiving(jobs, id);
    fixture_pass(jobs, 2 * 3600 * 1000);
    jobs = race(jobs, sweep_all);
    assert_int_equal(
        fixture_integer(jobs, "SELECT COUNT(*) FROM event WHERE to_state=?", "deleting"),
        CONVERSIONS);
    fixture_close(jobs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_conversion_is_claimed_once),
        cmocka_unit_test(uploads_side_by_side_do_not_pass_the_quota_together),
        cmocka_unit_test(one_of_several_uploads_with_the_same_key_begins),
        cmocka_unit_test(sweeps_side_by_side_move_each_row_once),
    };
    sql_under_test_start();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sql_under_test_stop();
    return failed;
}
