// Sessions: log in, refresh, list, log out.
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "http/http_reply.h"
#include "roles/auth/auth.h"

#include <string.h>
#include <strings.h>

static void refuse_credentials(struct http_exchange *exchange)
{
    http_reply_problem(exchange, 401, "invalid_credentials",
                       "The address or the password is wrong.");
}

static bool has_basic(struct http_exchange *exchange)
{
    const char *header = http_header(exchange, "Authorization");
    return header != NULL && strncasecmp(header, "Basic", 5) == 0;
}

// False: answered.
static bool read_json_credentials(struct http_exchange *exchange, const json_t *body,
                                  struct credentials *out)
{
    const char *email, *password;
    if (!auth_json_text(exchange, body, "email", &email) ||
        !auth_json_text(exchange, body, "password", &password))
        return false;
    if (email == NULL || password == NULL) {
        http_reply_problem(exchange, 401, "missing_credentials",
                           "Send address and password, as Basic or as JSON.");
        return false;
    }
    if (text_copy(out->name, sizeof out->name, email) &&
        text_copy(out->password, sizeof out->password, password))
        return true;
    refuse_credentials(exchange);
    return false;
}

static bool read_credentials(struct http_exchange *exchange, struct credentials *out,
                             bool *out_wants_cookies)
{
    static const char *const all[] = {"email", "password", "cookie", NULL};
    static const char *const beside_basic[] = {"cookie", NULL};
    bool is_basic = has_basic(exchange);
    SCOPED(json_decref) json_t *body = auth_read_json(exchange, is_basic ? beside_basic : all);
    if (body == NULL || !auth_json_flag(exchange, body, "cookie", out_wants_cookies))
        return false;
    if (!is_basic)
        return read_json_credentials(exchange, body, out);
    if (basic_credentials_parse(http_header(exchange, "Authorization"), out))
        return true;
    refuse_credentials(exchange);
    return false;
}

static void start_session(struct http_exchange *exchange, const struct account *account,
                          bool wants_cookies)
{
    const struct auth *auth = http_application(exchange);
    struct session session;
    char refresh_token[REFRESH_TOKEN_SIZE];
    struct error err = {0};
    if (accounts_session_start(http_worker(exchange), account->id, auth->config->session_ttl_ms,
                               &session, refresh_token, &err))
        auth_reply_tokens(exchange, account, &session, refresh_token, wants_cookies);
    else
        http_reply_error(exchange, &err);
}

void auth_sessions_create(struct http_exchange *exchange)
{
    struct credentials credentials = {0};
    struct account account;
    bool wants_cookies = false;
    if (read_credentials(exchange, &credentials, &wants_cookies)) {
        enum auth_log_in answer = auth_log_in(exchange, &credentials, &account);
        if (answer == AUTH_ADMITTED)
            start_session(exchange, &account, wants_cookies);
        else if (answer == AUTH_REFUSED)
            refuse_credentials(exchange);
    }
    credentials_finish(&credentials);
}

static void refuse_refresh(struct http_exchange *exchange, bool is_cookie)
{
    if (is_cookie)
        auth_clear_cookies(exchange);
    http_reply_problem(exchange, 401, "invalid_refresh_token",
                       "This session is over. Log in again.");
}

// False: refused or failed, and answered.
static bool refresh(struct http_exchange *exchange, const char *token, bool is_cookie,
                    struct account *out_account, struct session *out_session,
                    char out_token[REFRESH_TOKEN_SIZE])
{
    struct accounts *accounts = http_worker(exchange);
    struct error err = {0};
    if (accounts_session_refresh(accounts, token, out_session, out_token, &err) &&
        accounts_find(accounts, out_session->account, out_account, &err)) {
        if (strcmp(out_account->state, "active") == 0)
            return true;
        error_set(&err, ERROR_DENIED, "the account is blocked");
    }
    if (err.kind == ERROR_DENIED || err.kind == ERROR_NOT_FOUND || err.kind == ERROR_INVALID) {
        log_info("refresh refused", LOG_TEXT("reason", err.text));
        refuse_refresh(exchange, is_cookie);
    } else
        http_reply_error(exchange, &err);
    return false;
}

