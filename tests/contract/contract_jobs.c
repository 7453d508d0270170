// The gateway's side of jobs.h: uploads, quotas, idempotency, reading, what a user may do.

#include "jobs_fixture.h"
#include "sql/sql.h"
#include "sql_under_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

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

static void an_upload_begins_at_receiving_and_is_queued_when_committed(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    char id[ID_SIZE];
    fixture_receiving(jobs, id);
    struct conversion row = fixture_row(jobs, id);
    assert_string_equal(row.state, "receiving");
    assert_int_equal(row.source_bytes, 1000);
    assert_true(row.wake_at_ms > row.created_at_ms);
    assert_true(jobs_upload_commit(jobs, id, "lecture.mp4", "{\"preset\":\"voice\"}", 800,
                                   fixture_sha256, &row, &err));
    assert_string_equal(row.state, "queued");
    assert_string_equal(row.owner, fixture_alice);
    assert_string_equal(row.owner_email, "alice@example.org");
    assert_string_equal(row.name, "lecture.mp4");
    assert_string_equal(row.options, "{\"preset\":\"voice\"}");
    assert_int_equal(row.source_bytes, 800);
    assert_string_equal(row.source_sha256, fixture_sha256);
    assert_string_equal(row.mail_state, "");
    assert_int_equal(row.expires_at_ms, 0);
    assert_int_equal(row.attempt, 0);
}

static void a_commit_without_name_and_options_keeps_those_of_the_beginning(void **state)
{
    struct jobs *jobs = *state;
    char id[ID_SIZE];
    fixture_queued(jobs, id);
    struct conversion row = fixture_row(jobs, id);
    assert_string_equal(row.name, "talk.mp4");
    assert_string_equal(row.options, "{\"preset\":\"standard\"}");
}

static void a_name_becomes_one_readable_line(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    char id[ID_SIZE];
    fixture_receiving(jobs, id);
    struct conversion row;
    assert_true(jobs_upload_commit(jobs, id, "a\nb\xff.mp4", NULL, 1, fixture_sha256, &row, &err));
    assert_string_equal(row.name, "a b\xEF\xBF\xBD.mp4");
}

static void a_second_commit_changes_nothing_and_succeeds(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    char id[ID_SIZE];
    fixture_queued(jobs, id);
    struct conversion before = fixture_row(jobs, id), after;
    assert_true(jobs_upload_commit(jobs, id, "x", NULL, 5, fixture_sha256, &after, &err));
    assert_int_equal(after.revision, before.revision);
    assert_int_equal(after.source_bytes, 800);
}

static void an_aborted_upload_cannot_be_committed_and_frees_its_key(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    char id[ID_SIZE], second[ID_SIZE];
    id_new(id);
    struct jobs_upload upload = fixture_upload(id, "key-1");
    struct conversion existing;
    assert_int_equal(jobs_upload_begin(jobs, &upload, &fixture_limits, &existing, &err),
                     JOBS_BEGUN);
    assert_true(jobs_upload_abort(jobs, id, &err));
    assert_true(fixture_is(jobs, id, "deleting"));
    assert_false(jobs_upload_commit(jobs, id, NULL, NULL, 1, fixture_sha256, NULL, &err));
    assert_int_equal(err.kind, ERROR_CONFLICT);
    id_new(second);
    upload = fixture_upload(second, "key-1");
    assert_int_equal(jobs_upload_begin(jobs, &upload, &fixture_limits, &existing, &err),
                     JOBS_BEGUN);
}

static void aborting_what_is_not_receiving_does_nothing(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    char id[ID_SIZE], unknown[ID_SIZE];
    fixture_queued(jobs, id);
    id_new(unknown);
    assert_true(jobs_upload_abort(jobs, id, &err));
    assert_true(jobs_upload_abort(jobs, unknown, &err));
    assert_true(fixture_is(jobs, id, "queued"));
}

static void an_upload_that_is_extended_outlives_its_first_deadline(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    char id[ID_SIZE], stale[ID_SIZE];
    fixture_receiving(jobs, id);
    fixture_receiving(jobs, stale);
    assert_true(jobs_upload_extend(jobs, id, 2 * 3600 * 1000, &err));
    fixture_pass(jobs, 3600 * 1000 + 1);
    int64_t moved = 0;
    assert_true(jobs_sweep(jobs, FIXTURE_RETENTION_MS, &moved, &err));
    assert_int_equal(moved, 1);
    assert_true(fixture_is(jobs, id, "receiving"));
    assert_true(fixture_is(jobs, stale, "deleting"));
    assert_false(jobs_upload_extend(jobs, stale, 1000, &err));
    assert_int_equal(err.kind, ERROR_CONFLICT);
}

