#pragma once
// One blocking HTTP request with a deadline; keeps its connection for the next one. A handle
// belongs to one thread.

#include "base/buf.h"
#include "base/error.h"
#include "base/scope.h"

#include <stdbool.h>
#include <stddef.h>

struct http_client;

// `http://host:port`, `https://…` or `unix:PATH-OF-SOCKET`.
struct http_client *http_client_open(const char *base_url, struct error *err);
void http_client_close(struct http_client *client);
SCOPE_DEFINE(http_client_close, struct http_client *);

bool http_client_start(void); // once in main, before threads

struct http_client_header {
    const char *name;
    const char *value; // NULL: left out; one with CR or LF is refused
};

struct http_client_request {
    const char *method;
    const char *path; // with the query
    const struct http_client_header *headers;
    size_t headers_count;
    const void *body; // NULL for none
    size_t body_size;
    int timeout_ms;
};

struct http_client_reply {
    int status;
    struct buf body; // at most 1 MiB
    char content_type[128];
    char retry_after[32];
    char location[256];
    char www_authenticate[128];
    struct buf set_cookies; // each `Set-Cookie` value followed by '\n'
};

// False with UNAVAILABLE when no answer came. Any status is an answer. `out` is initialised by the
// call; finish it with http_client_reply_finish either way.
bool http_client_send(struct http_client *client, const struct http_client_request *request,
                      struct http_client_reply *out, struct error *err);
void http_client_reply_finish(struct http_client_reply *reply);
