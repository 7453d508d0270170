// Every promise of accounts.h about sessions, on the database that UNREEL_TEST_SQL names: a fresh
// SQLite file without it.

#include "accounts_fixture.h"
#include "base/clock.h"
#include "faulty_sql.h"
#include "sql/sql.h"
#include "sql_under_test.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void a_token_is_long_new_each_time_and_stored_nowhere(void **state)
{
    struct accounts *accounts = *state;
    struct account bob = accounts_fixture_make(accounts, "bob@example.org");
    char tokens[3][REFRESH_TOKEN_SIZE];
    struct session session = accounts_fixture_begin(accounts, bob.id, tokens[0]);
    accounts_fixture_begin(accounts, bob.id, tokens[1]);
    assert_int_equal(accounts_fixture_refresh(accounts, tokens[0], tokens[2]), ERROR_NONE);
    assert_true(id_is_valid(session.id));
    assert_string_equal(session.account, bob.id);
    assert_true(session.created_at_ms == session.used_at_ms);
    assert_true(session.expires_at_ms == session.created_at_ms + HOUR_MS);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(strlen(tokens[i]), REFRESH_TOKEN_SIZE - 1);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(tokens[i] + 32, tokens[j] + 32);
        char statement[400];
        snprintf(statement, sizeof statement,
                 "SELECT COUNT(*) FROM session WHERE token_hash IN ('%s','%s')"
                 " OR salt='%s' OR selector_hash='%.32s'",
                 tokens[i], tokens[i] + 32, tokens[i] + 32, tokens[i]);
        assert_int_equal(sql_under_test_count(statement), 0);
    }
}

static void each_use_replaces_the_token(void **state)
{
    struct accounts *accounts = *state;
    struct error err = {0};
    struct account bob = accounts_fixture_make(accounts, "bob@example.org");
    char token[REFRESH_TOKEN_SIZE], next[REFRESH_TOKEN_SIZE];
    struct session begun = accounts_fixture_begin(accounts, bob.id, token);
    for (int i = 0; i < 5; i++) {
        struct session session;
        assert_true(accounts_session_refresh(accounts, token, &session, next, &err));
        assert_string_equal(session.id, begun.id);
        assert_string_equal(session.account, bob.id);
        assert_true(session.used_at_ms >= begun.used_at_ms);
        assert_true(session.expires_at_ms == begun.expires_at_ms);
        assert_string_not_equal(token, next);
        memcpy(token, next, sizeof token);
    }
    assert_int_equal(accounts_fixture_live(accounts, bob.id), 1);
}

static void a_doubled_request_gets_the_same_successor(void **state)
{
    struct accounts *accounts = *state;
    struct account bob = accounts_fixture_make(accounts, "bob@example.org");
    char token[REFRESH_TOKEN_SIZE], first[REFRESH_TOKEN_SIZE], second[REFRESH_TOKEN_SIZE];
    accounts_fixture_begin(accounts, bob.id, token);
    assert_int_equal(accounts_fixture_refresh(accounts, token, first), ERROR_NONE);
    assert_int_equal(accounts_fixture_refresh(accounts, token, second), ERROR_NONE);
    assert_string_equal(first, second);
    assert_int_equal(accounts_fixture_refresh(accounts, first, second), ERROR_NONE);
    assert_string_not_equal(first, second);
}

static void a_second_use_after_the_grace_revokes_the_family(void **state)
{
    struct accounts *accounts = *state;
    struct account bob = accounts_fixture_make(accounts, "bob@example.org");
    char token[REFRESH_TOKEN_SIZE], next[REFRESH_TOKEN_SIZE], other[REFRESH_TOKEN_SIZE];
    char ignored[REFRESH_TOKEN_SIZE];
    accounts_fixture_begin(accounts, bob.id, token);
    accounts_fixture_begin(accounts, bob.id, other);
    assert_int_equal(accounts_fixture_refresh(accounts, token, next), ERROR_NONE);
    sql_under_test_change("UPDATE session SET used_at=used_at-10001");
    assert_int_equal(accounts_fixture_refresh(accounts, token, ignored), ERROR_DENIED);
    assert_int_equal(accounts_fixture_refresh(accounts, next, ignored), ERROR_DENIED);
    assert_int_equal(accounts_fixture_live(accounts, bob.id), 1);
    assert_int_equal(accounts_fixture_refresh(accounts, other, ignored), ERROR_NONE);
}

