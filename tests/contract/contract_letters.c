// Every promise of letters.h.

#include "letters/letters.h"

#include "jobs_fixture.h"
#include "sql/sql.h"
#include "sql_under_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { SECOND_MS = 1000, MINUTE_MS = 60000, HOUR_MS = 3600000 };

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

static struct letters_new about_account(const char *dedupe)
{
    return (struct letters_new){
        .dedupe = dedupe,
        .recipient = "bob@example.org",
        .kind = "account_verify",
        .params = "{\"token\":\"secret\"}",
        .traceparent = "00-trace-01",
    };
}

static void add(struct jobs *jobs, const char *dedupe)
{
    struct error err = {0};
    struct letters_new letter = about_account(dedupe);
    assert_true(letters_add(jobs_sql(jobs), &letter, &err));
}

static size_t due(struct jobs *jobs, char (*ids)[ID_SIZE], size_t limit)
{
    struct error err = {0};
    size_t count = 0;
    assert_true(letters_due(jobs_sql(jobs), ids, limit, &count, &err));
    return count;
}

static struct letter claim_next(struct jobs *jobs)
{
    struct error err = {0};
    struct letter letter = {0};
    char ids[1][ID_SIZE];
    assert_int_equal(due(jobs, ids, 1), 1);
    assert_int_equal(letters_claim(jobs_sql(jobs), ids[0], "notifier-1", &letter, &err),
                     LETTERS_DONE);
    return letter;
}

static bool is_in_state(struct jobs *jobs, const char *state)
{
    return fixture_integer(jobs, "SELECT COUNT(*) FROM letter WHERE state=?", state) == 1;
}

static bool is_wiped(struct jobs *jobs)
{
    return fixture_integer(jobs, "SELECT COUNT(*) FROM letter WHERE params<>''", NULL) == 0;
}

static void a_letter_is_due_at_once_and_claimed_with_all_it_says(void **state)
{
    struct jobs *jobs = *state;
    add(jobs, "verify/1");
    struct letter letter = claim_next(jobs);
    assert_true(id_is_valid(letter.id));
    assert_string_equal(letter.conversion, "");
    assert_string_equal(letter.recipient, "bob@example.org");
    assert_string_equal(letter.kind, "account_verify");
    assert_string_equal(letter.params, "{\"token\":\"secret\"}");
    assert_string_equal(letter.traceparent, "00-trace-01");
    assert_int_equal(letter.attempt, 1);
    assert_int_equal(strlen(letter.claim), LETTER_CLAIM_SIZE - 1);
    assert_true(letter.created_at_ms > 0);
    char ids[1][ID_SIZE];
    assert_int_equal(due(jobs, ids, 1), 0);
}

static void the_same_letter_is_not_written_twice(void **state)
{
    struct jobs *jobs = *state;
    add(jobs, "verify/1");
    add(jobs, "verify/1");
    add(jobs, "VERIFY/1");
    assert_int_equal(fixture_integer(jobs, "SELECT COUNT(*) FROM letter", NULL), 2);
}

static bool add_twice_body(struct sql *sql, void *context, struct error *err)
{
    const struct letters_new *letter = context;
    return letters_add(sql, letter, err) && letters_add(sql, letter, err) &&
           sql_execute(sql, "UPDATE letter SET last_reply='kept'", SQL_NO_VALUES, NULL, err);
}

static void a_letter_that_is_there_already_does_not_spoil_the_transaction(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    struct letters_new letter = about_account("verify/1");
    assert_true(sql_transaction(jobs_sql(jobs), add_twice_body, &letter, &err));
    assert_int_equal(err.kind, ERROR_NONE);
    assert_int_equal(
        fixture_integer(jobs, "SELECT COUNT(*) FROM letter WHERE last_reply='kept'", NULL), 1);
}

static void a_claimed_letter_is_nobody_elses(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    add(jobs, "verify/1");
    struct letter letter = claim_next(jobs), other;
    assert_int_equal(letters_claim(jobs_sql(jobs), letter.id, "notifier-2", &other, &err),
                     LETTERS_NOT_YOURS);
    assert_int_equal(
        letters_claim(jobs_sql(jobs), "01ARZ3NDEKTSV4RRFFQ69G5FAV", "notifier-2", &other, &err),
        LETTERS_NOT_YOURS);
}

static void a_sent_letter_is_wiped_and_sending_it_twice_is_noted_once(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    add(jobs, "verify/1");
    struct letter letter = claim_next(jobs);
    assert_int_equal(letters_sent(jobs_sql(jobs), &letter, "250 2.0.0 Ok", &err), LETTERS_DONE);
    assert_int_equal(letters_sent(jobs_sql(jobs), &letter, "250 2.0.0 Ok", &err), LETTERS_DONE);
    assert_int_equal(letters_bounced(jobs_sql(jobs), &letter, "550", &err), LETTERS_NOT_YOURS);
    assert_int_equal(letters_renew(jobs_sql(jobs), letter.id, letter.claim, &err),
                     LETTERS_NOT_YOURS);
    assert_true(is_in_state(jobs, "sent"));
    assert_true(is_wiped(jobs));
    char ids[1][ID_SIZE];
    fixture_pass(jobs, 10 * HOUR_MS);
    assert_int_equal(due(jobs, ids, 1), 0);
}

