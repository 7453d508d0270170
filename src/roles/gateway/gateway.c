// The gateway: the one role that strangers talk to. It checks who asks, streams videos in and MP3s
// out, and shows the state of conversions; it knows no password and no signing key.

#include "base/alloc.h"
#include "base/log.h"
#include "http/http.h"
#include "http/http_client.h"
#include "roles/gateway/gateway_handlers.h"
#include "roles/gateway/gateway_janitor.h"
#include "roles/gateway/gateway_worker.h"
#include "roles/roles.h"

enum { EVENT_THREADS = 2 };

struct gateway {
    struct gateway_worker_application application;
    struct gateway_worker *checks; // handles of the operators' port, whose one thread runs checks
    struct gateway_janitor *janitor;
    struct http_server *server;
    int64_t stop_timeout_ms;
};

static void stop(void *state)
{
    struct gateway *gateway = state;
    if (gateway->server != NULL)
        http_server_stop(gateway->server, gateway->stop_timeout_ms);
    gateway_janitor_stop(gateway->janitor);
    gateway_worker_close(gateway->checks);
    gateway_keys_stop(gateway->application.keys);
    hints_stop(gateway->application.hints);
    free(gateway);
}

static struct http_server *start_server(struct gateway *gateway, const struct config *config,
                                        struct error *err)
{
    const struct http_server_options options = {
        .name = "gateway",
        .listen = config->listen,
        .routes = gateway_routes,
        .routes_count = gateway_routes_count,
        .worker_count = (int)config->http_workers,
        .event_thread_count = EVENT_THREADS,
        .connection_limit = (int)config->http_connections,
        .worker_open = gateway_worker_open,
        .worker_close = gateway_worker_close,
        .application = &gateway->application,
        .trusted_proxies = config->trusted_proxies,
    };
    return http_server_start(&options, err);
}

static bool start(const struct config *config, void **out_state, struct error *err)
{
    struct gateway *gateway = alloc_zeroed(1, sizeof *gateway);
    gateway->stop_timeout_ms = config->stop_timeout_ms;
    gateway->application.config = config;
    if (!http_client_start()) {
        error_set(err, ERROR_INTERNAL, "cannot start the HTTP client");
        goto fail;
    }
    gateway->application.keys = gateway_keys_start(config->auth_url, err);
    if (gateway->application.keys == NULL)
        goto fail;
    gateway->application.hints = hints_start(config->queue, err);
    if (gateway->application.hints == NULL)
        goto fail;
    gateway->checks = gateway_worker_open(&gateway->application, err);
    if (gateway->checks == NULL)
        goto fail;
    gateway->janitor = gateway_janitor_start(config, err);
    if (gateway->janitor == NULL)
        goto fail;
    gateway->server = start_server(gateway, config, err);
    if (gateway->server == NULL)
        goto fail;
    log_info("listening", LOG_TEXT("address", config->listen),
             LOG_INTEGER("port", http_server_port(gateway->server)));
    *out_state = gateway;
    return true;
fail:
    stop(gateway);
    return false;
}

static bool check_jobs(void *context, struct error *err)
{
    struct gateway_worker *worker = context;
    struct jobs *jobs = gateway_worker_jobs(worker, err);
    return jobs != NULL && jobs_ready(jobs, err);
}

static bool check_blobs(void *context, struct error *err)
{
    struct gateway_worker *worker = context;
    struct blobs *blobs = gateway_worker_blobs(worker, err);
    int64_t free_bytes = 0;
    return blobs != NULL && blobs_ready(blobs, &free_bytes, err);
}

static bool check_auth(void *context, struct error *err)
{
    struct gateway_worker *worker = context;
    return gateway_keys_are_known(worker->keys, err);
}

// Not the queue: without it work only starts a few seconds later.
static size_t checks(void *state, struct http_admin_check *out, size_t limit)
{
    struct gateway *gateway = state;
    const struct http_admin_check all[] = {
        {.name = "jobs", .check = check_jobs, .context = gateway->checks},
        {.name = "blobs", .check = check_blobs, .context = gateway->checks},
        {.name = "auth", .check = check_auth, .context = gateway->checks},
    };
    size_t count = 0;
    while (count < limit && count < sizeof all / sizeof all[0]) {
        out[count] = all[count];
        count++;
    }
    return count;
}

const struct role gateway_role = {
    .name = "gateway", .has_server = true, .start = start, .checks = checks, .stop = stop};