static void an_older_token_revokes_the_family_even_within_the_grace(void **state)
{
    struct accounts *accounts = *state;
    struct account bob = accounts_fixture_make(accounts, "bob@example.org");
    char token[REFRESH_TOKEN_SIZE], next[REFRESH_TOKEN_SIZE], last[REFRESH_TOKEN_SIZE];
    accounts_fixture_begin(accounts, bob.id, token);
    assert_int_equal(accounts_fixture_refresh(accounts, token, next), ERROR_NONE);
    assert_int_equal(accounts_fixture_refresh(accounts, next, last), ERROR_NONE);
    assert_int_equal(accounts_fixture_refresh(accounts, token, next), ERROR_DENIED);
    assert_int_equal(accounts_fixture_refresh(accounts, last, next), ERROR_DENIED);
    assert_int_equal(accounts_fixture_live(accounts, bob.id), 0);
}

static void what_is_no_token_is_denied_and_harms_nobody(void **state)
{
    struct accounts *accounts = *state;
    struct account bob = accounts_fixture_make(accounts, "bob@example.org");
    char token[REFRESH_TOKEN_SIZE], wrong[REFRESH_TOKEN_SIZE + 1], next[REFRESH_TOKEN_SIZE];
    accounts_fixture_begin(accounts, bob.id, token);
    assert_int_equal(accounts_fixture_refresh(accounts, "", next), ERROR_DENIED);
    snprintf(wrong, sizeof wrong, "%sa", token);
    assert_int_equal(accounts_fixture_refresh(accounts, wrong, next), ERROR_DENIED);
    snprintf(wrong, sizeof wrong, "%.95s", token);
    assert_int_equal(accounts_fixture_refresh(accounts, wrong, next), ERROR_DENIED);
    snprintf(wrong, sizeof wrong, "%.95sG", token);
    assert_int_equal(accounts_fixture_refresh(accounts, wrong, next), ERROR_DENIED);
    snprintf(wrong, sizeof wrong, "%s", token);
    wrong[0] = wrong[0] == 'a' ? 'b' : 'a';
    assert_int_equal(accounts_fixture_refresh(accounts, wrong, next), ERROR_DENIED);
    assert_int_equal(accounts_fixture_live(accounts, bob.id), 1);
    assert_int_equal(accounts_fixture_refresh(accounts, token, next), ERROR_NONE);
}

static void a_session_ends_when_it_is_over_or_idle(void **state)
{
    struct accounts *accounts = *state;
    struct error err = {0};
    struct account bob = accounts_fixture_make(accounts, "bob@example.org");
    char token[REFRESH_TOKEN_SIZE], next[REFRESH_TOKEN_SIZE];
    struct session session;
    int64_t month_ms = INT64_C(30) * 86400000;
    assert_true(accounts_session_start(accounts, bob.id, month_ms, &session, token, &err));
    assert_true(session.expires_at_ms == session.created_at_ms + SESSION_IDLE_MS);
    // Each use puts the end off, but not past the lifetime.
    sql_under_test_change(
        "UPDATE session SET created_at=created_at-86400000, used_at=used_at-86400000,"
        " ends_at=ends_at-86400000, expires_at=expires_at-86400000");
    assert_true(accounts_session_refresh(accounts, token, &session, next, &err));
    assert_true(session.expires_at_ms == session.used_at_ms + SESSION_IDLE_MS);
    sql_under_test_change("UPDATE session SET ends_at=used_at+1000");
    assert_true(accounts_session_refresh(accounts, next, &session, token, &err));
    assert_true(session.expires_at_ms <= session.used_at_ms + 1000);
    sql_under_test_change("UPDATE session SET expires_at=expires_at-1001");
    assert_int_equal(accounts_fixture_refresh(accounts, token, next), ERROR_DENIED);
    assert_int_equal(accounts_fixture_live(accounts, bob.id), 0);
}

