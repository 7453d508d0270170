// The table of routes.
#include "http/http_reply.h"
#include "roles/auth/auth.h"

#include <string.h>

enum { BODY_LIMIT_BYTES = 16384 };

static void get_keys(struct http_exchange *exchange)
{
    const struct auth *auth = http_application(exchange);
    http_reply_header(exchange, "Cache-Control", "max-age=300");
    http_reply_text(exchange, 200, "application/json", auth->jwks);
}

#define ROUTE(method_, pattern_, end_, body_limit_bytes_)                                          \
    {                                                                                              \
        .method = method_, .pattern = pattern_, .handler = {.end = end_},                          \
        .body_limit_bytes = body_limit_bytes_                                                      \
    }

// Hashes a password: may have to wait for a place.
#define HASHING_ROUTE(method_, pattern_, end_)                                                     \
    {                                                                                              \
        .method = method_, .pattern = pattern_,                                                    \
        .handler = {.end = end_, .finish = auth_place_finish},                                     \
        .body_limit_bytes = BODY_LIMIT_BYTES                                                       \
    }

const struct http_route auth_routes[] = {
    HASHING_ROUTE("POST", "/api/v1/accounts", auth_accounts_create),
    HASHING_ROUTE("POST", "/api/v1/sessions", auth_sessions_create),
    ROUTE("POST", "/api/v1/sessions/refresh", auth_sessions_refresh, BODY_LIMIT_BYTES),
    ROUTE("GET", "/api/v1/sessions", auth_sessions_list, 0),
    ROUTE("DELETE", "/api/v1/sessions/current", auth_sessions_end_current, 0),
    ROUTE("DELETE", "/api/v1/sessions/{id}", auth_sessions_end_one, 0),
    ROUTE("DELETE", "/api/v1/sessions", auth_sessions_end_all, 0),
    ROUTE("GET", "/.well-known/jwks.json", get_keys, 0),
    HASHING_ROUTE("POST", "/register", auth_predecessors_register),
    HASHING_ROUTE("POST", "/login", auth_predecessors_log_in),
    ROUTE("POST", "/validate", auth_predecessors_validate, BODY_LIMIT_BYTES),
};
const size_t auth_routes_count = sizeof auth_routes / sizeof auth_routes[0];
