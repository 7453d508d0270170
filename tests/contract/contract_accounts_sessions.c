// Every promise of accounts.h about sessions, on the database that UNREEL_TEST_SQL names: a fresh
// SQLite file without it.

#include "accounts/accounts.h"
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

enum { HOUR_MS = 3600000 };

static struct accounts *open_accounts(void)
{
    struct error err = {0};
    struct accounts *accounts = accounts_open(sql_under_test_url(), &err);
    if (!accounts)
        fail_msg("open: %s", err.text);
    return accounts;
}

static int start(void **state)
{
    struct error err = {0};
    sql_under_test_start();
    if (!accounts_migrate(sql_under_test_url(), &err))
        fail_msg("migrate: %s", err.text);
    sql_under_test_change("DELETE FROM session");
    sql_under_test_change("DELETE FROM account");
    *state = open_accounts();
    return 0;
}

static int stop(void **state)
{
    faulty_sql_disarm();
    faulty_sql_remove();
    accounts_close(*state);
    sql_under_test_stop();
    return 0;
}

static struct account make_account(struct accounts *accounts, const char *email)
{
    struct error err = {0};
    struct account account;
    if (!accounts_create(accounts, email, "$argon2id$old", "user", &account, &err))
        fail_msg("create: %s", err.text);
    return account;
}

static struct session begin(struct accounts *accounts, const char *account,
                            char out_token[REFRESH_TOKEN_SIZE])
{
    struct error err = {0};
    struct session session;
    if (!accounts_session_start(accounts, account, HOUR_MS, &session, out_token, &err))
        fail_msg("start: %s", err.text);
    return session;
}

static enum error_kind refresh(struct accounts *accounts, const char *token,
                               char out_token[REFRESH_TOKEN_SIZE])
{
    struct error err = {0};
    struct session session;
    bool is_done = accounts_session_refresh(accounts, token, &session, out_token, &err);
    assert_int_equal(is_done, err.kind == ERROR_NONE);
    return err.kind;
}

static size_t live_sessions(struct accounts *accounts, const char *account)
{
    struct error err = {0};
    struct session sessions[20];
    size_t found;
    assert_true(accounts_sessions(accounts, account, sessions, 20, &found, &err));
    return found;
}

static void a_token_is_long_new_each_time_and_stored_nowhere(void **state)
{
    struct accounts *accounts = *state;
    struct account bob = make_account(accounts, "bob@example.org");
    char tokens[3][REFRESH_TOKEN_SIZE];
    struct session session = begin(accounts, bob.id, tokens[0]);
    begin(accounts, bob.id, tokens[1]);
    assert_int_equal(refresh(accounts, tokens[0], tokens[2]), ERROR_NONE);
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
    struct account bob = make_account(accounts, "bob@example.org");
    char token[REFRESH_TOKEN_SIZE], next[REFRESH_TOKEN_SIZE];
    struct session begun = begin(accounts, bob.id, token);
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
    assert_int_equal(live_sessions(accounts, bob.id), 1);
}

static void a_doubled_request_gets_the_same_successor(void **state)
{
    struct accounts *accounts = *state;
    struct account bob = make_account(accounts, "bob@example.org");
    char token[REFRESH_TOKEN_SIZE], first[REFRESH_TOKEN_SIZE], second[REFRESH_TOKEN_SIZE];
    begin(accounts, bob.id, token);
    assert_int_equal(refresh(accounts, token, first), ERROR_NONE);
    assert_int_equal(refresh(accounts, token, second), ERROR_NONE);
    assert_string_equal(first, second);
    assert_int_equal(refresh(accounts, first, second), ERROR_NONE);
    assert_string_not_equal(first, second);
}

static void a_second_use_after_the_grace_revokes_the_family(void **state)
{
    struct accounts *accounts = *state;
    struct account bob = make_account(accounts, "bob@example.org");
    char token[REFRESH_TOKEN_SIZE], next[REFRESH_TOKEN_SIZE], other[REFRESH_TOKEN_SIZE];
    char ignored[REFRESH_TOKEN_SIZE];
    begin(accounts, bob.id, token);
    begin(accounts, bob.id, other);
    assert_int_equal(refresh(accounts, token, next), ERROR_NONE);
    sql_under_test_change("UPDATE session SET used_at=used_at-10001");
    assert_int_equal(refresh(accounts, token, ignored), ERROR_DENIED);
    assert_int_equal(refresh(accounts, next, ignored), ERROR_DENIED);
    assert_int_equal(live_sessions(accounts, bob.id), 1);
    assert_int_equal(refresh(accounts, other, ignored), ERROR_NONE);
}

