#pragma once
// multipart/form-data (RFC 7578) as a stream of events; pure, no I/O, memory independent of the
// size of the parts.

#include "base/error.h"
#include "base/scope.h"

#include <stdbool.h>
#include <stddef.h>

struct http_multipart;

struct http_multipart_part {
    const char *name;         // the field's
    const char *filename;     // NULL: an ordinary field. `filename*` (RFC 8187) wins where given
    const char *content_type; // "text/plain" if absent
};

// Called in order: part, then its bytes in pieces, then part_end. False stops: the parser's err was
// set by the callee.
struct http_multipart_events {
    bool (*part)(void *context, const struct http_multipart_part *part, struct error *err);
    bool (*bytes)(void *context, const void *bytes, size_t size, struct error *err);
    bool (*part_end)(void *context, struct error *err);
    void *context;
};

// `content_type` is the header's value. INVALID when it is not multipart/form-data with a boundary
// of 1 to 70 legal characters (RFC 2046 §5.1.1).
struct http_multipart *http_multipart_create(const char *content_type,
                                             const struct http_multipart_events *events,
                                             struct error *err);
void http_multipart_destroy(struct http_multipart *multipart);
SCOPE_DEFINE(http_multipart_destroy, struct http_multipart *);

bool http_multipart_feed(struct http_multipart *multipart, const void *bytes, size_t size,
                         struct error *err);
// INVALID when the closing boundary has not come: the body was cut.
bool http_multipart_end(struct http_multipart *multipart, struct error *err);
