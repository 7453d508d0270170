#pragma once
// What one worker thread of the gateway owns. Handles are opened when they are first needed, so
// that the loss of one store at the start takes away only what needs it.

#include "blobs/blobs.h"
#include "config/config.h"
#include "http/http.h"
#include "http/http_client.h"
#include "jobs/jobs.h"
#include "roles/gateway/gateway_keys.h"
#include "roles/hints.h"

struct gateway_worker {
    const struct config *config;
    struct gateway_keys *keys;
    struct gateway_keys_copy keys_copy;
    struct hints *hints; // shared by all workers
    struct http_client *auth;
    struct jobs *jobs;   // by gateway_jobs
    struct blobs *blobs; // by gateway_blobs
};

struct gateway_worker_application { // what the server hands to each worker
    const struct config *config;
    struct gateway_keys *keys;
    struct hints *hints;
};

void *gateway_worker_open(void *application, struct error *err);
void gateway_worker_close(void *worker);

// A worker's handles, opened if need be.
struct jobs *gateway_worker_jobs(struct gateway_worker *worker, struct error *err);
struct blobs *gateway_worker_blobs(struct gateway_worker *worker, struct error *err);

// The present step's handles. NULL when the store does not answer: the request is then answered
// already, with 503.
struct jobs *gateway_jobs(struct http_exchange *exchange);
struct blobs *gateway_blobs(struct http_exchange *exchange);

const struct config *gateway_config(struct http_exchange *exchange);

// Best effort: the row is the truth, and whoever consumes looks at the table by itself.
void gateway_hint(struct http_exchange *exchange, const char *topic, const char *id);

// The service's address as users reach it, without a slash at the end.
void gateway_public_url(struct http_exchange *exchange, char *out, size_t out_size);
