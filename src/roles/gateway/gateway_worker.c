#include "roles/gateway/gateway_worker.h"

#include "base/alloc.h"
#include "http/http_reply.h"

#include <stdio.h>
#include <string.h>

void *gateway_worker_open(void *application, struct error *err)
{
    const struct gateway_worker_application *parts = application;
    struct http_client *auth = http_client_open(parts->config->auth_url, err);
    if (auth == NULL)
        return NULL;
    struct gateway_worker *worker = alloc_zeroed(1, sizeof *worker);
    worker->config = parts->config;
    worker->keys = parts->keys;
    worker->hints = parts->hints;
    worker->auth = auth;
    return worker;
}

void gateway_worker_close(void *opaque)
{
    struct gateway_worker *worker = opaque;
    if (worker == NULL)
        return;
    gateway_keys_copy_finish(&worker->keys_copy);
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

void gateway_hint(struct http_exchange *exchange, const char *topic, const char *id)
{
    struct gateway_worker *worker = http_worker(exchange);
    hints_send(worker->hints, topic, id);
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
