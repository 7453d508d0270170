// The daemon itself: listening, the budget of connections, the clock that closes slow ones, and the
// order in which everything ends.

#include "http/http_server.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CLOCK_TICK_MS = 200,
    OVER_BUDGET = 256, // connections past the budget that are still told so
    OVER_BUDGET_HEADER_MS = 2000,
    UNSENT_BYTES = 256 << 10,
    EVENT_STACK_BYTES = 512 << 10,
};

const struct http_limits http_limits_default = {
    .header_ms = 10000,
    .idle_ms = 15000,
    .body_stall_ms = 30000,
    .body_window_ms = 60000,
    .body_bytes_a_second = 8192,
    .download_stall_ms = 60000,
    .queue_wait_ms = 30000,
    .queue_wait_closed_ms = 2000,
    .step_ms = 30000,
    .fill_ms = 30000,
    .linger_ms = 2000,
    .worker_retry_ms = 1000,
    .queue_length = 256,
    .piece_bytes = 256 << 10,
    .fill_bytes = 64 << 10,
    .connection_bytes = 16 << 10,
};

// ---- deadlines of a connection ----

// With the lock held.
static void enter(struct http_connection *peer, enum http_connection_phase phase)
{
    const struct http_limits *limits = &peer->server->limits;
    int64_t now_ms = clock_monotonic_ms();
    peer->phase = phase;
    peer->deadline_ms = now_ms;
    switch (phase) {
    case HTTP_CONNECTION_IDLE:
        peer->deadline_ms += limits->idle_ms;
        break;
    case HTTP_CONNECTION_HEADERS:
        peer->deadline_ms += peer->is_over_budget ? OVER_BUDGET_HEADER_MS : limits->header_ms;
        break;
    case HTTP_CONNECTION_BODY:
        peer->progress_ms = now_ms;
        peer->window_start_ms = now_ms;
        peer->window_bytes = 0;
        break;
    case HTTP_CONNECTION_BUSY:
        // The time of our own step must not count against the client's rate.
        peer->progress_ms = now_ms;
        break;
    case HTTP_CONNECTION_FILL:
        peer->deadline_ms += limits->fill_ms;
        break;
    case HTTP_CONNECTION_LINGER:
        peer->deadline_ms += limits->linger_ms;
        break;
    }
}

void http_connection_enter(struct http_connection *peer, enum http_connection_phase phase)
{
    pthread_mutex_lock(&peer->server->connections_lock);
    enter(peer, phase);
    pthread_mutex_unlock(&peer->server->connections_lock);
}

bool http_connection_progress(struct http_connection *peer, size_t bytes)
{
    int64_t now_ms = clock_monotonic_ms();
    pthread_mutex_lock(&peer->server->connections_lock);
    if (peer->phase == HTTP_CONNECTION_BUSY) {
        peer->window_start_ms += now_ms - peer->progress_ms;
        peer->phase = HTTP_CONNECTION_BODY;
    }
    peer->progress_ms = now_ms;
    peer->window_bytes += (int64_t)bytes;
    bool is_open = !peer->is_reaped;
    pthread_mutex_unlock(&peer->server->connections_lock);
    return is_open;
}

static bool is_body_late(struct http_connection *peer, int64_t now_ms)
{
    const struct http_limits *limits = &peer->server->limits;
    if (now_ms - peer->progress_ms > limits->body_stall_ms)
        return true;
    int64_t window_ms = now_ms - peer->window_start_ms;
    if (window_ms < limits->body_window_ms)
        return false;
    if (peer->window_bytes < limits->body_bytes_a_second * window_ms / 1000)
        return true;
    peer->window_start_ms = now_ms;
    peer->window_bytes = 0;
    return false;
}

// With the lock held, which keeps the descriptor open.
static void reap(struct http_connection *peer)
{
    peer->is_reaped = true;
    shutdown(peer->fd, SHUT_RDWR);
}

static void look_after(struct http_connection *peer, int64_t now_ms)
{
    if (peer->is_reaped || peer->phase == HTTP_CONNECTION_BUSY)
        return;
    if (peer->phase != HTTP_CONNECTION_BODY) {
        if (now_ms > peer->deadline_ms)
            reap(peer);
        return;
    }
    if (!is_body_late(peer, now_ms))
        return;
    http_early_problem(peer->fd, 408, "timeout", "The body came too slowly.");
    reap(peer);
}

