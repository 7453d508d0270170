#pragma once
// Answers. The first one counts; later ones are ignored. Headers are added before the answer.

#include "http/http.h"

#include <jansson.h>

void http_reply_header(struct http_exchange *exchange, const char *name, const char *value);

// Takes over the reference to `body`. Adds Cache-Control: no-store.
void http_reply_json(struct http_exchange *exchange, int status, json_t *body);
void http_reply_text(struct http_exchange *exchange, int status, const char *content_type,
                     const char *text);
void http_reply_bytes(struct http_exchange *exchange, int status, const char *content_type,
                      const void *bytes, size_t size);
void http_reply_empty(struct http_exchange *exchange, int status);

// RFC 9457 application/problem+json: {"type":"about:blank","title","status","code","detail"}. 401
// carries WWW-Authenticate; 429, 503 and 507 carry Retry-After; where one of these headers was
// added before, that one stands.
void http_reply_problem(struct http_exchange *exchange, int status, const char *code,
                        const char *detail);
// The one table from kind to status: INVALID 400, DENIED 401, NOT_FOUND 404, CONFLICT 409,
// TOO_LARGE 413, NO_SPACE 507, UNAVAILABLE 503, INTERNAL 500. The texts of the last two are logged
// and replaced by a general sentence.
void http_reply_error(struct http_exchange *exchange, const struct error *err);

struct http_file {
    int fd; // taken over, closed with the answer; -1: the handler's `fill` brings the bytes
    int64_t size_bytes;
    const char *content_type;
    const char *etag;     // strong, without quotes
    const char *filename; // UTF-8, for Content-Disposition by RFC 6266; NULL for none
    bool is_inline;
    int64_t modified_at_ms; // 0 for none
};
// 200, 206 (one range), 304, 412 or 416 by Range, If-Range, If-None-Match and If-Match (RFC 9110);
// by sendfile, or 64 KiB at a time by `fill`.
void http_reply_file(struct http_exchange *exchange, const struct http_file *file);