static void the_same_key_finds_the_running_and_then_the_finished_upload(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    char id[ID_SIZE], twin[ID_SIZE];
    id_new(id);
    id_new(twin);
    struct conversion existing;
    struct jobs_upload upload = fixture_upload(id, "key-1");
    assert_int_equal(jobs_upload_begin(jobs, &upload, &fixture_limits, &existing, &err),
                     JOBS_BEGUN);
    upload = fixture_upload(twin, "key-1");
    assert_int_equal(jobs_upload_begin(jobs, &upload, &fixture_limits, &existing, &err),
                     JOBS_SAME_RUNNING);
    assert_true(jobs_upload_commit(jobs, id, NULL, NULL, 1, fixture_sha256, NULL, &err));
    assert_int_equal(jobs_upload_begin(jobs, &upload, &fixture_limits, &existing, &err),
                     JOBS_SAME_FINISHED);
    assert_string_equal(existing.id, id);
    // Another user's key is another key; so is one that differs in its case.
    upload.owner = fixture_bob;
    assert_int_equal(jobs_upload_begin(jobs, &upload, &fixture_limits, &existing, &err),
                     JOBS_BEGUN);
    id_new(twin);
    upload = fixture_upload(twin, "KEY-1");
    assert_int_equal(jobs_upload_begin(jobs, &upload, &fixture_limits, &existing, &err),
                     JOBS_BEGUN);
}

static void a_key_is_free_again_after_a_day_and_after_a_deletion(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    char id[ID_SIZE], second[ID_SIZE], third[ID_SIZE];
    struct conversion existing;
    id_new(id);
    id_new(second);
    id_new(third);
    struct jobs_upload upload = fixture_upload(id, "key-1");
    jobs_upload_begin(jobs, &upload, &fixture_limits, &existing, &err);
    assert_true(jobs_upload_commit(jobs, id, NULL, NULL, 1, fixture_sha256, NULL, &err));
    int64_t moved = 0;
    assert_true(jobs_sweep(jobs, FIXTURE_RETENTION_MS, &moved, &err));
    assert_int_equal(moved, 0);
    fixture_pass(jobs, 24 * 3600 * 1000 + 1);
    assert_true(jobs_sweep(jobs, FIXTURE_RETENTION_MS, &moved, &err));
    assert_int_equal(moved, 1);
    upload = fixture_upload(second, "key-1");
    assert_int_equal(jobs_upload_begin(jobs, &upload, &fixture_limits, &existing, &err),
                     JOBS_BEGUN);
    assert_true(jobs_delete(jobs, fixture_alice, second, &err));
    upload = fixture_upload(third, "key-1");
    assert_int_equal(jobs_upload_begin(jobs, &upload, &fixture_limits, &existing, &err),
                     JOBS_BEGUN);
}

static void the_quota_counts_what_is_announced_and_what_is_stored(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    struct jobs_usage usage;
    char id[ID_SIZE];
    fixture_receiving(jobs, id); // announced 1000
    assert_true(jobs_usage(jobs, fixture_alice, &usage, &err));
    assert_int_equal(usage.bytes, 1000);
    assert_int_equal(usage.unfinished, 1);
    assert_true(jobs_upload_commit(jobs, id, NULL, NULL, 800, fixture_sha256, NULL, &err));
    assert_true(jobs_usage(jobs, fixture_alice, &usage, &err));
    assert_int_equal(usage.bytes, 800);
    struct jobs_claimed claimed;
    fixture_claim(jobs, id, &claimed);
    fixture_finish(jobs, &claimed);
    assert_true(jobs_usage(jobs, fixture_alice, &usage, &err));
    assert_int_equal(usage.bytes, 300); // the source is gone, the audio stays
    assert_int_equal(usage.unfinished, 0);
    assert_int_equal(fixture_row(jobs, id).source_bytes, 800);
    assert_true(jobs_delete(jobs, fixture_alice, id, &err));
    assert_true(jobs_usage(jobs, fixture_alice, &usage, &err));
    assert_int_equal(usage.bytes, 0);
    assert_true(jobs_usage(jobs, fixture_bob, &usage, &err));
    assert_int_equal(usage.bytes, 0);
}

