// One request, as libmicrohttpd's event threads see it: guard, route, collect the body, post steps,
// send the answer. Nothing here blocks.
//
// Both libmicrohttpd 0.9.75 and 1.0 call the handler first with complete headers and no data (again
// after a resume in that state), then with pieces of the body, then once without data.

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "http/http_layout.h"
#include "http/http_reply.h"
#include "http/http_server.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const char busy_text[] = "The server is busy. Please try again.";

static struct http_connection *peer_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info == NULL ? NULL : info->socket_context;
}

static bool is_suspended(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_SUSPENDED);
    return info != NULL && info->suspended != MHD_NO;
}

// Called as soon as the request line is there: the target has not been decoded yet.
void *http_exchange_create(void *context, const char *raw_target, struct MHD_Connection *connection)
{
    struct http_exchange *exchange = alloc_zeroed(1, sizeof *exchange);
    exchange->server = context;
    exchange->peer = peer_of(connection);
    exchange->raw_target = alloc_text(raw_target == NULL ? "" : raw_target);
    exchange->target_in_buffer = raw_target;
    exchange->answer.fd = -1;
    buf_init(&exchange->body, 0);
    if (exchange->peer != NULL)
        http_connection_enter(exchange->peer, HTTP_CONNECTION_HEADERS);
    return exchange;
}

void http_exchange_destroy(struct http_exchange *exchange)
{
    for (size_t i = 0; i < exchange->answer.headers_count; i++) {
        free(exchange->answer.headers[i].name);
        free(exchange->answer.headers[i].value);
    }
    free(exchange->answer.bytes);
    http_stream_finish(&exchange->answer.stream);
    if (exchange->answer.fd >= 0)
        close(exchange->answer.fd);
    buf_finish(&exchange->body);
    http_target_finish(&exchange->target);
    free(exchange->raw_target);
    free(exchange->client_address);
    free(exchange);
}

// ---- answers ----

static struct MHD_Response *make_response(struct http_exchange *exchange)
{
    struct http_answer *answer = &exchange->answer;
    struct MHD_Response *response;
    if (answer->is_streamed) {
        response = http_stream_response(exchange);
    } else if (answer->fd >= 0) {
        response = MHD_create_response_from_fd_at_offset64((uint64_t)answer->length, answer->fd,
                                                           (uint64_t)answer->offset);
        if (response != NULL)
            answer->fd = -1; // closed with the response
    } else {
        // Without a byte nothing is allocated, and a pointer to free is not wanted.
        response = MHD_create_response_from_buffer(answer->size, answer->bytes,
                                                   answer->size > 0 ? MHD_RESPMEM_MUST_FREE
                                                                    : MHD_RESPMEM_PERSISTENT);
        if (response != NULL && answer->size > 0)
            answer->bytes = NULL;
    }
    return response;
}

static enum MHD_Result send_answer(struct http_exchange *exchange)
{
    struct http_answer *answer = &exchange->answer;
    struct MHD_Response *response = make_response(exchange);
    if (response == NULL)
        return MHD_NO;
    for (size_t i = 0; i < answer->headers_count; i++)
        MHD_add_response_header(response, answer->headers[i].name, answer->headers[i].value);
    if (exchange->must_close || __atomic_load_n(&exchange->server->is_stopping, __ATOMIC_RELAXED))
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    exchange->phase = HTTP_EXCHANGE_ANSWERED;
    enum MHD_Result result =
        MHD_queue_response(exchange->connection, (unsigned)answer->status, response);
    MHD_destroy_response(response);
    return result;
}

static bool is_waiting_for_continue(struct http_exchange *exchange)
{
    const char *expect =
        MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, "Expect");
    return expect != NULL && strcasecmp(expect, "100-continue") == 0;
}

// Sends an answer that came before the end of the body. Who waits for "100 Continue" sends no body
// after it; from the others the body is on its way already.
static enum MHD_Result send_before_body(struct http_exchange *exchange)
{
    if (!exchange->has_body && !exchange->is_suspect) {
        // The library would close the connection after an answer given at this point.
        exchange->phase = HTTP_EXCHANGE_END;
        return MHD_YES;
    }
    exchange->must_close = true;
    bool is_reading = exchange->phase == HTTP_EXCHANGE_BODY;
    bool is_file = exchange->answer.fd >= 0 || exchange->answer.is_streamed;
    if (!is_reading && (exchange->is_suspect || is_file || is_waiting_for_continue(exchange)))
        return send_answer(exchange);
    http_early_answer(exchange);
    return MHD_YES;
}

static enum MHD_Result refuse(struct http_exchange *exchange, int status, const char *code,
                              const char *detail)
{
    char labels[96];
    snprintf(labels, sizeof labels, "server=\"%s\",reason=\"%s\"", exchange->server->options.name,
             code);
    metrics_add("unreel_http_refused_total", labels, 1);
    http_reply_problem(exchange, status, code, detail);
    return send_before_body(exchange);
}

// ---- complete headers ----

struct seen {
    struct http_guard *guard;
    struct http_layout layout;
};

