#pragma once
// Accounts and their sessions. Used by the auth role and `unreel user` only.
//
// An e-mail address is kept as typed and again folded to `email_key` (ASCII lower case, the local
// part too: two accounts that differ by case only are somebody's mistake or trick), which is
// unique.
//
// A session is a family of refresh tokens: each use replaces the token; a token used a second time
// revokes the family, since then two hold it and one of them is a thief. Within 10 s, and while its
// successor is unused, a doubled request (two tabs, an answer lost on the way) gets the very same
// successor instead: the successor is made from the token and a salt in the row, so nobody else can
// make it, and a token never has two. Tokens are stored as SHA-256.
//
// A token is 96 hex digits: 32 that find the family and stay, 64 (256 bits) that change. So a
// family is one row, and any token of it ever replaced is still known for one.

#include "base/error.h"
#include "base/id.h"
#include "base/scope.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EMAIL_SIZE = 255, PASSWORD_HASH_SIZE = 128, REFRESH_TOKEN_SIZE = 97 };

struct account {
    char id[ID_SIZE];
    char email[EMAIL_SIZE];
    char password_hash[PASSWORD_HASH_SIZE]; // argon2id, PHC string
    char role[16];                          // "user", "admin"
    char state[16];                         // "active", "blocked"
    int64_t created_at_ms;
};

struct accounts;

struct accounts *accounts_open(const char *url, struct error *err);
void accounts_close(struct accounts *accounts);
SCOPE_DEFINE(accounts_close, struct accounts *);

bool accounts_migrate(const char *url, struct error *err);
bool accounts_ready(struct accounts *accounts, struct error *err); // answers, and migrated

// A plain dot-atom address of at most 254 bytes (64 before the @): no quotes, no comments, no
// control bytes, no CR/LF. INVALID says what is wrong.
bool accounts_check_email(const char *email, struct error *err);

// CONFLICT when the address has an account.
bool accounts_create(struct accounts *accounts, const char *email, const char *password_hash,
                     const char *role, struct account *out, struct error *err);

// NOT_FOUND when there is none.
bool accounts_find_by_email(struct accounts *accounts, const char *email, struct account *out,
                            struct error *err);
bool accounts_find(struct accounts *accounts, const char *id, struct account *out,
                   struct error *err);
// Also revokes every session of the account. NOT_FOUND when there is no such account.
bool accounts_set_password(struct accounts *accounts, const char *id, const char *password_hash,
                           struct error *err);
// Replaces the hash only, after a log-in found it made with older parameters.
bool accounts_rehash(struct accounts *accounts, const char *id, const char *password_hash,
                     struct error *err);

struct session {
    char id[ID_SIZE]; // the family
    char account[ID_SIZE];
    int64_t created_at_ms, used_at_ms, expires_at_ms;
};

enum { SESSIONS_LIMIT = 10, SESSION_IDLE_MS = 7 * 86400000 };

// Starts a session that ends `lifetime_ms` from now however often it is refreshed, and sooner when
// it is not used for SESSION_IDLE_MS. The token is shown once. At most SESSIONS_LIMIT live sessions
// an account: the one used longest ago is revoked for the next. NOT_FOUND when there is no such
// account.
bool accounts_session_start(struct accounts *accounts, const char *account, int64_t lifetime_ms,
                            struct session *out, char out_token[REFRESH_TOKEN_SIZE],
                            struct error *err);
// Replaces the token. DENIED when it is unknown, expired or revoked, or when its second use has
// just revoked the family. Says nothing about the account: the caller looks whether it is active.
bool accounts_session_refresh(struct accounts *accounts, const char *token, struct session *out,
                              char out_token[REFRESH_TOKEN_SIZE], struct error *err);
// Ends one session of the account; NOT_FOUND when it is not his. `id` NULL ends all. What has ended
// already stays so, and that is no error.
bool accounts_session_end(struct accounts *accounts, const char *account, const char *id,
                          struct error *err);
// Live sessions, newest first, at most `limit`.
bool accounts_sessions(struct accounts *accounts, const char *account, struct session *out,
                       size_t limit, size_t *out_count, struct error *err);
// Removes sessions that ended over a day ago, at most 50.
bool accounts_sweep(struct accounts *accounts, int64_t *out_removed, struct error *err);