static void an_older_token_revokes_the_family_even_within_the_grace(void **state)
{
    struct accounts *accounts = *state;
    struct account bob = make_account(accounts, "bob@example.org");
    char token[REFRESH_TOKEN_SIZE], next[REFRESH_TOKEN_SIZE], last[REFRESH_TOKEN_SIZE];
    begin(accounts, bob.id, token);
    assert_int_equal(refresh(accounts, token, next), ERROR_NONE);
    assert_int_equal(refresh(accounts, next, last), ERROR_NONE);
    assert_int_equal(refresh(accounts, token, next), ERROR_DENIED);
    assert_int_equal(refresh(accounts, last, next), ERROR_DENIED);
    assert_int_equal(live_sessions(accounts, bob.id), 0);
}

static void what_is_no_token_is_denied_and_harms_nobody(void **state)
{
    struct accounts *accounts = *state;
    struct account bob = make_account(accounts, "bob@example.org");
    char token[REFRESH_TOKEN_SIZE], wrong[REFRESH_TOKEN_SIZE + 1], next[REFRESH_TOKEN_SIZE];
    begin(accounts, bob.id, token);
    assert_int_equal(refresh(accounts, "", next), ERROR_DENIED);
    snprintf(wrong, sizeof wrong, "%sa", token);
    assert_int_equal(refresh(accounts, wrong, next), ERROR_DENIED);
    snprintf(wrong, sizeof wrong, "%.95s", token);
    assert_int_equal(refresh(accounts, wrong, next), ERROR_DENIED);
    snprintf(wrong, sizeof wrong, "%.95sG", token);
    assert_int_equal(refresh(accounts, wrong, next), ERROR_DENIED);
    snprintf(wrong, sizeof wrong, "%s", token);
    wrong[0] = wrong[0] == 'a' ? 'b' : 'a';
    assert_int_equal(refresh(accounts, wrong, next), ERROR_DENIED);
    assert_int_equal(live_sessions(accounts, bob.id), 1);
    assert_int_equal(refresh(accounts, token, next), ERROR_NONE);
}

static void a_session_ends_when_it_is_over_or_idle(void **state)
{
    struct accounts *accounts = *state;
    struct error err = {0};
    struct account bob = make_account(accounts, "bob@example.org");
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
    assert_int_equal(refresh(accounts, token, next), ERROR_DENIED);
    assert_int_equal(live_sessions(accounts, bob.id), 0);
}

static void the_eleventh_session_ends_the_one_used_longest_ago(void **state)
{
    struct accounts *accounts = *state;
    struct account bob = make_account(accounts, "bob@example.org");
    char tokens[SESSIONS_LIMIT + 1][REFRESH_TOKEN_SIZE], next[REFRESH_TOKEN_SIZE];
    for (size_t i = 0; i < SESSIONS_LIMIT; i++) {
        begin(accounts, bob.id, tokens[i]);
        // A second apart: two log-ins within one millisecond have no order.
        sql_under_test_change("UPDATE session SET used_at=used_at-1000");
    }
    // The oldest is used, so it is the second that nobody used for longest.
    assert_int_equal(refresh(accounts, tokens[0], next), ERROR_NONE);
    memcpy(tokens[0], next, sizeof next);
    begin(accounts, bob.id, tokens[SESSIONS_LIMIT]);
    assert_int_equal(live_sessions(accounts, bob.id), SESSIONS_LIMIT);
    for (size_t i = 0; i <= SESSIONS_LIMIT; i++)
        assert_int_equal(refresh(accounts, tokens[i], next), i == 1 ? ERROR_DENIED : ERROR_NONE);
}