static void *clock_main(void *context)
{
    struct http_server *server = context;
    pthread_mutex_lock(&server->connections_lock);
    while (!server->is_clock_stopped) {
        int64_t now_ms = clock_monotonic_ms();
        bool is_stopping = __atomic_load_n(&server->is_stopping, __ATOMIC_RELAXED);
        for (struct http_connection *peer = server->connections; peer != NULL; peer = peer->next) {
            if (is_stopping && peer->phase == HTTP_CONNECTION_IDLE && !peer->is_reaped)
                reap(peer);
            look_after(peer, now_ms);
        }
        int64_t until = now_ms + CLOCK_TICK_MS;
        struct timespec at = {.tv_sec = until / 1000, .tv_nsec = (until % 1000) * 1000000};
        while (!server->is_clock_stopped && clock_left_ms(until) > 0)
            pthread_cond_timedwait(&server->connections_changed, &server->connections_lock, &at);
    }
    pthread_mutex_unlock(&server->connections_lock);
    return NULL;
}

// ---- connections come and go ----

static void describe_peer(struct http_connection *peer, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info == NULL ? NULL : info->client_addr;
    int family = peer->server->unix_path != NULL ? AF_UNIX
                 : address == NULL               ? AF_UNSPEC
                                                 : address->sa_family;
    peer->is_unix = family == AF_UNIX;
    if (family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr,
                  peer->address, sizeof peer->address);
    else if (family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr,
                  peer->address, sizeof peer->address);
    else
        snprintf(peer->address, sizeof peer->address, "unix");
    // Without this the kernel takes megabytes at once, and a slow reader looks stalled for minutes.
    int unsent = UNSENT_BYTES;
    if (!peer->is_unix)
        setsockopt(peer->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
}

static void count_connections(struct http_server *server)
{
    char labels[64];
    snprintf(labels, sizeof labels, "server=\"%s\"", server->options.name);
    metrics_set("unreel_http_connections", labels, server->connections_count);
}

static void connection_started(struct http_server *server, struct MHD_Connection *connection,
                               void **context)
{
    struct http_connection *peer = alloc_zeroed(1, sizeof *peer);
    peer->server = server;
    peer->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    describe_peer(peer, connection);
    *context = peer;
    pthread_mutex_lock(&server->connections_lock);
    peer->next = server->connections;
    if (peer->next != NULL)
        peer->next->previous = peer;
    server->connections = peer;
    int above = ++server->connections_count - server->options.connection_limit;
    peer->is_over_budget = above > 0;
    enter(peer, HTTP_CONNECTION_HEADERS); // before the clock thread can see it
    if (above > OVER_BUDGET) {
        http_early_problem(peer->fd, 503, "too_many_connections",
                           "The server is busy. Please try again.");
        reap(peer);
    }
    count_connections(server);
    pthread_mutex_unlock(&server->connections_lock);
}

static void connection_closed(struct http_server *server, void **context)
{
    struct http_connection *peer = *context;
    if (peer == NULL)
        return;
    *context = NULL;
    pthread_mutex_lock(&server->connections_lock);
    if (peer->previous != NULL)
        peer->previous->next = peer->next;
    else
        server->connections = peer->next;
    if (peer->next != NULL)
        peer->next->previous = peer->previous;
    server->connections_count--;
    count_connections(server);
    pthread_cond_broadcast(&server->connections_changed);
    pthread_mutex_unlock(&server->connections_lock);
    free(peer);
}

static void connection_notify(void *context, struct MHD_Connection *connection,
                              void **socket_context, enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        connection_started(context, connection, socket_context);
    else
        connection_closed(context, socket_context);
}

// ---- start ----

static void log_line(void *context, const char *format, va_list arguments)
{
    (void)context;
    char text[240];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    vsnprintf(text, sizeof text, format, arguments);
#pragma GCC diagnostic pop
    text[strcspn(text, "\n")] = '\0';
    log_debug("libmicrohttpd", LOG_TEXT("text", text));
}

// Targets are decoded by http_guard.c, which still knows an encoded '/' from a real one.
static size_t keep_encoded(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

static bool start_daemon(struct http_server *server, struct error *err)
{
    const struct http_limits *limits = &server->limits;
    unsigned threads = (unsigned)server->options.event_thread_count;
    // Ours is the limit that counts. The library's is divided among its threads, and reaching it
    // would leave clients in the backlog without an answer.
    unsigned connections =
        ((unsigned)server->options.connection_limit + 2 * OVER_BUDGET) * (threads + 1);
    struct MHD_OptionItem pool[] = {
        {threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (intptr_t)threads, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_INTERNAL_POLLING_THREAD | MHD_ALLOW_SUSPEND_RESUME |
            MHD_USE_ERROR_LOG,
        0, NULL, NULL, http_exchange_handle, server, MHD_OPTION_EXTERNAL_LOGGER, log_line, NULL,
        MHD_OPTION_LISTEN_SOCKET, server->listen_fd, MHD_OPTION_URI_LOG_CALLBACK,
        http_exchange_create, server, MHD_OPTION_UNESCAPE_CALLBACK, keep_encoded, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, http_exchange_completed, server, MHD_OPTION_NOTIFY_CONNECTION,
        connection_notify, server, MHD_OPTION_CONNECTION_LIMIT, connections,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)((limits->download_stall_ms + 999) / 1000),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, limits->connection_bytes, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)EVENT_STACK_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY, pool,
        MHD_OPTION_END);
    return server->daemon != NULL ||
           error_set(err, ERROR_UNAVAILABLE, "the HTTP server on %s does not start",
                     server->options.listen);
}

static void free_server(struct http_server *server)
{
    if (server->listen_fd >= 0)
        close(server->listen_fd);
    if (server->unix_path != NULL && server->listen_fd >= 0)
        unlink(server->unix_path);
    pthread_cond_destroy(&server->connections_changed);
    pthread_mutex_destroy(&server->connections_lock);
    free(server->unix_path);
    free(server->networks);
    free(server);
}

static void stop_clock(struct http_server *server)
{
    pthread_mutex_lock(&server->connections_lock);
    server->is_clock_stopped = true;
    pthread_cond_broadcast(&server->connections_changed);
    pthread_mutex_unlock(&server->connections_lock);
    pthread_join(server->clock_thread, NULL);
}

static bool start_threads(struct http_server *server, struct error *err)
{
    server->steps = http_steps_start(server, err);
    if (server->steps == NULL)
        return false;
    int failure = pthread_create(&server->clock_thread, NULL, clock_main, server);
    if (failure != 0) {
        http_steps_stop(server->steps);
        return error_set_errno(err, failure, "start a thread of %s", server->options.name);
    }
    if (start_daemon(server, err))
        return true;
    stop_clock(server);
    http_steps_stop(server->steps);
    return false;
}

struct http_server *http_server_start(const struct http_server_options *options, struct error *err)
{
    assert(options->event_thread_count > 0 && options->connection_limit > 0);
    struct http_server *server = alloc_zeroed(1, sizeof *server);
    server->options = *options;
    server->limits = options->limits == NULL ? http_limits_default : *options->limits;
    server->listen_fd = -1;
    pthread_mutex_init(&server->connections_lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&server->connections_changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (!http_address_parse_networks(options->trusted_proxies, &server->networks,
                                     &server->networks_count, err))
        goto fail;
    server->listen_fd = http_address_listen(options->listen, &server->port, err);
    if (server->listen_fd < 0)
        goto fail;
    if (text_starts_with(options->listen, "unix:"))
        server->unix_path = alloc_text(options->listen + strlen("unix:"));
    if (start_threads(server, err))
        return server;
fail:
    free_server(server);
    return NULL;
}

// ---- stop ----

static void wait_for_connections(struct http_server *server, int64_t ms)
{
    int64_t until = clock_monotonic_ms() + ms;
    struct timespec at = {.tv_sec = until / 1000, .tv_nsec = (until % 1000) * 1000000};
    pthread_mutex_lock(&server->connections_lock);
    while (server->connections_count > 0 && clock_left_ms(until) > 0)
        pthread_cond_timedwait(&server->connections_changed, &server->connections_lock, &at);
    pthread_mutex_unlock(&server->connections_lock);
}

void http_server_stop(struct http_server *server, int64_t drain_ms)
{
    if (server == NULL)
        return;
    __atomic_store_n(&server->is_stopping, true, __ATOMIC_RELAXED);
    MHD_quiesce_daemon(server->daemon);
    shutdown(server->listen_fd, SHUT_RDWR); // refuses new clients; the number stays ours
    http_steps_run_parked(server->steps);
    wait_for_connections(server, drain_ms);
    http_steps_close(server->steps);
    // Their 503 may still leave; nothing is suspended now, as MHD_stop_daemon demands.
    wait_for_connections(server, CLOCK_TICK_MS);
    MHD_stop_daemon(server->daemon);
    http_steps_stop(server->steps);
    stop_clock(server);
    free_server(server);
}

int http_server_port(const struct http_server *server)
{
    return server->port;
}
