// The operators' port: a small server of its own, and one thread that runs the checks.

#include "http/http_admin.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "http/http_reply.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CHECK_INTERVAL_MS = 2000, METRICS_LIMIT = 1 << 20, READY_TEXT_LIMIT = 16 << 10 };

struct check_result {
    bool is_up;
    struct error err;
};

struct http_admin {
    struct http_server *server;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_stopping; // the checks
    bool is_draining;
    int ready_fd; // -1 once told
    size_t count;
    struct http_admin_check *checks;
    struct check_result *results;
};

// ---- checks ----

static bool run_check(struct http_admin *admin, size_t i)
{
    struct check_result result = {0};
    result.is_up = admin->checks[i].check(admin->checks[i].context, &result.err);
    char labels[96];
    snprintf(labels, sizeof labels, "dependency=\"%s\"", admin->checks[i].name);
    metrics_set("unreel_dependency_up", labels, result.is_up ? 1 : 0);
    pthread_mutex_lock(&admin->lock);
    admin->results[i] = result;
    pthread_mutex_unlock(&admin->lock);
    return result.is_up;
}

static void run_checks(struct http_admin *admin)
{
    bool are_all_up = true;
    for (size_t i = 0; i < admin->count; i++)
        are_all_up = run_check(admin, i) && are_all_up;
    if (!are_all_up || admin->ready_fd < 0)
        return;
    ssize_t written;
    do
        written = write(admin->ready_fd, "\n", 1);
    while (written < 0 && errno == EINTR);
    close(admin->ready_fd);
    admin->ready_fd = -1;
}

static void *check_main(void *context)
{
    struct http_admin *admin = context;
    pthread_mutex_lock(&admin->lock);
    while (!admin->is_stopping) {
        int64_t until = clock_monotonic_ms() + CHECK_INTERVAL_MS;
        struct timespec at = {.tv_sec = until / 1000, .tv_nsec = (until % 1000) * 1000000};
        while (!admin->is_stopping && clock_left_ms(until) > 0)
            pthread_cond_timedwait(&admin->changed, &admin->lock, &at);
        if (admin->is_stopping)
            break;
        pthread_mutex_unlock(&admin->lock);
        run_checks(admin);
        pthread_mutex_lock(&admin->lock);
    }
    pthread_mutex_unlock(&admin->lock);
    return NULL;
}

// ---- routes ----

static void answer_livez(struct http_exchange *exchange)
{
    http_reply_text(exchange, 200, "text/plain; charset=utf-8", "ok\n");
}

static void answer_readyz(struct http_exchange *exchange)
{
    struct http_admin *admin = http_application(exchange);
    SCOPED_BUF struct buf text;
    buf_init(&text, READY_TEXT_LIMIT);
    pthread_mutex_lock(&admin->lock);
    if (admin->is_draining)
        buf_append_text(&text, "stopping\n");
    for (size_t i = 0; i < admin->count; i++)
        if (!admin->results[i].is_up)
            buf_printf(&text, "%s: %s\n", admin->checks[i].name, admin->results[i].err.text);
    pthread_mutex_unlock(&admin->lock);
    http_reply_header(exchange, "Cache-Control", "no-store");
    int status = text.size == 0 ? 200 : 503;
    if (status == 200)
        buf_append_text(&text, "ok\n");
    for (size_t i = 0; i < admin->count; i++)
        if (admin->checks[i].remark != NULL)
            buf_printf(&text, "%s\n", admin->checks[i].remark);
    http_reply_text(exchange, status, "text/plain; charset=utf-8", text.bytes);
}

static void answer_metrics(struct http_exchange *exchange)
{
    SCOPED_BUF struct buf text;
    buf_init(&text, METRICS_LIMIT);
    if (!metrics_write(&text)) {
        http_reply_problem(exchange, 500, "internal", "There are too many metrics.");
        return;
    }
    http_reply_text(exchange, 200, "text/plain; version=0.0.4; charset=utf-8", text.bytes);
}

static const struct http_route routes[] = {
    {.method = "GET", .pattern = "/livez", .handler = {.end = answer_livez}},
    {.method = "GET", .pattern = "/readyz", .handler = {.end = answer_readyz}},
    {.method = "GET", .pattern = "/metrics", .handler = {.end = answer_metrics}},
};

// ---- start and stop ----

static void free_admin(struct http_admin *admin)
{
    if (admin->ready_fd >= 0)
        close(admin->ready_fd);
    pthread_cond_destroy(&admin->changed);
    pthread_mutex_destroy(&admin->lock);
    free(admin->checks);
    free(admin->results);
    free(admin);
}

static struct http_admin *create_admin(const struct http_admin_check *checks, size_t count,
                                       int ready_fd)
{
    struct http_admin *admin = alloc_zeroed(1, sizeof *admin);
    pthread_mutex_init(&admin->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&admin->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    admin->ready_fd = ready_fd;
    admin->count = count;
    admin->checks = alloc_zeroed(count + 1, sizeof *checks);
    admin->results = alloc_zeroed(count + 1, sizeof *admin->results);
    if (count > 0)
        memcpy(admin->checks, checks, count * sizeof *checks);
    return admin;
}

struct http_admin *http_admin_start(const char *listen, const struct http_admin_check *checks,
                                    size_t count, int ready_fd, struct error *err)
{
    struct http_admin *admin = create_admin(checks, count, ready_fd);
    admin->server = http_server_start(
        &(struct http_server_options){
            .name = "admin",
            .listen = listen,
            .routes = routes,
            .routes_count = sizeof routes / sizeof routes[0],
            .worker_count = 1,
            .event_thread_count = 1,
            .connection_limit = 64,
            .application = admin,
            .trusted_proxies = "",
        },
        err);
    if (admin->server == NULL) {
        free_admin(admin);
        return NULL;
    }
    run_checks(admin);
    int failure = pthread_create(&admin->thread, NULL, check_main, admin);
    if (failure == 0)
        return admin;
    error_set_errno(err, failure, "start the thread of the operators' port");
    http_server_stop(admin->server, 0);
    free_admin(admin);
    return NULL;
}

// The second call finds nothing to do.
static void end_checks(struct http_admin *admin)
{
    pthread_mutex_lock(&admin->lock);
    bool is_first = !admin->is_stopping;
    admin->is_stopping = true;
    pthread_cond_broadcast(&admin->changed);
    pthread_mutex_unlock(&admin->lock);
    if (is_first)
        pthread_join(admin->thread, NULL);
}

void http_admin_stop(struct http_admin *admin)
{
    if (admin == NULL)
        return;
    end_checks(admin);
    http_server_stop(admin->server, 1000);
    free_admin(admin);
}

void http_admin_draining(struct http_admin *admin)
{
    pthread_mutex_lock(&admin->lock);
    admin->is_draining = true;
    pthread_mutex_unlock(&admin->lock);
    end_checks(admin);
}

int http_admin_port(const struct http_admin *admin)
{
    return http_server_port(admin->server);
}