static enum MHD_Result see_field(void *context, enum MHD_ValueKind kind, const char *name,
                                 size_t name_size, const char *value, size_t value_size)
{
    (void)kind;
    struct seen *seen = context;
    if (value == NULL)
        value = "";
    http_guard_field(seen->guard, name, name_size, value, value_size);
#if MHD_VERSION < 0x01000000
    http_layout_field(&seen->layout, name, name_size, value, value_size);
#endif
    return MHD_YES;
}

static bool see_fields(struct http_exchange *exchange, const char *method, const char *version)
{
    struct seen seen = {.guard = &exchange->guard};
    http_guard_init(seen.guard);
#if MHD_VERSION < 0x01000000
    if (exchange->target_in_buffer == NULL)
        return false;
    http_layout_init(&seen.layout, method, exchange->target_in_buffer, strlen(exchange->raw_target),
                     version);
#endif
    MHD_get_connection_values_n(exchange->connection, MHD_HEADER_KIND, see_field, &seen);
#if MHD_VERSION < 0x01000000
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return info != NULL && http_layout_end(&seen.layout, method, info->header_size);
#else
    (void)method;
    (void)version;
    return true;
#endif
}

// "OPTIONS *" asks about the server; CONNECT names another one.
static bool is_without_path(const struct http_exchange *exchange)
{
    return strcmp(exchange->method, "CONNECT") == 0 ||
           (strcmp(exchange->method, "OPTIONS") == 0 && strcmp(exchange->raw_target, "*") == 0);
}

// NULL, or why the request is refused with 400.
static const char *guard(struct http_exchange *exchange, const char *method, const char *version)
{
    bool is_plain = see_fields(exchange, method, version);
    if (!http_guard_request(&exchange->guard, version))
        return exchange->guard.reason;
    if (!is_plain)
        return "the lines of the request are malformed";
    if (strlen(method) >= sizeof exchange->method)
        return "the method is unknown";
    memcpy(exchange->method, method, strlen(method) + 1);
    exchange->has_body = http_guard_has_body(&exchange->guard);
    if (is_without_path(exchange))
        return NULL;
    return http_target_parse(&exchange->target, exchange->raw_target, exchange->guard.host);
}

static enum MHD_Result refuse_route(struct http_exchange *exchange)
{
    bool is_options = strcmp(exchange->method, "OPTIONS") == 0;
    if (is_options && strcmp(exchange->raw_target, "*") == 0) {
        http_reply_empty(exchange, 204);
        return send_before_body(exchange);
    }
    if (exchange->match.allow[0] == '\0')
        return refuse(exchange, 404, "not_found", "There is nothing at this address.");
    http_reply_header(exchange, "Allow", exchange->match.allow);
    if (!is_options)
        return refuse(exchange, 405, "method_not_allowed", "This address has other methods.");
    http_reply_empty(exchange, 204);
    return send_before_body(exchange);
}

static void prepare_body(struct http_exchange *exchange)
{
    const struct http_route *route = exchange->match.route;
    const struct http_limits *limits = &exchange->server->limits;
    // A piece is complete once it reaches piece_bytes; what the last read brought may lie above.
    size_t limit = route->handler.body == NULL ? route->body_limit_bytes
                                               : limits->piece_bytes + limits->connection_bytes;
    buf_init(&exchange->body, limit);
}

static bool is_too_large(const struct http_exchange *exchange, uint64_t bytes)
{
    const struct http_route *route = exchange->match.route;
    return (route->handler.body == NULL || route->body_limit_bytes > 0) &&
           bytes > route->body_limit_bytes;
}

static enum MHD_Result read_body(struct http_exchange *exchange)
{
    exchange->phase = HTTP_EXCHANGE_BODY;
    http_connection_enter(exchange->peer, HTTP_CONNECTION_BODY);
    return MHD_YES;
}

static enum MHD_Result post(struct http_exchange *exchange, enum http_step step)
{
    http_connection_enter(exchange->peer, HTTP_CONNECTION_BUSY);
    return http_steps_post(exchange, step) ? MHD_YES : MHD_NO;
}

static enum MHD_Result start(struct http_exchange *exchange, const char *method,
                             const char *version)
{
    struct http_server *server = exchange->server;
    http_connection_enter(exchange->peer, HTTP_CONNECTION_BUSY);
    exchange->started_ms = clock_monotonic_ms();
    const char *reason = guard(exchange, method, version);
    if (reason != NULL) {
        exchange->is_suspect = true;
        return refuse(exchange, 400, "bad_request", reason);
    }
    if (exchange->peer->is_over_budget) {
        exchange->must_close = true;
        return refuse(exchange, 503, "too_many_connections", busy_text);
    }
    if (strcmp(method, "CONNECT") == 0) {
        exchange->must_close = true;
        return refuse(exchange, 501, "not_implemented", "This is not a proxy.");
    }
    if (!is_without_path(exchange))
        http_router_find(server->options.routes, server->options.routes_count, method,
                         &exchange->target, &exchange->match);
    if (exchange->match.route == NULL || strcmp(method, "TRACE") == 0) {
        exchange->match.route = NULL;
        return refuse_route(exchange);
    }
    if (exchange->guard.content_length > 0 &&
        is_too_large(exchange, (uint64_t)exchange->guard.content_length))
        return refuse(exchange, 413, "too_large", "The request's body is too large.");
    if (http_steps_are_full(server->steps))
        return refuse(exchange, 503, "busy", busy_text);
    prepare_body(exchange);
    if (exchange->has_body && exchange->match.route->handler.begin == NULL)
        return read_body(exchange);
    exchange->phase = HTTP_EXCHANGE_BEGIN;
    return post(exchange, HTTP_STEP_BEGIN);
}

