// Accounts and sessions belong to the auth role: these requests are handed on to it and its answers
// are handed back. The gateway never sees what is in them.

#include "base/text.h"
#include "http/http_client.h"
#include "http/http_reply.h"
#include "roles/gateway/gateway_handlers.h"
#include "roles/gateway/gateway_session.h"
#include "roles/gateway/gateway_worker.h"

#include <string.h>

// Hashing a password takes its time, and waits for others' hashes.
enum { AUTH_TIMEOUT_MS = 15000 };

static void copy_cookies(struct http_exchange *exchange, struct buf *cookies)
{
    char *line = cookies->bytes, *end;
    while ((end = strchr(line, '\n')) != NULL) {
        *end = '\0';
        http_reply_header(exchange, "Set-Cookie", line);
        line = end + 1;
    }
}

static void copy_header(struct http_exchange *exchange, const char *name, const char *value)
{
    if (value[0] != '\0')
        http_reply_header(exchange, name, value);
}

static void copy_reply(struct http_exchange *exchange, struct http_client_reply *reply)
{
    copy_cookies(exchange, &reply->set_cookies);
    copy_header(exchange, "Retry-After", reply->retry_after);
    copy_header(exchange, "Location", reply->location);
    copy_header(exchange, "WWW-Authenticate", reply->www_authenticate);
    http_reply_header(exchange, "Cache-Control", "no-store");
    if (reply->body.size == 0)
        http_reply_empty(exchange, reply->status);
    else
        http_reply_bytes(exchange, reply->status, reply->content_type, reply->body.bytes,
                         reply->body.size);
}

void gateway_auth_pass(struct http_exchange *exchange)
{
    struct gateway_worker *worker = http_worker(exchange);
    struct error err = {0};
    size_t body_size = 0;
    const char *body = http_body(exchange, &body_size);
    if (!gateway_check_origin(exchange))
        return;
    const struct http_client_header headers[] = {
        {"Authorization", http_header(exchange, "Authorization")},
        {"Content-Type", http_header(exchange, "Content-Type")},
        {"Cookie", http_header(exchange, "Cookie")},
        {"User-Agent", http_header(exchange, "User-Agent")},
        {"X-Forwarded-For", http_client_address(exchange)},
        {"X-Forwarded-Proto", http_scheme(exchange)},
        {"X-Forwarded-Host", http_host(exchange)},
    };
    const struct http_client_request request = {
        .method = http_method(exchange),
        .path = http_path(exchange),
        .headers = headers,
        .headers_count = sizeof headers / sizeof headers[0],
        .body = body_size == 0 ? NULL : body,
        .body_size = body_size,
        .timeout_ms = AUTH_TIMEOUT_MS,
    };
    struct http_client_reply reply;
    if (http_client_send(worker->auth, &request, &reply, &err)) {
        copy_reply(exchange, &reply);
    } else {
        http_reply_header(exchange, "Retry-After", "2");
        http_reply_problem(exchange, 503, "auth_unavailable",
                           "Accounts cannot be reached right now. Try again in a moment.");
    }
    http_client_reply_finish(&reply);
}