void auth_sessions_refresh(struct http_exchange *exchange)
{
    static const char *const members[] = {"refresh_token", NULL};
    const char *token;
    SCOPED(json_decref) json_t *body = auth_read_json(exchange, members);
    if (body == NULL || !auth_json_text(exchange, body, "refresh_token", &token))
        return;
    bool is_cookie = token == NULL;
    if (is_cookie)
        token = http_cookie(exchange, AUTH_REFRESH_COOKIE);
    if (token == NULL) {
        http_reply_problem(exchange, 401, "missing_token", "There is no refresh token to use.");
        return;
    }
    struct account account;
    struct session session;
    char next_token[REFRESH_TOKEN_SIZE];
    if (refresh(exchange, token, is_cookie, &account, &session, next_token))
        auth_reply_tokens(exchange, &account, &session, next_token, is_cookie);
}

static json_t *session_json(const struct session *session, bool is_current)
{
    char created_at[CLOCK_TEXT_SIZE], used_at[CLOCK_TEXT_SIZE], expires_at[CLOCK_TEXT_SIZE];
    clock_format(session->created_at_ms, created_at);
    clock_format(session->used_at_ms, used_at);
    clock_format(session->expires_at_ms, expires_at);
    return json_pack("{s:s, s:s, s:s, s:s, s:b}", "id", session->id, "created_at", created_at,
                     "used_at", used_at, "expires_at", expires_at, "current", is_current);
}

void auth_sessions_list(struct http_exchange *exchange)
{
    struct token_claims claims;
    struct session sessions[SESSIONS_LIMIT];
    size_t count;
    struct error err = {0};
    if (!auth_identify(exchange, &claims))
        return;
    if (!accounts_sessions(http_worker(exchange), claims.account, sessions, SESSIONS_LIMIT, &count,
                           &err)) {
        http_reply_error(exchange, &err);
        return;
    }
    json_t *items = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(
            items, session_json(&sessions[i], strcmp(sessions[i].id, claims.session) == 0));
    http_reply_json(exchange, 200, json_pack("{s:o}", "items", items));
}

// `id` NULL ends all. An ended session is as good as one that is ended now, but another's is not
// found.
static void end_session(struct http_exchange *exchange, const struct token_claims *claims,
                        const char *id)
{
    struct error err = {0};
    bool is_current = id == NULL || strcmp(id, claims->session) == 0;
    if (!accounts_session_end(http_worker(exchange), claims->account, id, &err) &&
        !(err.kind == ERROR_NOT_FOUND && is_current)) {
        if (err.kind == ERROR_NOT_FOUND)
            http_reply_problem(exchange, 404, "not_found", "There is no such session.");
        else
            http_reply_error(exchange, &err);
        return;
    }
    log_info("logged out", LOG_TEXT("account", claims->account),
             LOG_TEXT("sessions", id == NULL ? "all" : "one"));
    if (is_current)
        auth_clear_cookies(exchange);
    http_reply_empty(exchange, 204);
}

// Who comes back after the access cookie is over can still log out by the refresh cookie.
void auth_sessions_end_current(struct http_exchange *exchange)
{
    struct token_claims claims = {0};
    const char *token = http_cookie(exchange, AUTH_REFRESH_COOKIE);
    if (auth_bearer(exchange) != NULL || http_cookie(exchange, AUTH_ACCESS_COOKIE) != NULL ||
        token == NULL) {
        if (auth_identify(exchange, &claims))
            end_session(exchange, &claims, claims.session);
        return;
    }
    struct account account;
    struct session session;
    char next_token[REFRESH_TOKEN_SIZE];
    if (!refresh(exchange, token, true, &account, &session, next_token))
        return;
    text_copy(claims.account, sizeof claims.account, session.account);
    text_copy(claims.session, sizeof claims.session, session.id);
    end_session(exchange, &claims, session.id);
}

void auth_sessions_end_one(struct http_exchange *exchange)
{
    struct token_claims claims;
    if (auth_identify(exchange, &claims))
        end_session(exchange, &claims, http_parameter(exchange, "id"));
}

void auth_sessions_end_all(struct http_exchange *exchange)
{
    struct token_claims claims;
    if (auth_identify(exchange, &claims))
        end_session(exchange, &claims, NULL);
}
