// The routes of the services that Unreel replaces, with their statuses and their plain texts.
#include "base/clock.h"
#include "http/http_reply.h"
#include "roles/auth/auth.h"

#include <string.h>

static void reply_text(struct http_exchange *exchange, int status, const char *text)
{
    if (status == 401)
        http_reply_header(exchange, "WWW-Authenticate",
                          "Basic realm=\"unreel\", charset=\"UTF-8\"");
    http_reply_text(exchange, status, "text/plain; charset=utf-8", text);
}

// False: answered.
static bool read_basic(struct http_exchange *exchange, struct credentials *out)
{
    const char *header = http_header(exchange, "Authorization");
    if (header == NULL)
        reply_text(exchange, 401, "missing credentials");
    else if (!basic_credentials_parse(header, out))
        reply_text(exchange, 401, "invalid credentials");
    else
        return true;
    return false;
}

void auth_predecessors_register(struct http_exchange *exchange)
{
    struct credentials credentials = {0};
    struct account account;
    struct error err = {0};
    if (!read_basic(exchange, &credentials))
        return;
    switch (auth_register(exchange, credentials.name, credentials.password, &account, &err)) {
    case AUTH_REGISTERED:
        reply_text(exchange, 200, "success");
        break;
    case AUTH_REGISTRATION_CLOSED:
        reply_text(exchange, 403, "registration is closed");
        break;
    case AUTH_EMAIL_INVALID:
    case AUTH_PASSWORD_WEAK:
        reply_text(exchange, 400, err.text);
        break;
    case AUTH_EMAIL_TAKEN:
        reply_text(exchange, 409, "email taken");
        break;
    case AUTH_REGISTRATION_ANSWERED:
        break;
    }
    credentials_finish(&credentials);
}

// Nobody gets a refresh token here, so no session is kept: a script that logs in for every call
// would else end the sessions of its user's browsers. The token's session is a name only.
static void reply_token(struct http_exchange *exchange, const struct account *account)
{
    const struct auth *auth = http_application(exchange);
    struct session session = {0};
    char access_token[TOKEN_TEXT_SIZE];
    id_new(session.id);
    auth_access_token(auth, account, &session, access_token);
    http_reply_header(exchange, "Cache-Control", "no-store");
    reply_text(exchange, 200, access_token);
}

void auth_predecessors_log_in(struct http_exchange *exchange)
{
    struct credentials credentials = {0};
    struct account account;
    if (!read_basic(exchange, &credentials))
        return;
    enum auth_log_in answer = auth_log_in(exchange, &credentials, &account);
    credentials_finish(&credentials);
    if (answer == AUTH_ADMITTED)
        reply_token(exchange, &account);
    else if (answer == AUTH_REFUSED)
        reply_text(exchange, 401, "invalid credentials");
}

void auth_predecessors_validate(struct http_exchange *exchange)
{
    const struct auth *auth = http_application(exchange);
    const char *token = auth_bearer(exchange);
    struct token_claims claims;
    if (http_header(exchange, "Authorization") == NULL) {
        reply_text(exchange, 401, "");
    } else if (token == NULL ||
               token_verify(auth->keys, token, clock_now_ms() / 1000, &claims) != TOKEN_VALID) {
        reply_text(exchange, 403, "not authorized");
    } else {
        http_reply_json(exchange, 200,
                        json_pack("{s:s, s:s, s:s, s:I, s:I, s:b}", "username", claims.email,
                                  "email", claims.email, "sub", claims.account, "exp",
                                  (json_int_t)claims.expires_at_s, "iat",
                                  (json_int_t)claims.issued_at_s, "admin",
                                  strcmp(claims.role, "admin") == 0));
    }
}