static void the_eleventh_session_ends_the_one_used_longest_ago(void **state)
{
    struct accounts *accounts = *state;
    struct account bob = accounts_fixture_make(accounts, "bob@example.org");
    char tokens[SESSIONS_LIMIT + 1][REFRESH_TOKEN_SIZE], next[REFRESH_TOKEN_SIZE];
    for (size_t i = 0; i < SESSIONS_LIMIT; i++) {
        accounts_fixture_begin(accounts, bob.id, tokens[i]);
        // A second apart: two log-ins within one millisecond have no order.
        sql_under_test_change("UPDATE session SET used_at=used_at-1000");
    }
    // The oldest is used, so it is the second that nobody used for longest.
    assert_int_equal(accounts_fixture_refresh(accounts, tokens[0], next), ERROR_NONE);
    memcpy(tokens[0], next, sizeof next);
    accounts_fixture_begin(accounts, bob.id, tokens[SESSIONS_LIMIT]);
    assert_int_equal(accounts_fixture_live(accounts, bob.id), SESSIONS_LIMIT);
    for (size_t i = 0; i <= SESSIONS_LIMIT; i++)
        assert_int_equal(accounts_fixture_refresh(accounts, tokens[i], next),
                         i == 1 ? ERROR_DENIED : ERROR_NONE);
}

static void sessions_are_listed_newest_first_and_only_ones_own(void **state)
{
    struct accounts *accounts = *state;
    struct error err = {0};
    struct account bob = accounts_fixture_make(accounts, "bob@example.org");
    struct account eve = accounts_fixture_make(accounts, "eve@example.org");
    char token[REFRESH_TOKEN_SIZE];
    struct session begun[3], listed[3];
    size_t found;
    for (size_t i = 0; i < 3; i++) {
        begun[i] = accounts_fixture_begin(accounts, bob.id, token);
        clock_sleep_ms(2); // ids sort by the ms
    }
    accounts_fixture_begin(accounts, eve.id, token);
    assert_true(accounts_sessions(accounts, bob.id, listed, 3, &found, &err));
    assert_int_equal(found, 3);
    for (size_t i = 0; i < 3; i++)
        assert_memory_equal(&listed[i], &begun[2 - i], sizeof begun[0]);
    assert_true(accounts_sessions(accounts, bob.id, listed, 2, &found, &err));
    assert_int_equal(found, 2);
    assert_string_equal(listed[0].id, begun[2].id);
}

static void one_ends_ones_own_sessions_only(void **state)
{
    struct accounts *accounts = *state;
    struct error err = {0};
    struct account bob = accounts_fixture_make(accounts, "bob@example.org");
    struct account eve = accounts_fixture_make(accounts, "eve@example.org");
    char token[REFRESH_TOKEN_SIZE], next[REFRESH_TOKEN_SIZE];
    struct session session = accounts_fixture_begin(accounts, bob.id, token);
    accounts_fixture_begin(accounts, bob.id, next);
    accounts_fixture_begin(accounts, eve.id, next);
    assert_false(accounts_session_end(accounts, eve.id, session.id, &err));
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
    err = (struct error){0};
    assert_true(accounts_session_end(accounts, bob.id, session.id, &err));
    assert_true(accounts_session_end(accounts, bob.id, session.id, &err));
    assert_int_equal(accounts_fixture_refresh(accounts, token, next), ERROR_DENIED);
    assert_int_equal(accounts_fixture_live(accounts, bob.id), 1);
    assert_true(accounts_session_end(accounts, bob.id, NULL, &err));
    assert_int_equal(accounts_fixture_live(accounts, bob.id), 0);
    assert_true(accounts_session_end(accounts, bob.id, NULL, &err));
    assert_int_equal(accounts_fixture_live(accounts, eve.id), 1);
}

static void the_sweep_removes_what_ended_over_a_day_ago(void **state)
{
    struct accounts *accounts = *state;
    struct error err = {0};
    struct account bob = accounts_fixture_make(accounts, "bob@example.org");
    char token[REFRESH_TOKEN_SIZE];
    int64_t removed;
    for (int i = 0; i < 60; i++)
        accounts_fixture_begin(accounts, bob.id, token);
    assert_int_equal(
        sql_under_test_count("SELECT COUNT(*) FROM session WHERE revoked_at IS NOT NULL"), 50);
    assert_true(accounts_sweep(accounts, &removed, &err));
    assert_int_equal(removed, 0);
    sql_under_test_change("UPDATE session SET expires_at=expires_at-86400001-3600000");
    assert_true(accounts_sweep(accounts, &removed, &err));
    assert_int_equal(removed, 50);
    assert_true(accounts_sweep(accounts, &removed, &err));
    assert_int_equal(removed, 10);
    assert_true(accounts_sweep(accounts, &removed, &err));
    assert_int_equal(removed, 0);
}

// ---- several at once

enum { RACERS = 8 };

struct racer {
    char token[REFRESH_TOKEN_SIZE];
    char next[REFRESH_TOKEN_SIZE];
    enum error_kind kind;
};

