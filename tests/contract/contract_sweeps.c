// The sweeps of jobs.h: what the clock moves when nobody asks, and what operators count.

#include "jobs_fixture.h"
#include "sql/sql.h"
#include "sql_under_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { SECOND_MS = 1000, MINUTE_MS = 60000, HOUR_MS = 3600000, DAY_MS = 24 * 3600000 };

static int open_jobs(void **state)
{
    *state = fixture_open();
    return 0;
}

static int close_jobs(void **state)
{
    fixture_close(*state);
    return 0;
}

static void what_has_expired_is_deleted_and_what_has_not_is_kept(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    char ready[ID_SIZE], failed[ID_SIZE], fresh[ID_SIZE], queued[ID_SIZE];
    fixture_ready(jobs, ready);
    fixture_failed(jobs, failed);
    fixture_queued(jobs, queued);
    fixture_pass(jobs, FIXTURE_RETENTION_MS + 1);
    fixture_ready(jobs, fresh);
    int64_t moved = 0;
    assert_true(jobs_sweep(jobs, FIXTURE_RETENTION_MS, &moved, &err));
    assert_int_equal(moved, 2);
    assert_true(fixture_is(jobs, ready, "deleting"));
    assert_true(fixture_is(jobs, failed, "deleting"));
    assert_true(fixture_is(jobs, fresh, "ready"));
    assert_true(fixture_is(jobs, queued, "queued"));
}

static void a_clock_that_is_set_back_lets_nothing_sleep(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    struct jobs_claimed running = fixture_claimed(jobs);
    char queued[ID_SIZE], due[4][ID_SIZE];
    fixture_queued(jobs, queued);
    fixture_pass(jobs, -DAY_MS); // seen from the rows
    size_t count = 0;
    int64_t moved = 0;
    assert_true(jobs_due(jobs, due, 4, &count, &err));
    assert_int_equal(count, 0);
    assert_true(jobs_sweep(jobs, FIXTURE_RETENTION_MS, &moved, &err));
    fixture_pass(jobs, JOBS_LEASE_MS - 1000);
    assert_int_equal(jobs_renew(jobs, running.conversion.id, running.claim, 0, &err), JOBS_DONE);
    fixture_pass(jobs, 2000);
    assert_true(jobs_due(jobs, due, 4, &count, &err));
    assert_int_equal(count, 1);
    assert_string_equal(due[0], queued);
    fixture_pass(jobs, JOBS_LEASE_MS);
    assert_true(jobs_due(jobs, due, 4, &count, &err));
    assert_int_equal(count, 2);
}

static void a_sweep_moves_fifty_rows_at_most(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    char id[ID_SIZE];
    for (int i = 0; i < 60; i++)
        fixture_receiving(jobs, id);
    fixture_pass(jobs, HOUR_MS + 1);
    int64_t moved = 0;
    assert_true(jobs_sweep(jobs, FIXTURE_RETENTION_MS, &moved, &err));
    assert_int_equal(moved, 50);
    assert_true(jobs_sweep(jobs, FIXTURE_RETENTION_MS, &moved, &err));
    assert_int_equal(moved, 10);
    assert_true(jobs_sweep(jobs, FIXTURE_RETENTION_MS, &moved, &err));
    assert_int_equal(moved, 0);
}

static void a_deletion_is_taken_for_a_minute_and_ends_in_a_tombstone(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    char id[ID_SIZE];
    fixture_failed(jobs, id);
    assert_true(jobs_delete(jobs, fixture_alice, id, &err));
    struct conversion taken[2];
    size_t count = 0;
    assert_true(jobs_take_deleting(jobs, taken, 2, &count, &err));
    assert_int_equal(count, 1);
    assert_string_equal(taken[0].id, id);
    assert_string_not_equal(taken[0].source_key, "");
    assert_true(jobs_take_deleting(jobs, taken, 2, &count, &err));
    assert_int_equal(count, 0);
    fixture_pass(jobs, MINUTE_MS + 1);
    assert_true(jobs_take_deleting(jobs, taken, 2, &count, &err));
    assert_int_equal(count, 1);
    assert_true(jobs_deleted(jobs, id, &err));
    assert_true(jobs_deleted(jobs, id, &err));
    struct conversion row = fixture_row(jobs, id);
    assert_string_equal(row.state, "deleted");
    assert_string_equal(row.owner_email, "");
    assert_string_equal(row.name, "");
    assert_string_equal(row.source_key, "");
}

static void only_deleting_conversions_become_deleted(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    char id[ID_SIZE];
    fixture_ready(jobs, id);
    assert_true(jobs_deleted(jobs, id, &err));
    assert_true(fixture_is(jobs, id, "ready"));
}

