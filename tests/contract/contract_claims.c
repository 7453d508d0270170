// The converter's side of jobs.h: claims and their fences, the ways out of converting.

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

static void a_claim_makes_a_queued_conversion_ones_own(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    struct jobs_claimed claimed = fixture_claimed(jobs), other;
    const struct conversion *row = &claimed.conversion;
    assert_string_equal(row->state, "converting");
    assert_string_equal(row->worker, "converter-1");
    assert_int_equal(row->attempt, 1);
    assert_int_equal(row->failures, 0);
    assert_int_equal(row->wake_at_ms, row->updated_at_ms + JOBS_LEASE_MS);
    assert_int_equal(strlen(claimed.claim), JOBS_CLAIM_SIZE - 1);
    assert_int_equal(jobs_claim(jobs, row->id, "converter-2", &other, &err), JOBS_NOT_YOURS);
}

static void only_queued_and_expired_conversions_can_be_claimed(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    struct jobs_claimed claimed;
    char id[4][ID_SIZE], unknown[ID_SIZE];
    fixture_receiving(jobs, id[0]);
    fixture_ready(jobs, id[1]);
    fixture_failed(jobs, id[2]);
    fixture_queued(jobs, id[3]);
    assert_true(jobs_delete(jobs, fixture_alice, id[3], &err));
    id_new(unknown);
    fixture_pass(jobs, 10 * MINUTE_MS);
    for (int i = 0; i < 4; i++)
        assert_int_equal(jobs_claim(jobs, id[i], "converter-2", &claimed, &err), JOBS_NOT_YOURS);
    assert_int_equal(jobs_claim(jobs, unknown, "converter-2", &claimed, &err), JOBS_NOT_YOURS);
}

static void an_expired_lease_lets_another_take_over_and_spends_a_failure(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    struct jobs_claimed stale = fixture_claimed(jobs), fresh;
    fixture_pass(jobs, JOBS_LEASE_MS + 1);
    assert_int_equal(jobs_claim(jobs, stale.conversion.id, "converter-2", &fresh, &err), JOBS_DONE);
    assert_int_equal(fresh.conversion.attempt, 2);
    assert_int_equal(fresh.conversion.failures, 1);
    assert_string_not_equal(fresh.claim, stale.claim);
}

static void a_stale_claim_changes_nothing(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    struct jobs_claimed stale = fixture_claimed(jobs), fresh;
    const char *id = stale.conversion.id;
    fixture_pass(jobs, JOBS_LEASE_MS + 1);
    assert_int_equal(jobs_claim(jobs, id, "converter-2", &fresh, &err), JOBS_DONE);
    struct conversion before = fixture_row(jobs, id);
    struct jobs_result result = fixture_result();
    assert_int_equal(jobs_renew(jobs, id, stale.claim, 500, &err), JOBS_NOT_YOURS);
    assert_int_equal(jobs_finish(jobs, &stale, &result, &err), JOBS_NOT_YOURS);
    assert_int_equal(jobs_fail(jobs, &stale, "no_audio", "", 1000, &err), JOBS_NOT_YOURS);
    assert_int_equal(jobs_postpone(jobs, &stale, "", 1000, &err), JOBS_NOT_YOURS);
    assert_int_equal(jobs_crashed(jobs, &stale, 1000, &err), JOBS_NOT_YOURS);
    assert_int_equal(jobs_give_back(jobs, &stale, &err), JOBS_NOT_YOURS);
    struct conversion after = fixture_row(jobs, id);
    assert_memory_equal(&before, &after, sizeof before);
    assert_int_equal(fixture_integer(jobs, "SELECT COUNT(*) FROM letter", NULL), 0);
    fixture_finish(jobs, &fresh);
}

static void a_deleted_conversion_takes_the_claim_with_it(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    struct jobs_claimed claimed = fixture_claimed(jobs);
    assert_true(jobs_delete(jobs, fixture_alice, claimed.conversion.id, &err));
    struct jobs_result result = fixture_result();
    assert_int_equal(jobs_renew(jobs, claimed.conversion.id, claimed.claim, 500, &err),
                     JOBS_NOT_YOURS);
    assert_int_equal(jobs_finish(jobs, &claimed, &result, &err), JOBS_NOT_YOURS);
    assert_true(fixture_is(jobs, claimed.conversion.id, "deleting"));
}