static void a_bounced_letter_is_wiped_and_not_tried_again(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    add(jobs, "verify/1");
    struct letter letter = claim_next(jobs);
    assert_int_equal(letters_bounced(jobs_sql(jobs), &letter, "550 no such user\r\n", &err),
                     LETTERS_DONE);
    assert_true(is_in_state(jobs, "bounced"));
    assert_true(is_wiped(jobs));
    assert_int_equal(fixture_integer(jobs, "SELECT COUNT(*) FROM letter WHERE last_reply=?",
                                     "550 no such user  "),
                     1);
}

static void a_postponed_letter_waits_twice_as_long_each_time_up_to_an_hour(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    static const int waits_min[] = {2, 4, 8, 16, 32, 60, 60};
    add(jobs, "verify/1");
    char ids[1][ID_SIZE];
    for (size_t i = 0; i < sizeof waits_min / sizeof waits_min[0]; i++) {
        struct letter letter = claim_next(jobs);
        assert_int_equal(letter.attempt, i + 1);
        assert_int_equal(letters_postpone(jobs_sql(jobs), &letter, "451 try later", &err),
                         LETTERS_DONE);
        assert_true(is_in_state(jobs, "pending"));
        fixture_pass(jobs, (int64_t)waits_min[i] * MINUTE_MS - 30 * SECOND_MS);
        assert_int_equal(due(jobs, ids, 1), 0);
        fixture_pass(jobs, 30 * SECOND_MS);
    }
    assert_false(is_wiped(jobs));
}

static void a_letter_is_given_up_after_two_days_but_not_before_it_was_tried(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    add(jobs, "verify/1");
    fixture_pass(jobs, 49 * HOUR_MS);
    struct letter letter = claim_next(jobs);
    assert_int_equal(letters_postpone(jobs_sql(jobs), &letter, "451", &err), LETTERS_DONE);
    assert_true(is_in_state(jobs, "gave_up"));
    assert_true(is_wiped(jobs));
}

static void a_letter_whose_sender_always_dies_is_given_up_too(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    add(jobs, "verify/1");
    struct letter letter = claim_next(jobs);
    fixture_pass(jobs, 49 * HOUR_MS);
    assert_int_equal(letters_claim(jobs_sql(jobs), letter.id, "notifier-2", &letter, &err),
                     LETTERS_NOT_YOURS);
    assert_true(is_in_state(jobs, "gave_up"));
    assert_true(is_wiped(jobs));
}

static void a_letter_given_back_is_due_at_once_and_spends_no_try(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    add(jobs, "verify/1");
    struct letter letter = claim_next(jobs);
    assert_int_equal(letters_give_back(jobs_sql(jobs), &letter, &err), LETTERS_DONE);
    letter = claim_next(jobs);
    assert_int_equal(letter.attempt, 1);
}

static void a_lease_that_is_renewed_does_not_expire(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    add(jobs, "verify/1");
    struct letter letter = claim_next(jobs);
    char ids[1][ID_SIZE];
    fixture_pass(jobs, 40 * SECOND_MS);
    assert_int_equal(letters_renew(jobs_sql(jobs), letter.id, letter.claim, &err), LETTERS_DONE);
    fixture_pass(jobs, 40 * SECOND_MS);
    assert_int_equal(due(jobs, ids, 1), 0);
    fixture_pass(jobs, 21 * SECOND_MS);
    assert_int_equal(due(jobs, ids, 1), 1);
}

static void a_stale_claim_changes_nothing(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    struct sql *sql = jobs_sql(jobs);
    add(jobs, "verify/1");
    struct letter stale = claim_next(jobs);
    fixture_pass(jobs, LETTER_LEASE_MS + 1);
    struct letter fresh = claim_next(jobs);
    assert_string_equal(fresh.id, stale.id);
    assert_int_equal(fresh.attempt, 2);
    assert_int_equal(letters_renew(sql, stale.id, stale.claim, &err), LETTERS_NOT_YOURS);
    assert_int_equal(letters_sent(sql, &stale, "250", &err), LETTERS_NOT_YOURS);
    assert_int_equal(letters_bounced(sql, &stale, "550", &err), LETTERS_NOT_YOURS);
    assert_int_equal(letters_postpone(sql, &stale, "451", &err), LETTERS_NOT_YOURS);
    assert_int_equal(letters_give_back(sql, &stale, &err), LETTERS_NOT_YOURS);
    assert_true(is_in_state(jobs, "sending"));
    assert_int_equal(letters_sent(sql, &fresh, "250", &err), LETTERS_DONE);
}

