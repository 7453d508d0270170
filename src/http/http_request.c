// What a step may ask about its request.

#include "base/alloc.h"
#include "http/http_address.h"
#include "http/http_server.h"

#include <string.h>
#include <strings.h>

void *http_application(struct http_exchange *exchange)
{
    return exchange->server->options.application;
}

void *http_worker(struct http_exchange *exchange)
{
    return exchange->worker;
}

void *http_state(struct http_exchange *exchange)
{
    return exchange->state;
}

void http_set_state(struct http_exchange *exchange, void *state)
{
    exchange->state = state;
}

const char *http_method(struct http_exchange *exchange)
{
    return exchange->method;
}

const char *http_path(struct http_exchange *exchange)
{
    return exchange->target.path == NULL ? "" : exchange->target.path;
}

const char *http_route_pattern(struct http_exchange *exchange)
{
    return exchange->match.route == NULL ? "" : exchange->match.route->pattern;
}

const char *http_parameter(struct http_exchange *exchange, const char *name)
{
    const struct http_match *match = &exchange->match;
    for (size_t i = 0; i < match->parameters_count; i++)
        if (strlen(name) == match->parameters[i].name_size &&
            memcmp(match->parameters[i].name, name, match->parameters[i].name_size) == 0)
            return match->parameters[i].value;
    return NULL;
}

const char *http_query(struct http_exchange *exchange, const char *name)
{
    for (size_t i = 0; i < exchange->target.query_count; i++)
        if (strcmp(exchange->target.query[i].name, name) == 0)
            return exchange->target.query[i].value;
    return NULL;
}

const char *http_header(struct http_exchange *exchange, const char *name)
{
    if (exchange->connection == NULL)
        return NULL;
    return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, name);
}

const char *http_cookie(struct http_exchange *exchange, const char *name)
{
    if (exchange->connection == NULL)
        return NULL;
    return MHD_lookup_connection_value(exchange->connection, MHD_COOKIE_KIND, name);
}

int64_t http_content_length(struct http_exchange *exchange)
{
    if (exchange->guard.transfer_encoding_count > 0)
        return -1;
    return exchange->guard.content_length < 0 ? 0 : exchange->guard.content_length;
}

const char *http_body(struct http_exchange *exchange, size_t *out_size)
{
    *out_size = exchange->body.size;
    return exchange->body.bytes;
}

// ---- what only a trusted proxy may say ----

static const char *forwarded(struct http_exchange *exchange, const char *name)
{
    const struct http_server *server = exchange->server;
    if (exchange->peer == NULL ||
        !http_address_is_trusted(server->networks, server->networks_count, exchange->peer->is_unix,
                                 exchange->peer->address))
        return NULL;
    return http_header(exchange, name);
}

// The address that the nearest proxy we do not trust, or the client, connected from.
const char *http_client_address(struct http_exchange *exchange)
{
    const struct http_server *server = exchange->server;
    if (exchange->client_address != NULL)
        return exchange->client_address;
    if (exchange->peer == NULL)
        return "";
    const char *list = forwarded(exchange, "X-Forwarded-For");
    exchange->client_address =
        list == NULL ? NULL
                     : http_address_forwarded(server->networks, server->networks_count, list);
    if (exchange->client_address == NULL)
        exchange->client_address = alloc_text(exchange->peer->address);
    return exchange->client_address;
}

const char *http_scheme(struct http_exchange *exchange)
{
    const char *scheme = forwarded(exchange, "X-Forwarded-Proto");
    return scheme != NULL && strcasecmp(scheme, "https") == 0 ? "https" : "http";
}

const char *http_host(struct http_exchange *exchange)
{
    const char *host = forwarded(exchange, "X-Forwarded-Host");
    if (host == NULL || *host == '\0')
        host = http_header(exchange, "Host");
    return host == NULL ? "" : host;
}

// ---- time ----

int64_t http_step_deadline_ms(struct http_exchange *exchange)
{
    return exchange->deadline_ms;
}

void http_again(struct http_exchange *exchange, int64_t delay_ms)
{
    exchange->again_ms = delay_ms < 0 ? 0 : delay_ms;
}

bool http_is_stopping(struct http_exchange *exchange)
{
    return __atomic_load_n(&exchange->server->is_stopping, __ATOMIC_RELAXED);
}