static void due_ones_come_oldest_first_and_expired_before_queued(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    struct jobs_claimed expired = fixture_claimed(jobs);
    char older[ID_SIZE], newer[ID_SIZE], due[4][ID_SIZE];
    fixture_queued(jobs, newer);
    fixture_queued(jobs, older);
    fixture_execute(jobs, "UPDATE conversion SET wake_at=1000 WHERE id=?", older);
    size_t count = 0;
    assert_true(jobs_due(jobs, due, 4, &count, &err));
    assert_int_equal(count, 2);
    fixture_pass(jobs, JOBS_LEASE_MS + 1);
    assert_true(jobs_due(jobs, due, 4, &count, &err));
    assert_int_equal(count, 3);
    assert_string_equal(due[0], expired.conversion.id);
    assert_string_equal(due[1], older);
    assert_string_equal(due[2], newer);
    // However many are queued: else it would wait until the last of them is done.
    assert_true(jobs_due(jobs, due, 1, &count, &err));
    assert_int_equal(count, 1);
    assert_string_equal(due[0], expired.conversion.id);
}

static void a_renewal_puts_the_lease_off_and_only_progress_is_news(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    struct jobs_claimed claimed = fixture_claimed(jobs);
    const char *id = claimed.conversion.id;
    fixture_pass(jobs, 30 * SECOND_MS);
    assert_int_equal(jobs_renew(jobs, id, claimed.claim, 0, &err), JOBS_DONE);
    struct conversion row = fixture_row(jobs, id);
    assert_int_equal(row.revision, claimed.conversion.revision);
    assert_int_equal(row.updated_at_ms, claimed.conversion.updated_at_ms);
    assert_true(row.wake_at_ms >= claimed.conversion.wake_at_ms);
    assert_int_equal(jobs_renew(jobs, id, claimed.claim, 420, &err), JOBS_DONE);
    row = fixture_row(jobs, id);
    assert_int_equal(row.progress_permille, 420);
    assert_int_equal(row.revision, claimed.conversion.revision + 1);
    // Late, but nobody took it: still the owner's.
    fixture_pass(jobs, 2 * JOBS_LEASE_MS);
    assert_int_equal(jobs_renew(jobs, id, claimed.claim, 420, &err), JOBS_DONE);
}

static void a_finished_conversion_is_ready_with_its_letter_and_link(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    struct jobs_claimed claimed = fixture_claimed(jobs);
    const char *id = claimed.conversion.id;
    fixture_finish(jobs, &claimed);
    struct conversion row = fixture_row(jobs, id);
    assert_string_equal(row.state, "ready");
    assert_string_equal(row.audio_key, "audio/x/1");
    assert_int_equal(row.audio_bytes, 300);
    assert_int_equal(row.duration_ms, 61000);
    assert_string_equal(row.source_key, "");
    assert_int_equal(row.progress_permille, 1000);
    assert_string_equal(row.mail_state, "pending");
    assert_int_equal(row.expires_at_ms, row.wake_at_ms);
    assert_true(row.expires_at_ms - row.updated_at_ms >= FIXTURE_RETENTION_MS - MINUTE_MS);
    char due[1][ID_SIZE];
    size_t count = 0;
    assert_true(letters_due(jobs_sql(jobs), due, 1, &count, &err));
    assert_int_equal(count, 1);
    struct letter letter;
    assert_int_equal(letters_claim(jobs_sql(jobs), due[0], "notifier-1", &letter, &err),
                     LETTERS_DONE);
    assert_string_equal(letter.conversion, id);
    assert_string_equal(letter.recipient, "alice@example.org");
    assert_string_equal(letter.kind, "conversion_ready");
    assert_string_equal(letter.traceparent, row.traceparent);
    char token[TOKEN_SIZE] = "", head[64], tail[96];
    const char *at = strstr(letter.params, "\"link_token\":\"");
    assert_non_null(at);
    snprintf(token, sizeof token, "%s", at + strlen("\"link_token\":\""));
    snprintf(head, sizeof head, "{\"name\":\"talk.mp4\",\"link_token\":\"%s\",", token);
    assert_memory_equal(letter.params, head, strlen(head));
    snprintf(tail, sizeof tail, "\"duration_ms\":61000,\"audio_bytes\":300,\"expires_at_ms\":%lld}",
             (long long)row.expires_at_ms);
    assert_string_equal(letter.params + strlen(head), tail);
    assert_true(jobs_link_find(jobs, token, &row, &err));
    assert_string_equal(row.id, id);
}

static void a_second_finish_is_done_already(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    struct jobs_claimed claimed = fixture_claimed(jobs);
    fixture_finish(jobs, &claimed);
    struct jobs_result result = fixture_result();
    assert_int_equal(jobs_finish(jobs, &claimed, &result, &err), JOBS_DONE);
    assert_int_equal(jobs_fail(jobs, &claimed, "no_audio", "", 1000, &err), JOBS_NOT_YOURS);
    assert_int_equal(jobs_give_back(jobs, &claimed, &err), JOBS_NOT_YOURS);
    assert_int_equal(fixture_integer(jobs, "SELECT COUNT(*) FROM letter", NULL), 1);
}