static void *race_to_refresh(void *context)
{
    struct racer *racer = context;
    struct error err = {0};
    struct session session;
    SCOPED(accounts_close) struct accounts *accounts = accounts_open(sql_under_test_url(), &err);
    if (accounts)
        accounts_session_refresh(accounts, racer->token, &session, racer->next, &err);
    racer->kind = err.kind;
    return NULL;
}

static void threads_with_one_token_get_one_successor(void **state)
{
    struct accounts *accounts = *state;
    struct account bob = accounts_fixture_make(accounts, "bob@example.org");
    for (int round = 0; round < 10; round++) {
        struct racer racers[RACERS] = {0};
        pthread_t threads[RACERS];
        accounts_fixture_begin(accounts, bob.id, racers[0].token);
        for (size_t i = 0; i < RACERS; i++) {
            memcpy(racers[i].token, racers[0].token, sizeof racers[0].token);
            assert_int_equal(pthread_create(&threads[i], NULL, race_to_refresh, &racers[i]), 0);
        }
        for (size_t i = 0; i < RACERS; i++)
            pthread_join(threads[i], NULL);
        for (size_t i = 0; i < RACERS; i++) {
            assert_int_equal(racers[i].kind, ERROR_NONE);
            assert_string_equal(racers[i].next, racers[0].next);
        }
        assert_int_equal(accounts_fixture_refresh(accounts, racers[0].next, racers[0].token),
                         ERROR_NONE);
    }
}

static void processes_with_one_token_get_one_successor(void **state)
{
    // Nothing of SQL is carried over a fork: the parent closes first.
    accounts_close(*state);
    *state = NULL;
    char token[REFRESH_TOKEN_SIZE];
    {
        SCOPED(accounts_close) struct accounts *accounts = accounts_fixture_open();
        struct account bob = accounts_fixture_make(accounts, "bob@example.org");
        accounts_fixture_begin(accounts, bob.id, token);
    }
    int answers[2];
    pid_t children[RACERS];
    assert_int_equal(pipe(answers), 0);
    for (size_t i = 0; i < RACERS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            struct racer racer = {0};
            memcpy(racer.token, token, sizeof token);
            race_to_refresh(&racer);
            bool is_told = write(answers[1], &racer, sizeof racer) == sizeof racer;
            _exit(is_told ? 0 : 1);
        }
    }
    struct racer first = {0};
    for (size_t i = 0; i < RACERS; i++) {
        int status;
        struct racer racer;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
        assert_int_equal(read(answers[0], &racer, sizeof racer), sizeof racer);
        assert_int_equal(racer.kind, ERROR_NONE);
        if (i == 0)
            first = racer;
        assert_string_equal(racer.next, first.next);
    }
    close(answers[0]);
    close(answers[1]);
    *state = accounts_fixture_open();
    assert_int_equal(accounts_fixture_refresh(*state, first.next, token), ERROR_NONE);
}

static void *race_to_start(void *context)
{
    const char *account = context;
    struct error err = {0};
    SCOPED(accounts_close) struct accounts *accounts = accounts_open(sql_under_test_url(), &err);
    for (int i = 0; accounts && i < 4; i++) {
        char token[REFRESH_TOKEN_SIZE];
        struct session session;
        if (!accounts_session_start(accounts, account, HOUR_MS, &session, token, &err))
            break;
    }
    return err.kind == ERROR_NONE ? NULL : context;
}

static void sessions_started_at_once_stay_within_the_limit(void **state)
{
    struct accounts *accounts = *state;
    struct account bob = accounts_fixture_make(accounts, "bob@example.org");
    pthread_t threads[RACERS];
    for (size_t i = 0; i < RACERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race_to_start, bob.id), 0);
    for (size_t i = 0; i < RACERS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(accounts_fixture_live(accounts, bob.id), SESSIONS_LIMIT);
    assert_int_equal(sql_under_test_count("SELECT COUNT(*) FROM session"), 4 * RACERS);
}

// ---- every call failed once, in every way

static const enum faulty_sql_when ways[] = {FAULTY_SQL_BEFORE, FAULTY_SQL_AFTER, FAULTY_SQL_BUSY};

static struct accounts *open_faulty(void)
{
    faulty_sql_install();
    struct accounts *accounts = accounts_fixture_open();
    faulty_sql_remove();
    return accounts;
}