static void an_upload_over_a_limit_is_refused_and_leaves_no_row(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    char id[ID_SIZE], next[ID_SIZE];
    fixture_receiving(jobs, id);
    id_new(next);
    struct jobs_upload upload = fixture_upload(next, NULL);
    struct jobs_limits tight = {.user_bytes = 1999, .user_unfinished = 10};
    assert_int_equal(jobs_upload_begin(jobs, &upload, &tight, NULL, &err), JOBS_OVER_BYTES);
    tight = (struct jobs_limits){.user_bytes = 1000000, .user_unfinished = 1};
    assert_int_equal(jobs_upload_begin(jobs, &upload, &tight, NULL, &err), JOBS_OVER_UNFINISHED);
    assert_int_equal(fixture_integer(jobs, "SELECT COUNT(*) FROM conversion", NULL), 1);
    assert_int_equal(fixture_integer(jobs, "SELECT COUNT(*) FROM event", NULL), 1);
    tight = (struct jobs_limits){.user_bytes = 2000, .user_unfinished = 2};
    assert_int_equal(jobs_upload_begin(jobs, &upload, &tight, NULL, &err), JOBS_BEGUN);
}

static void an_id_that_is_taken_is_an_error(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    char id[ID_SIZE];
    fixture_receiving(jobs, id);
    struct jobs_upload upload = fixture_upload(id, NULL);
    assert_int_equal(jobs_upload_begin(jobs, &upload, &fixture_limits, NULL, &err),
                     JOBS_BEGIN_FAILED);
    assert_int_equal(err.kind, ERROR_CONFLICT);
}

static void another_users_conversion_is_not_there(void **state)
{
    struct jobs *jobs = *state;
    struct conversion row;
    char id[ID_SIZE], token[TOKEN_SIZE];
    fixture_ready(jobs, id);
    struct error err = {0};
    assert_false(jobs_find(jobs, fixture_bob, id, &row, &err));
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
    err = (struct error){0};
    assert_false(jobs_delete(jobs, fixture_bob, id, &err));
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
    err = (struct error){0};
    assert_false(jobs_retry(jobs, fixture_bob, id, &row, &err));
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
    err = (struct error){0};
    assert_false(jobs_letter_again(jobs, fixture_bob, id, &err));
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
    err = (struct error){0};
    assert_false(jobs_link_create(jobs, fixture_bob, id, 1000, token, &err));
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
    assert_true(fixture_is(jobs, id, "ready"));
}

static void ids_differ_by_their_case(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    struct conversion row;
    char id[ID_SIZE];
    fixture_queued(jobs, id);
    for (char *at = id; *at; at++)
        if (*at >= 'A')
            *at = (char)(*at | 0x20);
    assert_false(jobs_find(jobs, fixture_alice, id, &row, &err));
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
}

static void a_list_pages_by_id_from_the_newest(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    char ids[5][ID_SIZE], other[ID_SIZE];
    for (int i = 0; i < 5; i++) {
        snprintf(ids[i], ID_SIZE, "01ARZ3NDEKTSV4RRFFQ69G500%d", i);
        struct jobs_upload upload = fixture_upload(ids[i], NULL);
        assert_int_equal(jobs_upload_begin(jobs, &upload, &fixture_limits, NULL, &err), JOBS_BEGUN);
        assert_true(jobs_upload_commit(jobs, ids[i], NULL, NULL, 1, fixture_sha256, NULL, &err));
    }
    fixture_receiving(jobs, other); // not listed before it is accepted
    assert_true(jobs_delete(jobs, fixture_alice, ids[3], &err));
    struct conversion page[2];
    size_t count = 0;
    int64_t as_of_ms = 0;
    assert_true(jobs_list(jobs, fixture_alice, NULL, 2, page, &count, &as_of_ms, &err));
    assert_int_equal(count, 2);
    assert_string_equal(page[0].id, ids[4]);
    assert_string_equal(page[1].id, ids[2]);
    assert_true(as_of_ms >= page[0].updated_at_ms);
    assert_true(jobs_list(jobs, fixture_alice, page[1].id, 2, page, &count, &as_of_ms, &err));
    assert_int_equal(count, 2);
    assert_string_equal(page[1].id, ids[0]);
    assert_true(jobs_list(jobs, fixture_alice, page[1].id, 2, page, &count, &as_of_ms, &err));
    assert_int_equal(count, 0);
    assert_true(jobs_list(jobs, fixture_bob, NULL, 2, page, &count, &as_of_ms, &err));
    assert_int_equal(count, 0);
}

