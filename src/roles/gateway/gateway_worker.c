#include "roles/gateway/gateway_worker.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/http_reply.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { QUEUE_RETRY_MS = 5000, COMPLAIN_EVERY_MS = 60000 };

void *gateway_worker_open(void *application, struct error *err)
{
    const struct gateway_worker_application *parts = application;
    struct http_client *auth = http_client_open(parts->config->auth_url, err);
    if (auth == NULL)
        return NULL;
    struct gateway_worker *worker = alloc_zeroed(1, sizeof *worker);
    worker->config = parts->config;
    worker->keys = parts->keys;
    worker->auth = auth;
    return worker;
}

void gateway_worker_close(void *opaque)
{
    struct gateway_worker *worker = opaque;
    if (worker == NULL)
        return;
    gateway_keys_copy_finish(&worker->keys_copy);
    queue_close(worker->queue);
    blobs_close(worker->blobs);
    jobs_close(worker->jobs);
    http_client_close(worker->auth);
    free(worker);
}

struct jobs *gateway_worker_jobs(struct gateway_worker *worker, struct error *err)
{
    if (worker->jobs != NULL)
        return worker->jobs;
    SCOPED(jobs_close) struct jobs *jobs = jobs_open(worker->config->jobs, err);
    if (jobs == NULL || !jobs_ready(jobs, err)) {
        err->kind = ERROR_UNAVAILABLE; // whatever it is, it is not the user's fault
        return NULL;
    }
    return worker->jobs = TAKE(jobs);
}

struct blobs *gateway_worker_blobs(struct gateway_worker *worker, struct error *err)
{
    if (worker->blobs == NULL)
        worker->blobs = blobs_open(worker->config->blobs, err);
    if (worker->blobs == NULL)
        err->kind = ERROR_UNAVAILABLE;
    return worker->blobs;
}

struct jobs *gateway_jobs(struct http_exchange *exchange)
{
    struct error err = {0};
    struct jobs *jobs = gateway_worker_jobs(http_worker(exchange), &err);
    if (jobs == NULL)
        http_reply_error(exchange, &err);
    return jobs;
}

struct blobs *gateway_blobs(struct http_exchange *exchange)
{
    struct error err = {0};
    struct blobs *blobs = gateway_worker_blobs(http_worker(exchange), &err);
    if (blobs == NULL)
        http_reply_error(exchange, &err);
    return blobs;
}

const struct config *gateway_config(struct http_exchange *exchange)
{
    const struct gateway_worker *worker = http_worker(exchange);
    return worker->config;
}

// All workers together complain once a minute.
static void complain(const struct error *err)
{
    static atomic_llong next_at_ms;
    long long now_ms = clock_monotonic_ms(), next = atomic_load(&next_at_ms);
    if (now_ms < next ||
        !atomic_compare_exchange_strong(&next_at_ms, &next, now_ms + COMPLAIN_EVERY_MS))
        return;
    log_warn("cannot send hints; work starts later without them", LOG_TEXT("reason", err->text));
}

void gateway_hint(struct http_exchange *exchange, const char *topic, const char *id)
{
    struct gateway_worker *worker = http_worker(exchange);
    if (clock_monotonic_ms() < worker->queue_retry_at_ms)
        return;
    struct error err = {0};
    if (worker->queue == NULL)
        worker->queue = queue_open(worker->config->queue, NULL, &err);
    if (worker->queue != NULL && queue_publish(worker->queue, topic, id, &err))
        return;
    complain(&err);
    worker->queue_retry_at_ms = clock_monotonic_ms() + QUEUE_RETRY_MS;
}

void gateway_public_url(struct http_exchange *exchange, char *out, size_t out_size)
{
    const struct config *config = gateway_config(exchange);
    const char *host = http_host(exchange);
    if (config->public_url[0] == '\0' && host != NULL && *host != '\0')
        snprintf(out, out_size, "%s://%s", http_scheme(exchange), host);
    else if (config->public_url[0] == '\0')
        snprintf(out, out_size, "http://%s", config->listen);
    else
        snprintf(out, out_size, "%s", config->public_url);
    size_t size = strlen(out);
    while (size > 0 && out[size - 1] == '/')
        out[--size] = '\0';
}