// Runs `operation` with fault after fault until none is hit. It answers whether it was done, and
// asserts that the rows are as before or as after.
static void walk_all_faults(void (*operation)(struct accounts *faulty, struct accounts *sound,
                                              int number, enum faulty_sql_when when, bool *out_hit),
                            struct accounts *sound)
{
    SCOPED(accounts_close) struct accounts *faulty = open_faulty();
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        bool is_hit = true;
        int number = 1;
        for (; is_hit; number++)
            operation(faulty, sound, number, ways[i], &is_hit);
        assert_true(number > 2);
    }
}

static void refresh_with_fault(struct accounts *faulty, struct accounts *sound, int number,
                               enum faulty_sql_when when, bool *out_hit)
{
    struct error err = {0};
    struct session session;
    char token[REFRESH_TOKEN_SIZE], next[REFRESH_TOKEN_SIZE], again[REFRESH_TOKEN_SIZE];
    sql_under_test_change("DELETE FROM session");
    sql_under_test_change("DELETE FROM account");
    struct account bob = accounts_fixture_make(sound, "bob@example.org");
    accounts_fixture_begin(sound, bob.id, token);
    faulty_sql_fail(number, 1, when);
    bool is_done = accounts_session_refresh(faulty, token, &session, next, &err);
    *out_hit = faulty_sql_disarm();
    assert_true(is_done || (*out_hit && err.kind == ERROR_UNAVAILABLE));
    // Whatever was lost on the way, asking again heals it.
    assert_int_equal(accounts_fixture_refresh(sound, token, again), ERROR_NONE);
    if (is_done)
        assert_string_equal(next, again);
    assert_int_equal(accounts_fixture_refresh(sound, again, next), ERROR_NONE);
}

static void a_refresh_that_failed_can_be_asked_again(void **state)
{
    walk_all_faults(refresh_with_fault, *state);
}

static void start_with_fault(struct accounts *faulty, struct accounts *sound, int number,
                             enum faulty_sql_when when, bool *out_hit)
{
    struct error err = {0};
    struct session session;
    char token[REFRESH_TOKEN_SIZE], next[REFRESH_TOKEN_SIZE];
    sql_under_test_change("DELETE FROM session");
    sql_under_test_change("DELETE FROM account");
    struct account bob = accounts_fixture_make(sound, "bob@example.org");
    for (int i = 0; i < SESSIONS_LIMIT; i++)
        accounts_fixture_begin(sound, bob.id, token);
    faulty_sql_fail(number, 1, when);
    bool is_done = accounts_session_start(faulty, bob.id, HOUR_MS, &session, token, &err);
    *out_hit = faulty_sql_disarm();
    assert_true(is_done || (*out_hit && err.kind == ERROR_UNAVAILABLE));
    assert_int_equal(accounts_fixture_live(sound, bob.id), SESSIONS_LIMIT);
    int64_t revoked =
        sql_under_test_count("SELECT COUNT(*) FROM session WHERE revoked_at IS NOT NULL");
    assert_int_equal(sql_under_test_count("SELECT COUNT(*) FROM session"),
                     SESSIONS_LIMIT + revoked);
    if (is_done)
        assert_int_equal(accounts_fixture_refresh(sound, token, next), ERROR_NONE);
}

static void starting_a_session_bears_every_fault(void **state)
{
    walk_all_faults(start_with_fault, *state);
}

int main(void)
{
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, accounts_fixture_start, accounts_fixture_stop)
    const struct CMUnitTest tests[] = {
        TEST(a_token_is_long_new_each_time_and_stored_nowhere),
        TEST(each_use_replaces_the_token),
        TEST(a_doubled_request_gets_the_same_successor),
        TEST(a_second_use_after_the_grace_revokes_the_family),
        TEST(an_older_token_revokes_the_family_even_within_the_grace),
        TEST(what_is_no_token_is_denied_and_harms_nobody),
        TEST(a_session_ends_when_it_is_over_or_idle),
        TEST(the_eleventh_session_ends_the_one_used_longest_ago),
        TEST(sessions_are_listed_newest_first_and_only_ones_own),
        TEST(one_ends_ones_own_sessions_only),
        TEST(the_sweep_removes_what_ended_over_a_day_ago),
        TEST(threads_with_one_token_get_one_successor),
        TEST(processes_with_one_token_get_one_successor),
        TEST(sessions_started_at_once_stay_within_the_limit),
        TEST(a_refresh_that_failed_can_be_asked_again),
        TEST(starting_a_session_bears_every_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