static void sessions_are_listed_newest_first_and_only_ones_own(void **state)
{
    struct accounts *accounts = *state;
    struct error err = {0};
    struct account bob = make_account(accounts, "bob@example.org");
    struct account eve = make_account(accounts, "eve@example.org");
    char token[REFRESH_TOKEN_SIZE];
    struct session begun[3], listed[3];
    size_t found;
    for (size_t i = 0; i < 3; i++) {
        begun[i] = begin(accounts, bob.id, token);
        clock_sleep_ms(2); // ids sort by the ms
    }
    begin(accounts, eve.id, token);
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
    struct account bob = make_account(accounts, "bob@example.org");
    struct account eve = make_account(accounts, "eve@example.org");
    char token[REFRESH_TOKEN_SIZE], next[REFRESH_TOKEN_SIZE];
    struct session session = begin(accounts, bob.id, token);
    begin(accounts, bob.id, next);
    begin(accounts, eve.id, next);
    assert_false(accounts_session_end(accounts, eve.id, session.id, &err));
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
    err = (struct error){0};
    assert_true(accounts_session_end(accounts, bob.id, session.id, &err));
    assert_true(accounts_session_end(accounts, bob.id, session.id, &err));
    assert_int_equal(refresh(accounts, token, next), ERROR_DENIED);
    assert_int_equal(live_sessions(accounts, bob.id), 1);
    assert_true(accounts_session_end(accounts, bob.id, NULL, &err));
    assert_int_equal(live_sessions(accounts, bob.id), 0);
    assert_true(accounts_session_end(accounts, bob.id, NULL, &err));
    assert_int_equal(live_sessions(accounts, eve.id), 1);
}

static void the_sweep_removes_what_ended_over_a_day_ago(void **state)
{
    struct accounts *accounts = *state;
    struct error err = {0};
    struct account bob = make_account(accounts, "bob@example.org");
    char token[REFRESH_TOKEN_SIZE];
    int64_t removed;
    for (int i = 0; i < 60; i++)
        begin(accounts, bob.id, token);
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
    struct account bob = make_account(accounts, "bob@example.org");
    for (int round = 0; round < 10; round++) {
        struct racer racers[RACERS] = {0};
        pthread_t threads[RACERS];
        begin(accounts, bob.id, racers[0].token);
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
        assert_int_equal(refresh(accounts, racers[0].next, racers[0].token), ERROR_NONE);
    }
}

static void processes_with_one_token_get_one_successor(void **state)
{
    // Nothing of SQL is carried over a fork: the parent closes first.
    accounts_close(*state);
    *state = NULL;
    char token[REFRESH_TOKEN_SIZE];
    {
        SCOPED(accounts_close) struct accounts *accounts = open_accounts();
        struct account bob = make_account(accounts, "bob@example.org");
        begin(accounts, bob.id, token);
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
    *state = open_accounts();
    assert_int_equal(refresh(*state, first.next, token), ERROR_NONE);
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
    struct account bob = make_account(accounts, "bob@example.org");
    pthread_t threads[RACERS];
    for (size_t i = 0; i < RACERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race_to_start, bob.id), 0);
    for (size_t i = 0; i < RACERS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(live_sessions(accounts, bob.id), SESSIONS_LIMIT);
    assert_int_equal(sql_under_test_count("SELECT COUNT(*) FROM session"), 4 * RACERS);
}

// ---- every call failed once, in every way

static const enum faulty_sql_when ways[] = {FAULTY_SQL_BEFORE, FAULTY_SQL_AFTER, FAULTY_SQL_BUSY};

static struct accounts *open_faulty(void)
{
    faulty_sql_install();
    struct accounts *accounts = open_accounts();
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
    struct account bob = make_account(sound, "bob@example.org");
    begin(sound, bob.id, token);
    faulty_sql_fail(number, 1, when);
    bool is_done = accounts_session_refresh(faulty, token, &session, next, &err);
    *out_hit = faulty_sql_disarm();
    assert_true(is_done || (*out_hit && err.kind == ERROR_UNAVAILABLE));
    // Whatever was lost on the way, asking again heals it.
    assert_int_equal(refresh(sound, token, again), ERROR_NONE);
    if (is_done)
        assert_string_equal(next, again);
    assert_int_equal(refresh(sound, again, next), ERROR_NONE);
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
    struct account bob = make_account(sound, "bob@example.org");
    for (int i = 0; i < SESSIONS_LIMIT; i++)
        begin(sound, bob.id, token);
    faulty_sql_fail(number, 1, when);
    bool is_done = accounts_session_start(faulty, bob.id, HOUR_MS, &session, token, &err);
    *out_hit = faulty_sql_disarm();
    assert_true(is_done || (*out_hit && err.kind == ERROR_UNAVAILABLE));
    assert_int_equal(live_sessions(sound, bob.id), SESSIONS_LIMIT);
    int64_t revoked =
        sql_under_test_count("SELECT COUNT(*) FROM session WHERE revoked_at IS NOT NULL");
    assert_int_equal(sql_under_test_count("SELECT COUNT(*) FROM session"),
                     SESSIONS_LIMIT + revoked);
    if (is_done)
        assert_int_equal(refresh(sound, token, next), ERROR_NONE);
}

static void starting_a_session_bears_every_fault(void **state)
{
    walk_all_faults(start_with_fault, *state);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
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