struct seen {
    int count;
    char last_state[JOBS_STATE_SIZE];
    int64_t last_ms;
};

static bool note(const struct conversion *conversion, void *context)
{
    struct seen *seen = context;
    assert_true(conversion->updated_at_ms >= seen->last_ms);
    seen->last_ms = conversion->updated_at_ms;
    snprintf(seen->last_state, sizeof seen->last_state, "%s", conversion->state);
    seen->count++;
    return true;
}

static void changes_are_told_in_their_order_and_deletions_too(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    char receiving[ID_SIZE], queued[ID_SIZE], ready[ID_SIZE];
    fixture_receiving(jobs, receiving);
    fixture_queued(jobs, queued);
    fixture_ready(jobs, ready);
    struct seen seen = {0};
    assert_true(jobs_changed(jobs, NULL, 0, note, &seen, &err));
    assert_int_equal(seen.count, 2);
    fixture_execute(jobs, "UPDATE conversion SET updated_at=5000 WHERE id<>?", queued);
    assert_true(jobs_delete(jobs, fixture_alice, queued, &err));
    seen = (struct seen){0};
    assert_true(jobs_changed(jobs, fixture_alice, 5000, note, &seen, &err));
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.last_state, "deleting");
    seen = (struct seen){0};
    assert_true(jobs_changed(jobs, fixture_bob, 0, note, &seen, &err));
    assert_int_equal(seen.count, 0);
}

static void a_deleted_conversion_is_gone_with_its_links_and_letters(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    char id[ID_SIZE], token[TOKEN_SIZE];
    struct conversion row;
    fixture_ready(jobs, id);
    assert_true(jobs_link_create(jobs, fixture_alice, id, 60000, token, &err));
    assert_true(jobs_delete(jobs, fixture_alice, id, &err));
    assert_true(fixture_is(jobs, id, "deleting"));
    assert_string_equal(fixture_row(jobs, id).mail_state, "cancelled");
    assert_int_equal(fixture_integer(jobs, "SELECT COUNT(*) FROM letter WHERE params<>''", NULL),
                     0);
    assert_false(jobs_link_find(jobs, token, &row, &err));
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
    assert_false(jobs_find(jobs, fixture_alice, id, &row, &err));
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
    assert_false(jobs_delete(jobs, fixture_alice, id, &err));
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
}

static void a_failed_conversion_is_tried_again_with_fresh_budgets(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    struct jobs_claimed claimed = fixture_claimed(jobs);
    const char *id = claimed.conversion.id;
    assert_int_equal(jobs_crashed(jobs, &claimed, FIXTURE_RETENTION_MS, &err), JOBS_DONE);
    fixture_pass(jobs, 3600 * 1000);
    fixture_claim(jobs, id, &claimed);
    assert_int_equal(jobs_crashed(jobs, &claimed, FIXTURE_RETENTION_MS, &err), JOBS_DONE);
    assert_true(fixture_is(jobs, id, "failed"));
    struct conversion row;
    assert_true(jobs_retry(jobs, fixture_alice, id, &row, &err));
    assert_string_equal(row.state, "queued");
    assert_int_equal(row.failures, 0);
    assert_int_equal(row.crashes, 0);
    assert_string_equal(row.error_code, "");
    assert_int_equal(row.expires_at_ms, 0);
    assert_int_equal(row.attempt, 2);
    fixture_claim(jobs, id, &claimed);
    assert_int_equal(claimed.conversion.attempt, 3);
    fixture_finish(jobs, &claimed);
}

static void only_a_failed_conversion_with_its_source_can_be_retried(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    struct conversion row;
    char queued[ID_SIZE], ready[ID_SIZE], failed[ID_SIZE];
    fixture_queued(jobs, queued);
    fixture_ready(jobs, ready);
    fixture_failed(jobs, failed);
    assert_false(jobs_retry(jobs, fixture_alice, queued, &row, &err));
    assert_int_equal(err.kind, ERROR_CONFLICT);
    assert_false(jobs_retry(jobs, fixture_alice, ready, &row, &err));
    assert_int_equal(err.kind, ERROR_CONFLICT);
    fixture_execute(jobs, "UPDATE conversion SET source_key='' WHERE id=?", failed);
    assert_false(jobs_retry(jobs, fixture_alice, failed, &row, &err));
    assert_int_equal(err.kind, ERROR_CONFLICT);
    assert_true(fixture_is(jobs, failed, "failed"));
}