static void a_failed_conversion_says_why_and_keeps_its_source(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    struct jobs_claimed claimed = fixture_claimed(jobs);
    assert_int_equal(jobs_fail(jobs, &claimed, "no_audio", "There is \"no\" sound\nin it.",
                               FIXTURE_RETENTION_MS, &err),
                     JOBS_DONE);
    struct conversion row = fixture_row(jobs, claimed.conversion.id);
    assert_string_equal(row.state, "failed");
    assert_string_equal(row.error_code, "no_audio");
    assert_string_equal(row.error_detail, "There is \"no\" sound in it.");
    assert_string_not_equal(row.source_key, "");
    assert_int_equal(row.failures, 0);
    assert_int_equal(fixture_integer(jobs, "SELECT COUNT(*) FROM letter WHERE params=?",
                                     "{\"name\":\"talk.mp4\",\"code\":\"no_audio\",\"detail\":"
                                     "\"There is \\\"no\\\" sound in it.\"}"),
                     1);
    assert_int_equal(fixture_integer(jobs, "SELECT COUNT(*) FROM link", NULL), 0);
}

static void without_an_address_a_conversion_ends_without_a_letter(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    struct jobs_claimed claimed = fixture_claimed(jobs);
    fixture_execute(jobs, "UPDATE conversion SET owner_email='' WHERE id=?", claimed.conversion.id);
    assert_int_equal(jobs_fail(jobs, &claimed, "no_audio", "", 1000, &err), JOBS_DONE);
    assert_int_equal(fixture_integer(jobs, "SELECT COUNT(*) FROM letter", NULL), 0);
}

static void a_postponed_conversion_waits_and_gives_up_when_its_budget_is_spent(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    struct jobs_claimed claimed = fixture_claimed(jobs), early;
    const char *id = claimed.conversion.id;
    int64_t last_wait_ms = 0;
    for (int i = 1; i < JOBS_FAILURES_LIMIT; i++) {
        assert_int_equal(jobs_postpone(jobs, &claimed, "The store is away.", 1000, &err),
                         JOBS_DONE);
        struct conversion row = fixture_row(jobs, id);
        assert_string_equal(row.state, "queued");
        assert_int_equal(row.failures, i);
        assert_true(row.wake_at_ms - row.updated_at_ms > last_wait_ms);
        last_wait_ms = row.wake_at_ms - row.updated_at_ms;
        assert_int_equal(jobs_claim(jobs, id, "early", &early, &err), JOBS_NOT_YOURS);
        fixture_pass(jobs, HOUR_MS);
        fixture_claim(jobs, id, &claimed);
        assert_int_equal(claimed.conversion.failures, i);
    }
    assert_int_equal(jobs_postpone(jobs, &claimed, "The store is away.", 1000, &err), JOBS_DONE);
    struct conversion row = fixture_row(jobs, id);
    assert_string_equal(row.state, "failed");
    assert_string_equal(row.error_code, "gave_up");
    assert_string_equal(row.error_detail, "The store is away.");
    assert_int_equal(fixture_integer(jobs, "SELECT COUNT(*) FROM letter", NULL), 1);
}

static void the_second_crash_ends_a_conversion(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    struct jobs_claimed claimed = fixture_claimed(jobs);
    const char *id = claimed.conversion.id;
    assert_int_equal(jobs_crashed(jobs, &claimed, 1000, &err), JOBS_DONE);
    struct conversion row = fixture_row(jobs, id);
    assert_string_equal(row.state, "queued");
    assert_int_equal(row.crashes, 1);
    fixture_pass(jobs, HOUR_MS);
    fixture_claim(jobs, id, &claimed);
    assert_int_equal(jobs_crashed(jobs, &claimed, 1000, &err), JOBS_DONE);
    row = fixture_row(jobs, id);
    assert_string_equal(row.state, "failed");
    assert_string_equal(row.error_code, "decoder_crash");
}

static void giving_back_spends_nothing_however_often(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    struct jobs_claimed claimed = fixture_claimed(jobs);
    for (int i = 0; i < 2 * JOBS_FAILURES_LIMIT; i++) {
        assert_int_equal(jobs_give_back(jobs, &claimed, &err), JOBS_DONE);
        assert_int_equal(jobs_give_back(jobs, &claimed, &err), JOBS_DONE);
        assert_true(fixture_is(jobs, claimed.conversion.id, "queued"));
        fixture_claim(jobs, claimed.conversion.id, &claimed);
        assert_int_equal(claimed.conversion.attempt, i + 2);
        assert_int_equal(claimed.conversion.failures, 0);
    }
}

