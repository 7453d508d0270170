#pragma once
// Inside of the server: the connection, the exchange and the server itself. Only the server's own
// files include this.
//
// Threads: libmicrohttpd's event threads call the functions of http_exchange.c; workers and the
// clock thread live in http_steps.c; another clock thread, in http_server.c, looks after
// connections. An exchange belongs to its event thread, except from the moment a step is posted
// (the connection is suspended then) until it is resumed.

#include "base/buf.h"
#include "http/http.h"
#include "http/http_address.h"
#include "http/http_guard.h"
#include "http/http_limits.h"
#include "http/http_router.h"

#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>

enum { HTTP_REPLY_HEADERS_LIMIT = 24 };

enum http_connection_phase {
    HTTP_CONNECTION_IDLE,    // between two requests: closed at the deadline
    HTTP_CONNECTION_HEADERS, // closed at the deadline
    HTTP_CONNECTION_BODY,    // 408 when the body comes too slowly
    HTTP_CONNECTION_BUSY,    // a step runs or the answer goes out: no deadline here
    HTTP_CONNECTION_FILL,    // waits for more of its answer: closed at the deadline
    HTTP_CONNECTION_LINGER,  // refused early, reading on: closed at the deadline
};

struct http_connection {
    struct http_server *server;
    struct http_connection *previous, *next; // in server->connections
    int fd;
    bool is_unix;
    bool is_over_budget;
    char address[INET6_ADDRSTRLEN];
    // Guarded by server->connections_lock.
    enum http_connection_phase phase;
    bool is_reaped; // the clock thread has shut it down
    int64_t deadline_ms;
    int64_t progress_ms;
    int64_t window_start_ms;
    int64_t window_bytes;
};

// An answer that `fill` brings: a worker fills the piece, the event thread drains it.
struct http_stream {
    int64_t offset; // what `fill` is asked for next
    int64_t left;   // bytes that `fill` still has to bring
    char *piece;
    size_t size, sent; // of the piece
    bool has_failed;   // the connection has to be cut
};

struct http_answer {
    bool is_set;
    int status;
    char *bytes; // owned
    size_t size;
    int fd; // -1, or a file that is sent in place of `bytes`
    int64_t offset;
    int64_t length;
    bool is_streamed; // its bytes come by `fill`, in place of `bytes`
    struct http_stream stream;
    size_t headers_count;
    struct {
        char *name;
        char *value;
    } headers[HTTP_REPLY_HEADERS_LIMIT];
};

enum http_step {
    HTTP_STEP_BEGIN,
    HTTP_STEP_BODY,
    HTTP_STEP_END,
    HTTP_STEP_AGAIN,
    HTTP_STEP_FILL,
    HTTP_STEP_FINISH
};

enum http_exchange_phase {
    HTTP_EXCHANGE_NEW,   // the handler has not been called with complete headers
    HTTP_EXCHANGE_BEGIN, // `begin` is posted
    HTTP_EXCHANGE_BODY,  // reading the body; a body step may be posted
    HTTP_EXCHANGE_END,   // `end` is posted
    HTTP_EXCHANGE_ANSWERED,
    HTTP_EXCHANGE_LINGER, // answered early; what still comes is thrown away
};

struct http_exchange {
    struct http_server *server;
    struct http_connection *peer;
    struct MHD_Connection *connection; // NULL once the request is over
    enum http_exchange_phase phase;
    bool has_body;
    bool is_suspect; // refused by the guard: where it ends is not known
    bool must_close;
    bool has_run; // a step has run: `finish` is due
    char *raw_target;
    const char *target_in_buffer; // the library's; only its place is of interest
    char method[16];
    struct http_guard guard;
    struct http_target target;
    struct http_match match;
    void *state;
    struct buf body;     // collected, or the next piece
    uint64_t body_bytes; // received so far
    int64_t started_ms;  // headers complete
    struct http_answer answer;
    char *client_address;

    // Of the step that is posted.
    enum http_step step;
    struct http_exchange *next;
    int64_t queued_ms;
    int64_t due_ms;   // parked: when `end` runs again
    int64_t again_ms; // what `end` asked for; -1: nothing
    int64_t deadline_ms;
    void *worker;
};

struct http_steps; // http_steps.c

struct http_server {
    struct http_server_options options;
    struct http_limits limits;
    struct MHD_Daemon *daemon;
    int listen_fd;
    int port;
    char *unix_path; // NULL for TCP
    struct http_network *networks;
    size_t networks_count;
    struct http_steps *steps;
    pthread_t clock_thread;
    pthread_mutex_t connections_lock;
    pthread_cond_t connections_changed;
    struct http_connection *connections;
    int connections_count;
    bool is_clock_stopped;
    bool is_stopping; // read with __atomic_load_n
};

// ---- http_exchange.c: what libmicrohttpd calls ----
void *http_exchange_create(void *server, const char *raw_target, struct MHD_Connection *connection);
enum MHD_Result http_exchange_handle(void *server, struct MHD_Connection *connection,
                                     const char *url, const char *method, const char *version,
                                     const char *bytes, size_t *size, void **context);
void http_exchange_completed(void *server, struct MHD_Connection *connection, void **context,
                             enum MHD_RequestTerminationCode code);
void http_exchange_destroy(struct http_exchange *exchange);

// ---- http_early.c: answers that libmicrohttpd cannot send, because the body still comes ----
// Writes the answer to the socket, ends the sending side, and lets the rest of the body come for
// a while, so that a reset does not destroy the answer on its way.
void http_early_answer(struct http_exchange *exchange);
void http_early_problem(int fd, int status, const char *code, const char *detail);

// ---- http_stream.c: answers whose bytes `fill` brings ----
// In a step that may answer, before the answer is set: reads the first piece (none for HEAD), so
// that a store that fails at once still gets its own status. The answer is streamed from then on.
bool http_stream_start(struct http_exchange *exchange, int64_t offset, int64_t length,
                       struct error *err);
void http_stream_fill(struct http_exchange *exchange); // HTTP_STEP_FILL
struct MHD_Response *http_stream_response(struct http_exchange *exchange);
void http_stream_finish(struct http_stream *stream);

// ---- http_server.c: deadlines of a connection ----
void http_connection_enter(struct http_connection *peer, enum http_connection_phase phase);
// False when the clock thread has closed it.
bool http_connection_progress(struct http_connection *peer, size_t bytes);

// ---- http_steps.c ----
struct http_steps *http_steps_start(struct http_server *server, struct error *err);
bool http_steps_are_full(struct http_steps *steps);
// Suspends the connection and queues the step. False when the server closes: drop the connection.
bool http_steps_post(struct http_exchange *exchange, enum http_step step);
void http_steps_post_finish(struct http_exchange *exchange);
void http_steps_run_parked(struct http_steps *steps);
// Answers 503 to all that wait, then returns when nothing is suspended any more.
void http_steps_close(struct http_steps *steps);
void http_steps_stop(struct http_steps *steps); // after the last http_steps_post_finish

// ---- http_problem.c ----
// The JSON text of a problem; the caller frees it.
char *http_problem_text(int status, const char *code, const char *detail);
bool http_problem_has_retry_after(int status);

// ---- http_reply.c ----
// Adds the header unless the handler has given its own.
void http_reply_default_header(struct http_exchange *exchange, const char *name, const char *value);
