// Every promise of accounts.h, on the database that UNREEL_TEST_SQL names: a fresh SQLite file
// without it.

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

static void an_account_is_found_by_id_and_by_address_in_any_case(void **state)
{
    struct accounts *accounts = *state;
    struct error err = {0};
    struct account found;
    struct account made = accounts_fixture_make(accounts, "Bob@Example.ORG");
    assert_true(id_is_valid(made.id));
    assert_string_equal(made.email, "Bob@Example.ORG");
    assert_string_equal(made.password_hash, "$argon2id$old");
    assert_string_equal(made.role, "user");
    assert_string_equal(made.state, "active");
    assert_in_range(made.created_at_ms, clock_now_ms() - 60000, clock_now_ms() + 60000);
    assert_true(accounts_find(accounts, made.id, &found, &err));
    assert_memory_equal(&found, &made, sizeof made);
    assert_true(accounts_find_by_email(accounts, "bOB@eXAMPLE.org", &found, &err));
    assert_memory_equal(&found, &made, sizeof made);
}

static void an_address_has_one_account(void **state)
{
    struct accounts *accounts = *state;
    struct account other = {.id = "untouched"};
    accounts_fixture_make(accounts, "bob@example.org");
    static const char *const same[] = {"bob@example.org", "BOB@example.org", "bob@EXAMPLE.org"};
    for (size_t i = 0; i < 3; i++) {
        struct error err = {0};
        assert_false(accounts_create(accounts, same[i], "$x", "user", &other, &err));
        assert_int_equal(err.kind, ERROR_CONFLICT);
        assert_string_equal(other.id, "untouched");
    }
    accounts_fixture_make(accounts, "bob2@example.org");
    struct error err = {0};
    assert_false(accounts_create(accounts, "bob@", "$x", "user", &other, &err));
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_int_equal(sql_under_test_count("SELECT COUNT(*) FROM account"), 2);
}