static void a_letter_is_sent_again_five_times_an_hour(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    char id[ID_SIZE], queued[ID_SIZE];
    fixture_ready(jobs, id);
    fixture_queued(jobs, queued);
    assert_false(jobs_letter_again(jobs, fixture_alice, queued, &err));
    assert_int_equal(err.kind, ERROR_CONFLICT);
    for (int i = 0; i < 5; i++)
        assert_true(jobs_letter_again(jobs, fixture_alice, id, &err));
    assert_int_equal(fixture_integer(jobs, "SELECT COUNT(*) FROM letter", NULL), 6);
    assert_false(jobs_letter_again(jobs, fixture_alice, id, &err));
    assert_int_equal(err.kind, ERROR_CONFLICT);
    fixture_pass(jobs, 3600 * 1000 + 1);
    assert_true(jobs_letter_again(jobs, fixture_alice, id, &err));
}

static void a_conversion_has_a_hundred_links_at_most(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    char id[ID_SIZE], token[TOKEN_SIZE];
    fixture_ready(jobs, id);
    // One is in its letter.
    for (int i = 1; i < 100; i++)
        assert_true(jobs_link_create(jobs, fixture_alice, id, 60000, token, &err));
    assert_false(jobs_link_create(jobs, fixture_alice, id, 60000, token, &err));
    assert_int_equal(err.kind, ERROR_TOO_LARGE);
}

static void a_link_works_until_it_is_over_and_is_stored_as_a_hash(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    char id[ID_SIZE], queued[ID_SIZE], token[TOKEN_SIZE];
    struct conversion row;
    fixture_queued(jobs, queued);
    assert_false(jobs_link_create(jobs, fixture_alice, queued, 1000, token, &err));
    assert_int_equal(err.kind, ERROR_CONFLICT);
    fixture_ready(jobs, id);
    assert_true(jobs_link_create(jobs, fixture_alice, id, 60000, token, &err));
    assert_true(jobs_link_find(jobs, token, &row, &err));
    assert_string_equal(row.id, id);
    assert_int_equal(fixture_integer(jobs, "SELECT COUNT(*) FROM link WHERE token_hash=?", token),
                     0);
    fixture_pass(jobs, 60001);
    assert_false(jobs_link_find(jobs, token, &row, &err));
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
    assert_false(jobs_link_find(jobs, "", &row, &err));
}

static void a_database_without_its_tables_is_not_ready(void **state)
{
    (void)state;
    struct error err = {0};
    const char *url = sql_under_test_empty_url();
    SCOPED(jobs_close) struct jobs *jobs = jobs_open(url, &err);
    assert_non_null(jobs);
    assert_false(jobs_ready(jobs, &err));
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    assert_true(jobs_migrate(url, &err));
    assert_true(jobs_migrate(url, &err));
    assert_true(jobs_ready(jobs, &err));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_jobs, close_jobs)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_upload_begins_at_receiving_and_is_queued_when_committed),
        TEST(a_commit_without_name_and_options_keeps_those_of_the_beginning),
        TEST(a_name_becomes_one_readable_line),
        TEST(a_second_commit_changes_nothing_and_succeeds),
        TEST(an_aborted_upload_cannot_be_committed_and_frees_its_key),
        TEST(aborting_what_is_not_receiving_does_nothing),
        TEST(an_upload_that_is_extended_outlives_its_first_deadline),
        TEST(the_same_key_finds_the_running_and_then_the_finished_upload),
        TEST(a_key_is_free_again_after_a_day_and_after_a_deletion),
        TEST(the_quota_counts_what_is_announced_and_what_is_stored),
        TEST(an_upload_over_a_limit_is_refused_and_leaves_no_row),
        TEST(an_id_that_is_taken_is_an_error),
        TEST(another_users_conversion_is_not_there),
        TEST(ids_differ_by_their_case),
        TEST(a_list_pages_by_id_from_the_newest),
        TEST(changes_are_told_in_their_order_and_deletions_too),
        TEST(a_deleted_conversion_is_gone_with_its_links_and_letters),
        TEST(a_failed_conversion_is_tried_again_with_fresh_budgets),
        TEST(only_a_failed_conversion_with_its_source_can_be_retried),
        TEST(a_letter_is_sent_again_five_times_an_hour),
        TEST(a_conversion_has_a_hundred_links_at_most),
        TEST(a_link_works_until_it_is_over_and_is_stored_as_a_hash),
        TEST(a_database_without_its_tables_is_not_ready),
    };
    sql_under_test_start();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sql_under_test_stop();
    return failed;
}