// Claims it until the expired leases have used the budget up. The last claim is left.
static struct jobs_claimed expire_all_but_the_last(struct jobs *jobs)
{
    struct jobs_claimed claimed = fixture_claimed(jobs);
    for (int i = 0; i < JOBS_FAILURES_LIMIT; i++) {
        fixture_pass(jobs, JOBS_LEASE_MS + 1);
        fixture_claim(jobs, claimed.conversion.id, &claimed);
    }
    return claimed;
}

static void leases_that_always_expire_end_in_gave_up_by_the_sweep(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    struct jobs_claimed claimed = expire_all_but_the_last(jobs), refused;
    const char *id = claimed.conversion.id;
    assert_int_equal(claimed.conversion.failures, JOBS_FAILURES_LIMIT);
    int64_t moved = 0;
    assert_true(jobs_sweep(jobs, FIXTURE_RETENTION_MS, &moved, &err));
    assert_int_equal(moved, 0);
    fixture_pass(jobs, JOBS_LEASE_MS + 1);
    size_t count = 1;
    char due[1][ID_SIZE];
    assert_true(jobs_due(jobs, due, 1, &count, &err));
    assert_int_equal(count, 0);
    assert_int_equal(jobs_claim(jobs, id, "converter-3", &refused, &err), JOBS_NOT_YOURS);
    assert_true(jobs_sweep(jobs, FIXTURE_RETENTION_MS, &moved, &err));
    assert_int_equal(moved, 1);
    struct conversion row = fixture_row(jobs, id);
    assert_string_equal(row.state, "failed");
    assert_string_equal(row.error_code, "gave_up");
    assert_string_equal(row.mail_state, "pending");
    struct jobs_result result = fixture_result();
    assert_int_equal(jobs_finish(jobs, &claimed, &result, &err), JOBS_NOT_YOURS);
    assert_int_equal(jobs_fail(jobs, &claimed, "no_audio", "", 1000, &err), JOBS_NOT_YOURS);
}

static void the_last_attempt_given_back_can_be_claimed_again(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    struct jobs_claimed claimed = expire_all_but_the_last(jobs);
    assert_int_equal(jobs_give_back(jobs, &claimed, &err), JOBS_DONE);
    fixture_claim(jobs, claimed.conversion.id, &claimed);
    fixture_finish(jobs, &claimed);
}

static void the_event_log_tells_the_whole_story(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    char id[ID_SIZE];
    fixture_ready(jobs, id);
    assert_true(jobs_delete(jobs, fixture_alice, id, &err));
    assert_true(jobs_deleted(jobs, id, &err));
    static const char *const story[][2] = {
        {"receiving", "owner"},   {"queued", "owner"},   {"converting", "converter-1"},
        {"ready", "converter-1"}, {"deleting", "owner"}, {"deleted", "sweep"},
    };
    struct jobs_event events[8];
    size_t count = 0;
    assert_true(jobs_events(jobs, id, events, 8, &count, &err));
    assert_int_equal(count, 6);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(events[i].from_state, i ? story[i - 1][0] : "");
        assert_string_equal(events[i].to_state, story[i][0]);
        assert_string_equal(events[i].actor, story[i][1]);
        assert_int_equal(events[i].revision, i + 1);
        assert_int_equal(events[i].attempt, i < 2 ? 0 : 1);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_jobs, close_jobs)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_claim_makes_a_queued_conversion_ones_own),
        TEST(only_queued_and_expired_conversions_can_be_claimed),
        TEST(an_expired_lease_lets_another_take_over_and_spends_a_failure),
        TEST(a_stale_claim_changes_nothing),
        TEST(a_deleted_conversion_takes_the_claim_with_it),
        TEST(due_ones_come_oldest_first_and_expired_before_queued),
        TEST(a_renewal_puts_the_lease_off_and_only_progress_is_news),
        TEST(a_finished_conversion_is_ready_with_its_letter_and_link),
        TEST(a_second_finish_is_done_already),
        TEST(a_failed_conversion_says_why_and_keeps_its_source),
        TEST(without_an_address_a_conversion_ends_without_a_letter),
        TEST(a_postponed_conversion_waits_and_gives_up_when_its_budget_is_spent),
        TEST(the_second_crash_ends_a_conversion),
        TEST(giving_back_spends_nothing_however_often),
        TEST(leases_that_always_expire_end_in_gave_up_by_the_sweep),
        TEST(the_last_attempt_given_back_can_be_claimed_again),
        TEST(the_event_log_tells_the_whole_story),
    };
    sql_under_test_start();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sql_under_test_stop();
    return failed;
}