// ---- the body ----

static enum MHD_Result receive(struct http_exchange *exchange, const char *bytes, size_t *size)
{
    size_t received = *size;
    *size = 0;
    if (exchange->phase == HTTP_EXCHANGE_LINGER)
        return MHD_YES;
    if (exchange->phase != HTTP_EXCHANGE_BODY)
        return MHD_NO;
    if (!http_connection_progress(exchange->peer, received))
        return MHD_NO;
    exchange->body_bytes += received;
    if (is_too_large(exchange, exchange->body_bytes) ||
        !buf_append(&exchange->body, bytes, received))
        return refuse(exchange, 413, "too_large", "The request's body is too large.");
    if (exchange->match.route->handler.body != NULL &&
        exchange->body.size >= exchange->server->limits.piece_bytes)
        return post(exchange, HTTP_STEP_BODY);
    return MHD_YES;
}

// No data: the headers, a finished step, or the end of the body.
static enum MHD_Result advance(struct http_exchange *exchange, const char *method,
                               const char *version)
{
    switch (exchange->phase) {
    case HTTP_EXCHANGE_NEW:
        return start(exchange, method, version);
    case HTTP_EXCHANGE_BEGIN:
        if (exchange->answer.is_set)
            return send_before_body(exchange);
        return read_body(exchange);
    case HTTP_EXCHANGE_BODY:
        exchange->phase = HTTP_EXCHANGE_END;
        return post(exchange, HTTP_STEP_END);
    case HTTP_EXCHANGE_END:
        return send_answer(exchange);
    case HTTP_EXCHANGE_ANSWERED:
        return MHD_YES;
    case HTTP_EXCHANGE_LINGER:
        break; // all of the body has come: nothing is left to wait for
    }
    return MHD_NO;
}

enum MHD_Result http_exchange_handle(void *server, struct MHD_Connection *connection,
                                     const char *url, const char *method, const char *version,
                                     const char *bytes, size_t *size, void **context)
{
    (void)server;
    (void)url; // cut off and decoded; raw_target is whole
    struct http_exchange *exchange = *context;
    if (exchange == NULL || exchange->peer == NULL)
        return MHD_NO;
    // In a chunked body libmicrohttpd offers the next chunk although the connection was suspended
    // in the call before, and a second suspend ends in its abort(). What is not taken comes again.
    if (is_suspended(connection))
        return MHD_YES;
    exchange->connection = connection;
    if (*size > 0)
        return receive(exchange, bytes, size);
    if (exchange->phase == HTTP_EXCHANGE_BODY)
        http_connection_progress(exchange->peer, 0);
    return advance(exchange, method, version);
}

// ---- the end ----

static void count(const struct http_exchange *exchange)
{
    if (exchange->started_ms == 0)
        return;
    const char *route = exchange->match.route == NULL ? "" : exchange->match.route->pattern;
    char labels[128];
    char code[16] = "aborted";
    if (exchange->answer.is_set && !exchange->answer.stream.has_failed)
        snprintf(code, sizeof code, "%d", exchange->answer.status);
    snprintf(labels, sizeof labels, "server=\"%s\",route=\"%s\",code=\"%s\"",
             exchange->server->options.name, route, code);
    metrics_add("unreel_http_requests_total", labels, 1);
    snprintf(labels, sizeof labels, "server=\"%s\",route=\"%s\"", exchange->server->options.name,
             route);
    metrics_observe_ms("unreel_http_request_seconds", labels,
                       clock_monotonic_ms() - exchange->started_ms);
}

void http_exchange_completed(void *server, struct MHD_Connection *connection, void **context,
                             enum MHD_RequestTerminationCode code)
{
    (void)server;
    (void)connection;
    (void)code;
    struct http_exchange *exchange = *context;
    if (exchange == NULL)
        return;
    *context = NULL;
    if (exchange->peer != NULL)
        http_connection_enter(exchange->peer, HTTP_CONNECTION_IDLE);
    count(exchange);
    exchange->connection = NULL;
    exchange->peer = NULL;
    // A big piece is not kept while `finish` waits for a worker.
    buf_finish(&exchange->body);
    http_stream_finish(&exchange->answer.stream);
    if (exchange->has_run && exchange->match.route->handler.finish != NULL)
        http_steps_post_finish(exchange);
    else
        http_exchange_destroy(exchange);
}