static void who_is_not_there_is_not_found(void **state)
{
    struct accounts *accounts = *state;
    struct account out = {.id = "untouched"};
    accounts_fixture_make(accounts, "bob@example.org");
    char too_long[400];
    memset(too_long, 'a', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = '\0';
    static const char *const wrong[] = {"", "bob", "bob@example.org ", "' OR 1=1 --", "%"};
    for (size_t i = 0; i <= sizeof wrong / sizeof wrong[0]; i++) {
        const char *text = i < sizeof wrong / sizeof wrong[0] ? wrong[i] : too_long;
        struct error err = {0};
        assert_false(accounts_find_by_email(accounts, text, &out, &err));
        assert_int_equal(err.kind, ERROR_NOT_FOUND);
        err = (struct error){0};
        assert_false(accounts_find(accounts, text, &out, &err));
        assert_int_equal(err.kind, ERROR_NOT_FOUND);
        err = (struct error){0};
        assert_false(accounts_set_password(accounts, text, "$x", &err));
        assert_int_equal(err.kind, ERROR_NOT_FOUND);
        err = (struct error){0};
        assert_false(accounts_rehash(accounts, text, "$x", &err));
        assert_int_equal(err.kind, ERROR_NOT_FOUND);
        char token[REFRESH_TOKEN_SIZE];
        struct session session;
        err = (struct error){0};
        assert_false(accounts_session_start(accounts, text, HOUR_MS, &session, token, &err));
        assert_int_equal(err.kind, ERROR_NOT_FOUND);
    }
    assert_string_equal(out.id, "untouched");
}

static void a_new_password_ends_every_session_and_a_rehash_none(void **state)
{
    struct accounts *accounts = *state;
    struct error err = {0};
    struct account found;
    char tokens[2][REFRESH_TOKEN_SIZE], others[REFRESH_TOKEN_SIZE], next[REFRESH_TOKEN_SIZE];
    struct account bob = accounts_fixture_make(accounts, "bob@example.org");
    struct account eve = accounts_fixture_make(accounts, "eve@example.org");
    accounts_fixture_begin(accounts, bob.id, tokens[0]);
    accounts_fixture_begin(accounts, bob.id, tokens[1]);
    accounts_fixture_begin(accounts, eve.id, others);
    assert_true(accounts_rehash(accounts, bob.id, "$argon2id$rehashed", &err));
    assert_int_equal(accounts_fixture_live(accounts, bob.id), 2);
    assert_true(accounts_find(accounts, bob.id, &found, &err));
    assert_string_equal(found.password_hash, "$argon2id$rehashed");
    assert_true(accounts_set_password(accounts, bob.id, "$argon2id$new", &err));
    assert_int_equal(accounts_fixture_live(accounts, bob.id), 0);
    assert_int_equal(accounts_fixture_refresh(accounts, tokens[0], next), ERROR_DENIED);
    assert_int_equal(accounts_fixture_refresh(accounts, tokens[1], next), ERROR_DENIED);
    assert_int_equal(accounts_fixture_refresh(accounts, others, next), ERROR_NONE);
    assert_true(accounts_find(accounts, bob.id, &found, &err));
    assert_string_equal(found.password_hash, "$argon2id$new");
    assert_true(accounts_find(accounts, eve.id, &found, &err));
    assert_string_equal(found.password_hash, "$argon2id$old");
}

static void a_database_without_tables_is_not_ready(void **state)
{
    struct accounts *accounts = *state;
    struct error err = {0};
    struct account found;
    assert_true(accounts_ready(accounts, &err));
    sql_under_test_change("DROP TABLE session");
    sql_under_test_change("DROP TABLE account");
    sql_under_test_change("DELETE FROM migration WHERE owner='accounts'");
    assert_false(accounts_ready(accounts, &err));
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    err = (struct error){0};
    // Not NOT_FOUND: nobody may read from it that the account is gone.
    assert_false(accounts_find_by_email(accounts, "bob@example.org", &found, &err));
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    err = (struct error){0};
    assert_true(accounts_migrate(sql_under_test_url(), &err));
    assert_true(accounts_ready(accounts, &err));
}

enum { RACERS = 8 };

static void *race_to_create(void *context)
{
    enum error_kind *out = context;
    struct error err = {0};
    struct account account;
    SCOPED(accounts_close) struct accounts *accounts = accounts_open(sql_under_test_url(), &err);
    if (accounts)
        accounts_create(accounts, "Bob@example.org", "$x", "user", &account, &err);
    *out = err.kind;
    return NULL;
}

static void of_many_who_register_one_address_one_wins(void **state)
{
    (void)state;
    pthread_t threads[RACERS];
    enum error_kind kinds[RACERS];
    int won = 0, lost = 0;
    for (size_t i = 0; i < RACERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race_to_create, &kinds[i]), 0);
    for (size_t i = 0; i < RACERS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < RACERS; i++) {
        won += kinds[i] == ERROR_NONE;
        lost += kinds[i] == ERROR_CONFLICT;
    }
    assert_int_equal(won, 1);
    assert_int_equal(lost, RACERS - 1);
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

static void create_with_fault(struct accounts *faulty, struct accounts *sound, int number,
                              enum faulty_sql_when when, bool *out_hit)
{
    struct error err = {0}, found_err = {0};
    struct account made, found;
    sql_under_test_change("DELETE FROM account");
    faulty_sql_fail(number, 1, when);
    bool is_done = accounts_create(faulty, "bob@example.org", "$x", "user", &made, &err);
    *out_hit = faulty_sql_disarm();
    bool is_there = accounts_find_by_email(sound, "bob@example.org", &found, &found_err);
    assert_true(is_done ? is_there : err.kind == ERROR_UNAVAILABLE);
    if (is_done)
        assert_memory_equal(&made, &found, sizeof made);
    if (!*out_hit)
        assert_true(is_done);
}

static void creating_bears_every_fault(void **state)
{
    walk_all_faults(create_with_fault, *state);
}

static void set_password_with_fault(struct accounts *faulty, struct accounts *sound, int number,
                                    enum faulty_sql_when when, bool *out_hit)
{
    struct error err = {0};
    struct account found;
    char token[REFRESH_TOKEN_SIZE];
    sql_under_test_change("DELETE FROM session");
    sql_under_test_change("DELETE FROM account");
    struct account bob = accounts_fixture_make(sound, "bob@example.org");
    accounts_fixture_begin(sound, bob.id, token);
    faulty_sql_fail(number, 1, when);
    bool is_done = accounts_set_password(faulty, bob.id, "$new", &err);
    *out_hit = faulty_sql_disarm();
    assert_true(is_done || (*out_hit && err.kind == ERROR_UNAVAILABLE));
    assert_true(accounts_find(sound, bob.id, &found, &err));
    bool is_new = strcmp(found.password_hash, "$new") == 0;
    // Both or neither: never the new password with the old sessions.
    assert_int_equal(accounts_fixture_live(sound, bob.id), is_new ? 0 : 1);
    assert_true(is_new || !is_done);
}

static void a_password_and_its_sessions_change_together_whatever_fails(void **state)
{
    walk_all_faults(set_password_with_fault, *state);
}

int main(void)
{
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, accounts_fixture_start, accounts_fixture_stop)
    const struct CMUnitTest tests[] = {
        TEST(an_account_is_found_by_id_and_by_address_in_any_case),
        TEST(an_address_has_one_account),
        TEST(who_is_not_there_is_not_found),
        TEST(a_new_password_ends_every_session_and_a_rehash_none),
        TEST(a_database_without_tables_is_not_ready),
        TEST(of_many_who_register_one_address_one_wins),
        TEST(creating_bears_every_fault),
        TEST(a_password_and_its_sessions_change_together_whatever_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
