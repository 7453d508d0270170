// Access tokens and cookies: handing out, reading back.
#include "base/clock.h"
#include "base/text.h"
#include "http/http_reply.h"
#include "roles/auth/auth.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

// A page needs the refresh token on the sessions' routes only.
#define REFRESH_COOKIE_PATH "/api/v1/sessions"

void auth_access_token(const struct auth *auth, const struct account *account,
                       const struct session *session, char out[TOKEN_TEXT_SIZE])
{
    int64_t now_s = clock_now_ms() / 1000;
    struct token_claims claims = {.issued_at_s = now_s,
                                  .expires_at_s = now_s + auth->config->token_ttl_ms / 1000};
    text_copy(claims.account, sizeof claims.account, account->id);
    text_copy(claims.session, sizeof claims.session, session->id);
    text_copy(claims.email, sizeof claims.email, account->email);
    text_copy(claims.role, sizeof claims.role, account->role);
    token_sign(auth->key, &claims, out);
}

static void set_cookie(struct http_exchange *exchange, const char *name, const char *value,
                       const char *path, int64_t max_age_s)
{
    char cookie[TOKEN_TEXT_SIZE + 128];
    snprintf(cookie, sizeof cookie,
             "%s=%s; Path=%s; Max-Age=%" PRId64 "; HttpOnly; SameSite=Strict%s", name, value, path,
             max_age_s, strcmp(http_scheme(exchange), "https") == 0 ? "; Secure" : "");
    http_reply_header(exchange, "Set-Cookie", cookie);
}

void auth_reply_tokens(struct http_exchange *exchange, const struct account *account,
                       const struct session *session, const char *refresh_token, bool as_cookies)
{
    const struct auth *auth = http_application(exchange);
    int64_t life_s = auth->config->token_ttl_ms / 1000;
    char access_token[TOKEN_TEXT_SIZE];
    auth_access_token(auth, account, session, access_token);
    if (!as_cookies) {
        http_reply_json(exchange, 200,
                        json_pack("{s:s, s:s, s:I, s:s}", "access_token", access_token,
                                  "token_type", "Bearer", "expires_in", (json_int_t)life_s,
                                  "refresh_token", refresh_token));
        return;
    }
    int64_t left_s = (session->expires_at_ms - clock_now_ms()) / 1000;
    set_cookie(exchange, AUTH_ACCESS_COOKIE, access_token, "/", life_s);
    set_cookie(exchange, AUTH_REFRESH_COOKIE, refresh_token, REFRESH_COOKIE_PATH,
               left_s > 0 ? left_s : 0);
    http_reply_json(
        exchange, 200,
        json_pack("{s:s, s:I}", "token_type", "Cookie", "expires_in", (json_int_t)life_s));
}

void auth_clear_cookies(struct http_exchange *exchange)
{
    set_cookie(exchange, AUTH_ACCESS_COOKIE, "", "/", 0);
    set_cookie(exchange, AUTH_REFRESH_COOKIE, "", REFRESH_COOKIE_PATH, 0);
}

const char *auth_bearer(struct http_exchange *exchange)
{
    static const char scheme[] = "Bearer ";
    const char *header = http_header(exchange, "Authorization");
    if (header == NULL || strncasecmp(header, scheme, sizeof scheme - 1) != 0)
        return NULL;
    header += sizeof scheme - 1;
    return header + strspn(header, " ");
}

bool auth_identify(struct http_exchange *exchange, struct token_claims *out)
{
    const struct auth *auth = http_application(exchange);
    const char *token = auth_bearer(exchange);
    if (token == NULL)
        token = http_cookie(exchange, AUTH_ACCESS_COOKIE);
    if (token == NULL) {
        http_reply_problem(exchange, 401, "missing_token",
                           "Log in first, and send the access token as \"Authorization: Bearer\".");
        return false;
    }
    switch (token_verify(auth->keys, token, clock_now_ms() / 1000, out)) {
    case TOKEN_VALID:
        return true;
    case TOKEN_EXPIRED:
        http_reply_problem(exchange, 401, "expired_token",
                           "The access token is over. Refresh the session or log in again.");
        return false;
    case TOKEN_UNKNOWN_KEY:
    case TOKEN_INVALID:
        break;
    }
    http_reply_problem(exchange, 401, "invalid_token", "The access token is not one of ours.");
    return false;
}
