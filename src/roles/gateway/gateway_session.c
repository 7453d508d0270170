#include "roles/gateway/gateway_session.h"

#include "base/text.h"
#include "http/http_reply.h"
#include "roles/gateway/gateway_text.h"
#include "roles/gateway/gateway_worker.h"

#include <string.h>

static bool changes_something(struct http_exchange *exchange)
{
    const char *method = http_method(exchange);
    return strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0;
}

static bool is_own_origin(struct http_exchange *exchange)
{
    return gateway_origin_is_own(http_header(exchange, "Origin"), http_scheme(exchange),
                                 http_host(exchange));
}

static bool refuse_origin(struct http_exchange *exchange)
{
    http_reply_problem(exchange, 403, "cross_origin",
                       "With a cookie this request must come from a page of this server. "
                       "Elsewhere use an access token.");
    return false;
}

// Of what is handed on, only sessions are changed by a cookie. The pattern, not the path, which can
// be written in many ways.
static bool obeys_cookie(struct http_exchange *exchange)
{
    const char *pattern = http_route_pattern(exchange);
    bool is_log_in =
        strcmp(pattern, "/api/v1/sessions") == 0 && strcmp(http_method(exchange), "POST") == 0;
    return text_starts_with(pattern, "/api/v1/sessions") && !is_log_in &&
           (http_cookie(exchange, GATEWAY_ACCESS_COOKIE) != NULL ||
            http_cookie(exchange, GATEWAY_REFRESH_COOKIE) != NULL);
}

// A foreign page may not log anybody in either; a program that is no browser sends no Origin and,
// without a cookie, needs none. Only a Bearer token takes the place of the cookie: a browser can be
// made to add other credentials by itself.
bool gateway_check_origin(struct http_exchange *exchange)
{
    if (!changes_something(exchange) ||
        gateway_bearer(http_header(exchange, "Authorization")) != NULL)
        return true;
    if (http_header(exchange, "Origin") == NULL && !obeys_cookie(exchange))
        return true;
    return is_own_origin(exchange) || refuse_origin(exchange);
}

// The token, or NULL with the answer given.
static const char *find_token(struct http_exchange *exchange)
{
    const char *token = gateway_bearer(http_header(exchange, "Authorization"));
    if (token != NULL)
        return token;
    token = http_cookie(exchange, GATEWAY_ACCESS_COOKIE);
    if (token == NULL) {
        http_reply_problem(exchange, 401, "missing_token",
                           "Log in first, and send the access token as \"Authorization: Bearer\".");
        return NULL;
    }
    if (changes_something(exchange) && !is_own_origin(exchange)) {
        refuse_origin(exchange);
        return NULL;
    }
    return token;
}

static bool authenticate(struct http_exchange *exchange, int bad_token_status,
                         struct token_claims *out)
{
    struct gateway_worker *worker = http_worker(exchange);
    const char *token = find_token(exchange);
    if (token == NULL)
        return false;
    enum token_answer answer;
    if (gateway_keys_verify(worker->keys, &worker->keys_copy, token, &answer, out) ==
        GATEWAY_KEYS_UNAVAILABLE) {
        http_reply_header(exchange, "Retry-After", "2");
        http_reply_problem(exchange, 503, "auth_unavailable",
                           "Log-ins cannot be checked right now. Try again in a moment.");
        return false;
    }
    if (answer == TOKEN_VALID)
        return true;
    if (answer == TOKEN_EXPIRED)
        http_reply_problem(exchange, bad_token_status, "expired_token",
                           "The access token is over. Refresh the session or log in again.");
    else
        http_reply_problem(exchange, bad_token_status, "invalid_token",
                           "The access token is not one of ours.");
    return false;
}

bool gateway_authenticate(struct http_exchange *exchange, struct token_claims *out)
{
    return authenticate(exchange, 401, out);
}

bool gateway_authenticate_as_predecessor(struct http_exchange *exchange, struct token_claims *out)
{
    return authenticate(exchange, 403, out);
}
