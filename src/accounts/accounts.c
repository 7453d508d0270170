#include "accounts/accounts.h"

#include "accounts/accounts_store.h"
#include "base/alloc.h"

#include <assert.h>
#include <string.h>

#define SELECT_ACCOUNT "SELECT id, email, password_hash, role, state, created_at FROM account "

struct accounts *accounts_open(const char *url, struct error *err)
{
    struct sql *sql = sql_open(url, SQL_DURABLE, err);
    if (!sql)
        return NULL;
    struct accounts *accounts = alloc_zeroed(1, sizeof *accounts);
    accounts->sql = sql;
    return accounts;
}

void accounts_close(struct accounts *accounts)
{
    if (!accounts)
        return;
    sql_close(accounts->sql);
    free(accounts);
}

bool accounts_migrate(const char *url, struct error *err)
{
    SCOPED(sql_close) struct sql *sql = sql_open(url, SQL_DURABLE, err);
    return sql && sql_migrate(sql, accounts_migrations, accounts_migrations_count, NULL, err);
}

bool accounts_ready(struct accounts *accounts, struct error *err)
{
    return sql_migrations_done(accounts->sql, accounts_migrations, accounts_migrations_count, err);
}

// No locale takes part, so the same address has the same key on every machine.
static void fold(const char *email, char out[EMAIL_SIZE])
{
    size_t i = 0;
    for (; email[i] && i < EMAIL_SIZE - 1; i++)
        out[i] = email[i] >= 'A' && email[i] <= 'Z' ? (char)(email[i] - 'A' + 'a') : email[i];
    out[i] = '\0';
}

static bool take_account(const struct sql_row *row, void *context)
{
    struct account *out = context;
    sql_row_copy(row, 0, out->id, sizeof out->id);
    sql_row_copy(row, 1, out->email, sizeof out->email);
    sql_row_copy(row, 2, out->password_hash, sizeof out->password_hash);
    sql_row_copy(row, 3, out->role, sizeof out->role);
    sql_row_copy(row, 4, out->state, sizeof out->state);
    out->created_at_ms = sql_row_integer(row, 5);
    return false;
}

static bool find_one(struct sql *sql, const char *statement, const char *value, struct account *out,
                     struct error *err)
{
    struct account found = {0};
    if (!sql_query(sql, statement, SQL_VALUES(SQL_TEXT(value)), take_account, &found, err))
        return false;
    if (!found.id[0])
        return error_set(err, ERROR_NOT_FOUND, "there is no such account");
    *out = found;
    return true;
}

struct creation {
    const char *email, *password_hash, *role;
    struct account made;
};

static bool create(struct sql *sql, void *context, struct error *err)
{
    struct creation *creation = context;
    char id[ID_SIZE], email_key[EMAIL_SIZE];
    id_new(id);
    fold(creation->email, email_key);
    return sql_execute(sql,
                       "INSERT INTO account"
                       " (id, email, email_key, password_hash, role, state, created_at)"
                       " VALUES (?, ?, ?, ?, ?, 'active', {now})",
                       SQL_VALUES(SQL_TEXT(id), SQL_TEXT(creation->email), SQL_TEXT(email_key),
                                  SQL_TEXT(creation->password_hash), SQL_TEXT(creation->role)),
                       NULL, err) &&
           find_one(sql, SELECT_ACCOUNT "WHERE id=?", id, &creation->made, err);
}

bool accounts_create(struct accounts *accounts, const char *email, const char *password_hash,
                     const char *role, struct account *out, struct error *err)
{
    assert(strlen(password_hash) < PASSWORD_HASH_SIZE && strlen(role) < sizeof out->role);
    if (!accounts_check_email(email, err))
        return false;
    struct creation creation = {.email = email, .password_hash = password_hash, .role = role};
    if (!sql_transaction(accounts->sql, create, &creation, err)) {
        if (err->kind == ERROR_CONFLICT)
            error_set(err, ERROR_CONFLICT, "the address has an account");
        return false;
    }
    *out = creation.made;
    return true;
}

bool accounts_find_by_email(struct accounts *accounts, const char *email, struct account *out,
                            struct error *err)
{
    // A longer one must not be found by its beginning.
    if (strlen(email) >= EMAIL_SIZE)
        return error_set(err, ERROR_NOT_FOUND, "there is no such account");
    char email_key[EMAIL_SIZE];
    fold(email, email_key);
    return find_one(accounts->sql, SELECT_ACCOUNT "WHERE email_key=?", email_key, out, err);
}

bool accounts_find(struct accounts *accounts, const char *id, struct account *out,
                   struct error *err)
{
    return find_one(accounts->sql, SELECT_ACCOUNT "WHERE id=?", id, out, err);
}

static bool write_hash(struct sql *sql, const char *id, const char *password_hash,
                       struct error *err)
{
    assert(strlen(password_hash) < PASSWORD_HASH_SIZE);
    int64_t matched;
    if (!sql_execute(sql, "UPDATE account SET password_hash=? WHERE id=?",
                     SQL_VALUES(SQL_TEXT(password_hash), SQL_TEXT(id)), &matched, err))
        return false;
    return matched > 0 || error_set(err, ERROR_NOT_FOUND, "there is no such account");
}

struct password_change {
    const char *id, *password_hash;
};

static bool change_password(struct sql *sql, void *context, struct error *err)
{
    const struct password_change *change = context;
    return write_hash(sql, change->id, change->password_hash, err) &&
           accounts_revoke_all(sql, change->id, err);
}

bool accounts_set_password(struct accounts *accounts, const char *id, const char *password_hash,
                           struct error *err)
{
    struct password_change change = {.id = id, .password_hash = password_hash};
    return sql_transaction(accounts->sql, change_password, &change, err);
}

bool accounts_rehash(struct accounts *accounts, const char *id, const char *password_hash,
                     struct error *err)
{
    return write_hash(accounts->sql, id, password_hash, err);
}
