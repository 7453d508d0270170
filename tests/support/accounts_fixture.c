#include "accounts_fixture.h"

#include "faulty_sql.h"
#include "sql_under_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct accounts *accounts_fixture_open(void)
{
    struct error err = {0};
    struct accounts *accounts = accounts_open(sql_under_test_url(), &err);
    if (!accounts)
        fail_msg("open: %s", err.text);
    return accounts;
}

int accounts_fixture_start(void **state)
{
    struct error err = {0};
    sql_under_test_start();
    if (!accounts_migrate(sql_under_test_url(), &err))
        fail_msg("migrate: %s", err.text);
    sql_under_test_change("DELETE FROM session");
    sql_under_test_change("DELETE FROM account");
    *state = accounts_fixture_open();
    return 0;
}

int accounts_fixture_stop(void **state)
{
    faulty_sql_disarm();
    faulty_sql_remove();
    accounts_close(*state);
    sql_under_test_stop();
    return 0;
}

struct account accounts_fixture_make(struct accounts *accounts, const char *email)
{
    struct error err = {0};
    struct account account;
    if (!accounts_create(accounts, email, "$argon2id$old", "user", &account, &err))
        fail_msg("create: %s", err.text);
    return account;
}

struct session accounts_fixture_begin(struct accounts *accounts, const char *account,
                                      char out_token[REFRESH_TOKEN_SIZE])
{
    struct error err = {0};
    struct session session;
    if (!accounts_session_start(accounts, account, HOUR_MS, &session, out_token, &err))
        fail_msg("start: %s", err.text);
    return session;
}

enum error_kind accounts_fixture_refresh(struct accounts *accounts, const char *token,
                                         char out_token[REFRESH_TOKEN_SIZE])
{
    struct error err = {0};
    struct session session;
    bool is_done = accounts_session_refresh(accounts, token, &session, out_token, &err);
    assert_int_equal(is_done, err.kind == ERROR_NONE);
    return err.kind;
}

size_t accounts_fixture_live(struct accounts *accounts, const char *account)
{
    struct error err = {0};
    struct session sessions[20];
    size_t found;
    assert_true(accounts_sessions(accounts, account, sessions, 20, &found, &err));
    return found;
}
