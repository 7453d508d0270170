#pragma once
// The HTTP server: libmicrohttpd's event threads in front, worker threads behind. This header and
// http_reply.h are all that roles know of it.
//
// A handler is three blocking steps, each run in a worker thread while the connection is suspended:
//
//     begin   the headers are complete and guarded; answer here to refuse before a body is read
//     body    the next piece of the body, in order, one at a time (256 KiB but for the last)
//     end     the whole body has come; answer here
//
// and a fourth one for answers that come from a store without files:
//
//     fill    the next bytes of the answer, each time that the client has taken the last ones
//
// Every step may answer (http_reply.h); the first answer counts and ends the request. `end` must
// answer or call http_again. A worker owns its handles (database connections, …): a step borrows
// them by http_worker. Between steps an exchange keeps memory and descriptors only. `finish` runs
// once, at the very end, also when the client has gone: it frees what the steps left in http_state.
// Like any step it borrows a worker, perhaps another one; headers and answers are over by then.
//
// Deadlines: headers 10 s; body without progress 30 s, and 8 KiB/s averaged over a minute;
// keep-alive idle 15 s; a step 30 s (a full queue of 256 waiting steps is 503); `fill` 30 s, its
// wait for a worker included; a client that takes nothing of an answer 60 s. Connections past the
// budget get 503 at once.

#include "base/error.h"
#include "base/scope.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct http_exchange;
struct http_limits;

struct http_handler {
    void (*begin)(struct http_exchange *exchange); // NULL: nothing to do
    // NULL: the body is collected, up to body_limit_bytes (more is 413), for http_body in `end`.
    void (*body)(struct http_exchange *exchange, const void *bytes, size_t size);
    void (*end)(struct http_exchange *exchange);
    void (*finish)(struct http_exchange *exchange); // NULL: nothing to free
    // Bytes of the file that http_reply_file was given without a descriptor, from that offset of it
    // on: one at least, `size` at most. -1 with err set cuts the connection, or is answered by
    // http_reply_error while nothing has been sent. NULL: no such answers.
    ssize_t (*fill)(struct http_exchange *exchange, int64_t offset, void *out, size_t size,
                    struct error *err);
};

struct http_route {
    const char *method;  // "GET" answers HEAD too
    const char *pattern; // "/api/v1/conversions/{id}/audio": {…} matches one segment
    struct http_handler handler;
    size_t body_limit_bytes; // 0: no body is allowed where `body` is NULL
};

struct http_server_options {
    const char *name;   // for logs
    const char *listen; // "127.0.0.1:8080", "[::]:80", "unix:/path"
    const struct http_route *routes;
    size_t routes_count;
    int worker_count;
    int event_thread_count;
    int connection_limit;
    // Opens a worker's handles, in its own thread; NULL, with err set, is tried again every second,
    // and until then the steps of that worker wait. `application` is passed through.
    void *(*worker_open)(void *application, struct error *err);
    void (*worker_close)(void *worker);
    void *application;
    // Comma list of addresses or networks (10.0.0.0/8) whose X-Forwarded-* counts; "" for none. A
    // peer on a unix socket is always believed.
    const char *trusted_proxies;
    const struct http_limits *limits; // http_limits.h; NULL for the usual ones
};

struct http_server;

struct http_server *http_server_start(const struct http_server_options *options, struct error *err);
// No new connection; running exchanges get `drain_ms` to end; then everything is closed.
void http_server_stop(struct http_server *server, int64_t drain_ms);
int http_server_port(const struct http_server *server); // as bound; 0 for a unix socket

// ---- what a step may ask ----

void *http_application(struct http_exchange *exchange);
void *http_worker(struct http_exchange *exchange);
void *http_state(struct http_exchange *exchange); // NULL at first
void http_set_state(struct http_exchange *exchange, void *state);

const char *http_method(struct http_exchange *exchange);
const char *http_path(struct http_exchange *exchange);          // as sent, without the query
const char *http_route_pattern(struct http_exchange *exchange); // for metrics
const char *http_parameter(struct http_exchange *exchange, const char *name); // {id}
const char *http_query(struct http_exchange *exchange, const char *name);     // decoded; NULL
const char *http_header(struct http_exchange *exchange, const char *name);    // NULL
const char *http_cookie(struct http_exchange *exchange, const char *name);    // NULL
int64_t http_content_length(struct http_exchange *exchange);                  // -1: chunked
// The collected body (body == NULL in the handler); always NUL-terminated behind `size`.
const char *http_body(struct http_exchange *exchange, size_t *out_size);
const char *http_client_address(struct http_exchange *exchange); // behind trusted proxies
const char *http_scheme(struct http_exchange *exchange);         // "http" or "https", likewise
const char *http_host(struct http_exchange *exchange);           // likewise

// The step's own deadline on the monotonic clock.
int64_t http_step_deadline_ms(struct http_exchange *exchange);
// Runs `end` once more after that long, instead of answering: a wait that holds no worker.
void http_again(struct http_exchange *exchange, int64_t delay_ms);
// The server is draining: a long wait should end now.
bool http_is_stopping(struct http_exchange *exchange);
