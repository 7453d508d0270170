// Sessions: one row a family of refresh tokens. The text of accounts.h says what they promise.

#include "accounts/accounts_store.h"
#include "base/text.h"
#include "security/sha256.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    GRACE_MS = 10000,
    SWEEP_LIMIT = 50,
    SELECTOR_LENGTH = 32, // finds the family; a secret too, else strangers could end sessions
    SECRET_LENGTH = 64,
    DAY_MS = 86400000,
};
static_assert(SELECTOR_LENGTH + SECRET_LENGTH + 1 == REFRESH_TOKEN_SIZE, "a token's parts");

#define IS_LIVE "revoked_at IS NULL AND expires_at>{now}"
#define REVOKE "UPDATE session SET revoked_at={now}, expires_at={now} WHERE revoked_at IS NULL AND "

// ---- tokens

static void new_secret(char out[SECRET_LENGTH + 1])
{
    unsigned char random[SECRET_LENGTH / 2];
    random_bytes(random, sizeof random);
    text_hex(random, sizeof random, out);
}

static void hash_selector(const char *token, char out[SHA256_HEX_SIZE])
{
    sha256_hex(token, SELECTOR_LENGTH, out);
}

static void hash_token(const char *token, char out[SHA256_HEX_SIZE])
{
    sha256_hex(token, REFRESH_TOKEN_SIZE - 1, out);
}

// One way, and only for who has the token: the row alone does not tell it.
static void make_successor(const char *token, const char *salt, char out[REFRESH_TOKEN_SIZE])
{
    char material[SECRET_LENGTH + REFRESH_TOKEN_SIZE];
    int size = snprintf(material, sizeof material, "%.*s%s", SECRET_LENGTH, salt, token);
    memcpy(out, token, SELECTOR_LENGTH);
    sha256_hex(material, (size_t)size, out + SELECTOR_LENGTH);
}

static bool is_token(const char *text)
{
    return strlen(text) == REFRESH_TOKEN_SIZE - 1 &&
           strspn(text, "0123456789abcdef") == REFRESH_TOKEN_SIZE - 1;
}

// ---- reading rows

struct stored {
    struct session session;
    char token_hash[SHA256_HEX_SIZE];
    char salt[SECRET_LENGTH + 1];
    bool is_live, is_in_grace;
};

static void take_session(const struct sql_row *row, struct session *out)
{
    sql_row_copy(row, 0, out->id, sizeof out->id);
    sql_row_copy(row, 1, out->account, sizeof out->account);
    out->created_at_ms = sql_row_integer(row, 2);
    out->used_at_ms = sql_row_integer(row, 3);
    out->expires_at_ms = sql_row_integer(row, 4);
}

static bool take_stored(const struct sql_row *row, void *context)
{
    struct stored *out = context;
    take_session(row, &out->session);
    sql_row_copy(row, 5, out->token_hash, sizeof out->token_hash);
    sql_row_copy(row, 6, out->salt, sizeof out->salt);
    out->is_live = sql_row_integer(row, 7) != 0;
    out->is_in_grace = sql_row_integer(row, 8) != 0;
    return false;
}

// Leaves the id empty when there is none.
static bool load(struct sql *sql, const char *selector_hash, struct stored *out, struct error *err)
{
    *out = (struct stored){0};
    return sql_query(sql,
                     "SELECT id, account, created_at, used_at, expires_at, token_hash, salt,"
                     " CASE WHEN " IS_LIVE " THEN 1 ELSE 0 END,"
                     " CASE WHEN used_at>{now}-? THEN 1 ELSE 0 END"
                     " FROM session WHERE selector_hash=?",
                     SQL_VALUES(SQL_INTEGER(GRACE_MS), SQL_TEXT(selector_hash)), take_stored, out,
                     err);
}

struct ids {
    char ids[SWEEP_LIMIT][ID_SIZE];
    size_t count;
};

static bool take_id(const struct sql_row *row, void *context)
{
    struct ids *out = context;
    sql_row_copy(row, 0, out->ids[out->count++], ID_SIZE);
    return out->count < SWEEP_LIMIT;
}

// ---- start

struct start {
    const char *account;
    int64_t lifetime_ms;
    const char *token;
    struct stored made;
};