static void letters_of_a_conversion_are_cancelled_and_others_are_not(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    struct sql *sql = jobs_sql(jobs);
    char id[ID_SIZE];
    fixture_ready(jobs, id);
    struct letter sending = claim_next(jobs);
    assert_true(jobs_letter_again(jobs, fixture_alice, id, &err));
    add(jobs, "verify/1");
    assert_true(letters_cancel(sql, id, &err));
    assert_int_equal(
        fixture_integer(jobs, "SELECT COUNT(*) FROM letter WHERE state=?", "cancelled"), 2);
    assert_true(is_in_state(jobs, "pending"));
    assert_int_equal(
        fixture_integer(jobs, "SELECT COUNT(*) FROM letter WHERE conversion=? AND params<>''", id),
        0);
    assert_int_equal(letters_renew(sql, sending.id, sending.claim, &err), LETTERS_NOT_YOURS);
    assert_int_equal(letters_sent(sql, &sending, "250", &err), LETTERS_NOT_YOURS);
}

static void a_sent_letter_is_not_cancelled_any_more(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    char id[ID_SIZE];
    fixture_ready(jobs, id);
    struct letter letter = claim_next(jobs);
    assert_int_equal(letters_sent(jobs_sql(jobs), &letter, "250", &err), LETTERS_DONE);
    assert_true(letters_cancel(jobs_sql(jobs), id, &err));
    assert_string_equal(fixture_row(jobs, id).mail_state, "sent");
}

static void due_letters_come_oldest_first_and_expired_before_pending(void **state)
{
    struct jobs *jobs = *state;
    add(jobs, "verify/expired");
    struct letter expired = claim_next(jobs);
    add(jobs, "verify/newer");
    fixture_pass(jobs, LETTER_LEASE_MS + 1);
    add(jobs, "verify/newest");
    char ids[4][ID_SIZE];
    assert_int_equal(due(jobs, ids, 4), 3);
    assert_string_equal(ids[0], expired.id);
    assert_int_equal(fixture_integer(jobs,
                                     "SELECT COUNT(*) FROM letter WHERE id=?"
                                     " AND dedupe='verify/newer'",
                                     ids[1]),
                     1);
    assert_int_equal(due(jobs, ids, 2), 2);
}

static void a_clock_that_is_set_back_lets_no_letter_sleep(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    add(jobs, "verify/sending");
    claim_next(jobs);
    add(jobs, "verify/pending");
    fixture_pass(jobs, -24 * 60 * 60 * 1000); // seen from the rows
    char ids[4][ID_SIZE];
    assert_int_equal(due(jobs, ids, 4), 0);
    assert_true(letters_wake_sleepers(jobs_sql(jobs), &err));
    assert_int_equal(due(jobs, ids, 4), 0);
    fixture_pass(jobs, LETTER_LEASE_MS + 1);
    assert_int_equal(due(jobs, ids, 4), 2);
}

static void letters_are_counted_by_the_beginning_of_their_dedupe_text(void **state)
{
    struct jobs *jobs = *state;
    struct error err = {0};
    add(jobs, "a/again/1");
    fixture_pass(jobs, HOUR_MS);
    add(jobs, "a/again/2");
    add(jobs, "a/end/1");
    add(jobs, "b/again/1");
    int64_t count = 0;
    assert_true(letters_count(jobs_sql(jobs), "a/again/", 2 * HOUR_MS, &count, &err));
    assert_int_equal(count, 2);
    assert_true(letters_count(jobs_sql(jobs), "a/again/", HOUR_MS / 2, &count, &err));
    assert_int_equal(count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_jobs, close_jobs)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_letter_is_due_at_once_and_claimed_with_all_it_says),
        TEST(the_same_letter_is_not_written_twice),
        TEST(a_letter_that_is_there_already_does_not_spoil_the_transaction),
        TEST(a_claimed_letter_is_nobody_elses),
        TEST(a_sent_letter_is_wiped_and_sending_it_twice_is_noted_once),
        TEST(a_bounced_letter_is_wiped_and_not_tried_again),
        TEST(a_postponed_letter_waits_twice_as_long_each_time_up_to_an_hour),
        TEST(a_letter_is_given_up_after_two_days_but_not_before_it_was_tried),
        TEST(a_letter_whose_sender_always_dies_is_given_up_too),
        TEST(a_letter_given_back_is_due_at_once_and_spends_no_try),
        TEST(a_lease_that_is_renewed_does_not_expire),
        TEST(a_stale_claim_changes_nothing),
        TEST(letters_of_a_conversion_are_cancelled_and_others_are_not),
        TEST(a_sent_letter_is_not_cancelled_any_more),
        TEST(due_letters_come_oldest_first_and_expired_before_pending),
        TEST(a_clock_that_is_set_back_lets_no_letter_sleep),
        TEST(letters_are_counted_by_the_beginning_of_their_dedupe_text),
    };
    sql_under_test_start();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sql_under_test_stop();
    return failed;
}