static void a_tombstone_is_forgotten_after_thirty_days_with_all_about_it(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    char id[ID_SIZE], kept[ID_SIZE];
    fixture_ready(jobs, kept);
    fixture_ready(jobs, id);
    assert_true(jobs_delete(jobs, fixture_alice, id, &err));
    assert_true(jobs_deleted(jobs, id, &err));
    int64_t forgotten = 0;
    fixture_pass(jobs, INT64_C(30) * DAY_MS - MINUTE_MS);
    assert_true(jobs_forget(jobs, &forgotten, &err));
    assert_int_equal(forgotten, 0);
    fixture_pass(jobs, MINUTE_MS);
    assert_true(jobs_forget(jobs, &forgotten, &err));
    assert_int_equal(forgotten, 1);
    const char *const queries[] = {
        "SELECT COUNT(*) FROM conversion WHERE id<>?",
        "SELECT COUNT(*) FROM event WHERE conversion<>?",
        "SELECT COUNT(*) FROM letter WHERE conversion<>?",
        "SELECT COUNT(*) FROM link WHERE conversion<>?",
    };
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++)
        assert_int_equal(fixture_integer(jobs, queries[i], kept), 0);
    assert_true(fixture_is(jobs, kept, "ready"));
}

static bool is_garbage(struct jobs *jobs, const char *id, const char *format)
{
    struct error err = {0};
    char key[JOBS_KEY_SIZE];
    snprintf(key, sizeof key, "%.*s%s%s", (int)strcspn(format, "@"), format, id,
             strchr(format, '@') + 1);
    bool is_known = false, is_garbage = false;
    assert_true(jobs_blob_is_garbage(jobs, id, key, &is_known, &is_garbage, &err));
    assert_true(is_known);
    return is_garbage;
}

static void a_blob_is_garbage_only_when_its_row_says_so(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    struct jobs_claimed claimed = fixture_claimed(jobs);
    const char *id = claimed.conversion.id;
    fixture_pass(jobs, JOBS_LEASE_MS + 1);
    fixture_claim(jobs, id, &claimed); // attempt 2 is at work, attempt 1 is dead
    assert_false(is_garbage(jobs, id, "source/@"));
    assert_true(is_garbage(jobs, id, "audio/@/1"));
    assert_false(is_garbage(jobs, id, "audio/@/2"));
    assert_false(is_garbage(jobs, id, "audio/@/3")); // the database knows less than the store
    assert_false(is_garbage(jobs, id, "audio/@/x"));
    char audio[JOBS_KEY_SIZE];
    snprintf(audio, sizeof audio, "audio/%s/2", id);
    struct jobs_result result = fixture_result();
    result.audio_key = audio;
    assert_int_equal(jobs_finish(jobs, &claimed, &result, &err), JOBS_DONE);
    assert_true(is_garbage(jobs, id, "source/@"));
    assert_true(is_garbage(jobs, id, "audio/@/1"));
    assert_false(is_garbage(jobs, id, "audio/@/2"));
    assert_true(jobs_delete(jobs, fixture_alice, id, &err));
    assert_true(is_garbage(jobs, id, "audio/@/2"));
    char unknown[ID_SIZE];
    id_new(unknown);
    bool is_known = true, is_rubbish = true;
    assert_true(jobs_blob_is_garbage(jobs, unknown, "source/x", &is_known, &is_rubbish, &err));
    assert_false(is_known);
    assert_false(is_rubbish);
}

static void counts_tell_rows_and_the_oldest_due_of_each_state(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    char id[ID_SIZE];
    fixture_queued(jobs, id);
    fixture_queued(jobs, id);
    fixture_pass(jobs, 90 * SECOND_MS);
    fixture_ready(jobs, id);
    struct jobs_count counts[JOBS_STATES], letters[JOBS_LETTER_STATES];
    assert_true(jobs_counts(jobs, counts, &err));
    for (size_t i = 0; i < JOBS_STATES; i++) {
        bool is_queued = strcmp(counts[i].state, "queued") == 0;
        bool is_ready = strcmp(counts[i].state, "ready") == 0;
        assert_int_equal(counts[i].count, is_queued ? 2 : is_ready ? 1 : 0);
        assert_true(is_queued ? counts[i].oldest_due_ms >= 90 * SECOND_MS
                              : counts[i].oldest_due_ms == 0);
    }
    fixture_pass(jobs, 30 * SECOND_MS);
    assert_true(jobs_letter_counts(jobs, letters, &err));
    assert_string_equal(letters[0].state, "pending");
    assert_int_equal(letters[0].count, 1);
    assert_true(letters[0].oldest_due_ms >= 30 * SECOND_MS);
    assert_int_equal(letters[1].count, 0);
    assert_int_equal(letters[1].oldest_due_ms, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_jobs, close_jobs)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_has_expired_is_deleted_and_what_has_not_is_kept),
        TEST(a_clock_that_is_set_back_lets_nothing_sleep),
        TEST(a_sweep_moves_fifty_rows_at_most),
        TEST(a_deletion_is_taken_for_a_minute_and_ends_in_a_tombstone),
        TEST(only_deleting_conversions_become_deleted),
        TEST(a_tombstone_is_forgotten_after_thirty_days_with_all_about_it),
        TEST(a_blob_is_garbage_only_when_its_row_says_so),
        TEST(counts_tell_rows_and_the_oldest_due_of_each_state),
    };
    sql_under_test_start();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sql_under_test_stop();
    return failed;
}