// Also locks the account's row, so that of two log-ins at once the second counts the first.
static bool lock_account(struct sql *sql, const char *account, struct error *err)
{
    int64_t matched;
    if (!sql_execute(sql, "UPDATE account SET state=state WHERE id=?",
                     SQL_VALUES(SQL_TEXT(account)), &matched, err))
        return false;
    return matched > 0 || error_set(err, ERROR_NOT_FOUND, "there is no such account");
}

static bool make_room(struct sql *sql, const char *account, struct error *err)
{
    struct ids over = {0};
    if (!sql_query(sql,
                   "SELECT id FROM session WHERE account=? AND " IS_LIVE
                   " ORDER BY used_at DESC, id DESC LIMIT ? OFFSET ?",
                   SQL_VALUES(SQL_TEXT(account), SQL_INTEGER(SWEEP_LIMIT),
                              SQL_INTEGER(SESSIONS_LIMIT - 1)),
                   take_id, &over, err))
        return false;
    for (size_t i = 0; i < over.count; i++)
        if (!sql_execute(sql, REVOKE "id=?", SQL_VALUES(SQL_TEXT(over.ids[i])), NULL, err))
            return false;
    return true;
}

static bool insert_session(struct sql *sql, void *context, struct error *err)
{
    struct start *start = context;
    char id[ID_SIZE], selector_hash[SHA256_HEX_SIZE], token_hash[SHA256_HEX_SIZE];
    int64_t idle_ms = start->lifetime_ms < SESSION_IDLE_MS ? start->lifetime_ms : SESSION_IDLE_MS;
    id_new(id);
    hash_selector(start->token, selector_hash);
    hash_token(start->token, token_hash);
    return lock_account(sql, start->account, err) && make_room(sql, start->account, err) &&
           sql_execute(sql,
                       "INSERT INTO session (id, account, selector_hash, token_hash, salt,"
                       " created_at, used_at, ends_at, expires_at)"
                       " VALUES (?, ?, ?, ?, '', {now}, {now}, {now}+?, {now}+?)",
                       SQL_VALUES(SQL_TEXT(id), SQL_TEXT(start->account), SQL_TEXT(selector_hash),
                                  SQL_TEXT(token_hash), SQL_INTEGER(start->lifetime_ms),
                                  SQL_INTEGER(idle_ms)),
                       NULL, err) &&
           load(sql, selector_hash, &start->made, err);
}

bool accounts_session_start(struct accounts *accounts, const char *account, int64_t lifetime_ms,
                            struct session *out, char out_token[REFRESH_TOKEN_SIZE],
                            struct error *err)
{
    char token[SELECTOR_LENGTH + SECRET_LENGTH + 1];
    char selector[SECRET_LENGTH + 1];
    new_secret(selector);
    memcpy(token, selector, SELECTOR_LENGTH);
    new_secret(token + SELECTOR_LENGTH);
    struct start context = {.account = account, .lifetime_ms = lifetime_ms, .token = token};
    if (!sql_transaction(accounts->sql, insert_session, &context, err))
        return false;
    *out = context.made.session;
    memcpy(out_token, token, sizeof token);
    return true;
}

// ---- refresh

static bool deny(struct error *err)
{
    return error_set(err, ERROR_DENIED, "the session has ended: log in again");
}

static bool rotate(struct sql *sql, const char *token, const char *selector_hash,
                   int64_t *out_matched, struct error *err)
{
    char salt[SECRET_LENGTH + 1], successor[REFRESH_TOKEN_SIZE];
    char old_hash[SHA256_HEX_SIZE], new_hash[SHA256_HEX_SIZE];
    new_secret(salt);
    make_successor(token, salt, successor);
    hash_token(token, old_hash);
    hash_token(successor, new_hash);
    return sql_execute(sql,
                       "UPDATE session SET token_hash=?, salt=?, used_at={now},"
                       " expires_at=CASE WHEN ends_at<{now}+? THEN ends_at ELSE {now}+? END"
                       " WHERE selector_hash=? AND token_hash=? AND " IS_LIVE,
                       SQL_VALUES(SQL_TEXT(new_hash), SQL_TEXT(salt), SQL_INTEGER(SESSION_IDLE_MS),
                                  SQL_INTEGER(SESSION_IDLE_MS), SQL_TEXT(selector_hash),
                                  SQL_TEXT(old_hash)),
                       out_matched, err);
}

