// The changes of a conversion's state over a network that loses messages: each is done once, and
// whoever asked for it learns so, or learns nothing. On a MySQL or MariaDB server.

#include "jobs_fixture.h"
#include "jobs_operations.h"
#include "jobs_oracle.h"
#include "letters/letters.h"
#include "lossy_proxy.h"
#include "sql/sql.h"
#include "sql_under_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct lossy_proxy *proxy;
static struct jobs *direct, *jobs; // `jobs` through the proxy

static int start(void **state)
{
    (void)state;
    char url[1024];
    struct error err = {0};
    direct = fixture_open();
    proxy = lossy_proxy_start(sql_under_test_url(), url);
    jobs = jobs_open(url, &err);
    assert_non_null(jobs);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    jobs_close(jobs);
    lossy_proxy_stop(proxy);
    fixture_close(direct);
    return 0;
}

static void assert_lost_one(void)
{
    assert_int_equal(lossy_proxy_lost(proxy), 1);
}

static int64_t count(const char *statement, const char *id)
{
    return fixture_integer(direct, statement, id);
}

// ---- the answer to COMMIT

static void an_upload_that_begins_without_an_answer_has_begun(void **state)
{
    (void)state;
    char id[ID_SIZE];
    lossy_proxy_lose(proxy, LOSSY_PROXY_COMMIT);
    fixture_receiving(jobs, id);
    assert_lost_one();
    assert_true(fixture_is(direct, id, "receiving"));
}

static void an_upload_that_is_committed_without_an_answer_is_queued(void **state)
{
    (void)state;
    char id[ID_SIZE];
    struct error err = {0};
    fixture_receiving(direct, id);
    lossy_proxy_lose(proxy, LOSSY_PROXY_COMMIT);
    assert_true(jobs_upload_commit(jobs, id, NULL, NULL, 800, fixture_sha256, NULL, &err));
    assert_lost_one();
    assert_true(fixture_is(direct, id, "queued"));
    assert_int_equal(count("SELECT COUNT(*) FROM event WHERE conversion=?", id), 2);
}

static void a_claim_without_an_answer_is_ones_own(void **state)
{
    (void)state;
    char id[ID_SIZE];
    struct jobs_claimed claimed, other;
    struct error err = {0};
    fixture_queued(direct, id);
    lossy_proxy_lose(proxy, LOSSY_PROXY_COMMIT);
    fixture_claim(jobs, id, &claimed);
    assert_lost_one();
    assert_int_equal(claimed.conversion.attempt, 1);
    assert_int_equal(jobs_claim(direct, id, "other", &other, &err), JOBS_NOT_YOURS);
    assert_int_equal(jobs_renew(jobs, id, claimed.claim, 10, &err), JOBS_DONE);
}

static void a_finish_without_an_answer_gives_one_letter_and_one_link(void **state)
{
    (void)state;
    struct jobs_claimed claimed = fixture_claimed(direct);
    const char *id = claimed.conversion.id;
    lossy_proxy_lose(proxy, LOSSY_PROXY_COMMIT);
    fixture_finish(jobs, &claimed);
    assert_lost_one();
    fixture_finish(jobs, &claimed); // whoever asks again hears the same
    assert_true(fixture_is(direct, id, "ready"));
    assert_int_equal(count("SELECT COUNT(*) FROM event WHERE conversion=?", id), 4);
    assert_int_equal(count("SELECT COUNT(*) FROM letter WHERE conversion=?", id), 1);
    assert_int_equal(count("SELECT COUNT(*) FROM link WHERE conversion=?", id), 1);
}

static void a_letter_is_claimed_and_noted_once_without_answers(void **state)
{
    (void)state;
    char id[ID_SIZE], due[1][ID_SIZE];
    size_t found = 0;
    struct letter letter;
    struct error err = {0};
    struct sql *sql = jobs_sql(jobs);
    fixture_ready(direct, id);
    assert_true(letters_due(sql, due, 1, &found, &err));
    assert_int_equal(found, 1);
    lossy_proxy_lose(proxy, LOSSY_PROXY_EXECUTE);
    assert_int_equal(letters_claim(sql, due[0], "notifier-1", &letter, &err), LETTERS_DONE);
    assert_lost_one();
    assert_int_equal(letter.attempt, 1);
    lossy_proxy_lose(proxy, LOSSY_PROXY_EXECUTE);
    assert_int_equal(letters_sent(sql, &letter, "250 ok", &err), LETTERS_DONE);
    assert_int_equal(lossy_proxy_lost(proxy), 2);
    assert_int_equal(count("SELECT COUNT(*) FROM letter WHERE state=?", "sent"), 1);
}

// ---- any message

// Returns whether there was such a message.
static bool cut_at(const struct jobs_operation *operation, int number)
{
    fixture_empty(direct);
    struct jobs_claimed claimed = {0};
    operation->prepare(direct, &claimed);
    const char *id = claimed.conversion.id;
    int lost = lossy_proxy_lost(proxy);
    lossy_proxy_cut(proxy, number);
    bool is_done = operation->run(jobs, &claimed);
    lossy_proxy_cut(proxy, 0);
    bool is_hit = lossy_proxy_lost(proxy) > lost;
    jobs_operation_check(operation, direct, id, number, is_done, is_hit);
    // Once more, undisturbed.
    operation->run(jobs, &claimed);
    assert_true(fixture_is(direct, id, operation->to_state));
    assert_null(jobs_oracle_complaint(direct, id));
    return is_hit;
}

static void a_connection_cut_at_any_message_loses_and_doubles_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < JOBS_OPERATIONS; i++) {
        int number = 1;
        while (cut_at(&jobs_operations[i], number))
            number++;
        assert_true(number > 8); // BEGIN, UPDATE, INSERT, COMMIT, and their answers
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(an_upload_that_begins_without_an_answer_has_begun),
        TEST(an_upload_that_is_committed_without_an_answer_is_queued),
        TEST(a_claim_without_an_answer_is_ones_own),
        TEST(a_finish_without_an_answer_gives_one_letter_and_one_link),
        TEST(a_letter_is_claimed_and_noted_once_without_answers),
        TEST(a_connection_cut_at_any_message_loses_and_doubles_nothing),
    };
    sql_under_test_start();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sql_under_test_stop();
    return failed;
}
