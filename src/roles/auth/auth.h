#pragma once
// What the parts of the auth role share. A worker's handle is its own `struct accounts`.

#include "accounts/accounts.h"
#include "config/config.h"
#include "http/http.h"
#include "roles/auth/auth_throttle.h"
#include "security/basic_credentials.h"
#include "security/signing_key.h"

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct auth {
    const struct config *config;
    struct signing_key *key;
    char *jwks;
    struct token_keys *keys; // read only, so all workers may
    struct auth_throttle *throttle;
    struct http_server *server;
    pthread_t sweeper;
    bool has_sweeper;
    atomic_int waiting; // requests that wait for a place to hash a password
};

// auth_routes.c
extern const struct http_route auth_routes[];
extern const size_t auth_routes_count;

// auth_log_in.c -----------------------------------------------------------------------------------

enum auth_log_in {
    AUTH_ADMITTED,
    AUTH_REFUSED,  // no such account or wrong password: the caller answers 401
    AUTH_ANSWERED, // throttled, busy, blocked, or no database; or `end` will run again
};

// Whose password this is. Unknown accounts take as long as wrong passwords.
enum auth_log_in auth_log_in(struct http_exchange *exchange, const struct credentials *credentials,
                             struct account *out);

// A place to hash a password, or false: answered, or `end` will run again. Waits without holding a
// worker, 10 s at most, 64 requests at most.
bool auth_place_take(struct http_exchange *exchange);
void auth_place_give(void);
void auth_place_finish(struct http_exchange *exchange); // the `finish` of handlers that take one

// auth_accounts.c ---------------------------------------------------------------------------------

enum auth_registration {
    AUTH_REGISTERED,
    AUTH_REGISTRATION_CLOSED,
    AUTH_EMAIL_INVALID,
    AUTH_PASSWORD_WEAK,
    AUTH_EMAIL_TAKEN,
    AUTH_REGISTRATION_ANSWERED,
};

// The error's text is for people where the answer is EMAIL_INVALID or PASSWORD_WEAK.
enum auth_registration auth_register(struct http_exchange *exchange, const char *email,
                                     const char *password, struct account *out, struct error *err);

void auth_accounts_create(struct http_exchange *exchange); // POST /api/v1/accounts

// auth_sessions.c ---------------------------------------------------------------------------------

void auth_sessions_create(struct http_exchange *exchange);
void auth_sessions_refresh(struct http_exchange *exchange);
void auth_sessions_list(struct http_exchange *exchange);
void auth_sessions_end_current(struct http_exchange *exchange);
void auth_sessions_end_one(struct http_exchange *exchange);
void auth_sessions_end_all(struct http_exchange *exchange);

// auth_predecessors.c -----------------------------------------------------------------------------

void auth_predecessors_register(struct http_exchange *exchange);
void auth_predecessors_log_in(struct http_exchange *exchange);
void auth_predecessors_validate(struct http_exchange *exchange);

// auth_tokens.c -----------------------------------------------------------------------------------

#define AUTH_ACCESS_COOKIE "unreel_access"
#define AUTH_REFRESH_COOKIE "unreel_refresh"

void auth_access_token(const struct auth *auth, const struct account *account,
                       const struct session *session, char out[TOKEN_TEXT_SIZE]);

// 200 with both tokens, in the body or as cookies.
void auth_reply_tokens(struct http_exchange *exchange, const struct account *account,
                       const struct session *session, const char *refresh_token, bool as_cookies);
void auth_clear_cookies(struct http_exchange *exchange); // before the answer

// The text behind "Bearer "; NULL when there is none.
const char *auth_bearer(struct http_exchange *exchange);
// By Bearer token or access cookie. False: answered with 401.
bool auth_identify(struct http_exchange *exchange, struct token_claims *out);

// auth_json.c -------------------------------------------------------------------------------------

// The body as an object with these members at most ("email password"). An empty body is an empty
// object. NULL: answered with 400. The caller owns it.
json_t *auth_read_json(struct http_exchange *exchange, const char *const *members);
// False: answered with 400, since it is no text. An absent one is NULL.
bool auth_json_text(struct http_exchange *exchange, const json_t *object, const char *name,
                    const char **out);
bool auth_json_flag(struct http_exchange *exchange, const json_t *object, const char *name,
                    bool *out);
SCOPE_DEFINE(json_decref, json_t *);