// The row tells all: whoever rotated it, this request or its double, the successor that comes out
// of token and salt is the present one or it is not.
bool accounts_session_refresh(struct accounts *accounts, const char *token, struct session *out,
                              char out_token[REFRESH_TOKEN_SIZE], struct error *err)
{
    if (!is_token(token))
        return deny(err);
    char selector_hash[SHA256_HEX_SIZE], successor[REFRESH_TOKEN_SIZE];
    char successor_hash[SHA256_HEX_SIZE];
    int64_t matched;
    struct stored stored;
    hash_selector(token, selector_hash);
    if (!rotate(accounts->sql, token, selector_hash, &matched, err) ||
        !load(accounts->sql, selector_hash, &stored, err))
        return false;
    if (!stored.session.id[0] || !stored.is_live)
        return deny(err);
    make_successor(token, stored.salt, successor);
    hash_token(successor, successor_hash);
    bool is_present = strcmp(successor_hash, stored.token_hash) == 0;
    if (is_present && (matched > 0 || stored.is_in_grace)) {
        *out = stored.session;
        memcpy(out_token, successor, sizeof successor);
        return true;
    }
    // With a match, the double of this request has used the common successor already.
    if (matched == 0 && !sql_execute(accounts->sql, REVOKE "id=?",
                                     SQL_VALUES(SQL_TEXT(stored.session.id)), NULL, err))
        return false;
    return deny(err);
}

// ---- end

bool accounts_revoke_all(struct sql *sql, const char *account, struct error *err)
{
    return sql_execute(sql, REVOKE "account=?", SQL_VALUES(SQL_TEXT(account)), NULL, err);
}

bool accounts_session_end(struct accounts *accounts, const char *account, const char *id,
                          struct error *err)
{
    if (!id)
        return accounts_revoke_all(accounts->sql, account, err);
    struct ids his = {0};
    if (!sql_query(accounts->sql, "SELECT id FROM session WHERE id=? AND account=?",
                   SQL_VALUES(SQL_TEXT(id), SQL_TEXT(account)), take_id, &his, err))
        return false;
    if (his.count == 0)
        return error_set(err, ERROR_NOT_FOUND, "there is no such session");
    return sql_execute(accounts->sql, REVOKE "id=?", SQL_VALUES(SQL_TEXT(id)), NULL, err);
}

struct list {
    struct session *out;
    size_t count;
};

static bool take_listed(const struct sql_row *row, void *context)
{
    struct list *list = context;
    take_session(row, &list->out[list->count++]);
    return true;
}

bool accounts_sessions(struct accounts *accounts, const char *account, struct session *out,
                       size_t limit, size_t *out_count, struct error *err)
{
    struct list list = {.out = out};
    if (!sql_query(accounts->sql,
                   "SELECT id, account, created_at, used_at, expires_at FROM session"
                   " WHERE account=? AND " IS_LIVE " ORDER BY id DESC LIMIT ?",
                   SQL_VALUES(SQL_TEXT(account), SQL_INTEGER((int64_t)limit)), take_listed, &list,
                   err))
        return false;
    *out_count = list.count;
    return true;
}

// ---- sweep

static bool remove_ended(struct sql *sql, void *context, struct error *err)
{
    const struct ids *ended = context;
    for (size_t i = 0; i < ended->count; i++)
        if (!sql_execute(sql, "DELETE FROM session WHERE id=? AND expires_at<{now}-?",
                         SQL_VALUES(SQL_TEXT(ended->ids[i]), SQL_INTEGER(DAY_MS)), NULL, err))
            return false;
    return true;
}

bool accounts_sweep(struct accounts *accounts, int64_t *out_removed, struct error *err)
{
    struct ids ended = {0};
    if (!sql_query(accounts->sql,
                   "SELECT id FROM session WHERE expires_at<{now}-? ORDER BY expires_at LIMIT ?",
                   SQL_VALUES(SQL_INTEGER(DAY_MS), SQL_INTEGER(SWEEP_LIMIT)), take_id, &ended, err))
        return false;
    if (ended.count > 0 && !sql_transaction(accounts->sql, remove_ended, &ended, err))
        return false;
    *out_removed = (int64_t)ended.count;
    return true;
}
