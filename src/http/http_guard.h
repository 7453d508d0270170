#pragma once
// The strict reading of a request that libmicrohttpd 0.9.75 reads leniently: whatever two parsers
// could understand differently is refused (CWE-444). Pure.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HTTP_GUARD_FIELDS_LIMIT = 64, HTTP_SEGMENTS_LIMIT = 16, HTTP_QUERY_LIMIT = 32 };

struct http_guard {
    int fields_count;
    int content_length_count;
    int transfer_encoding_count;
    int host_count;
    int64_t content_length; // -1: none was given
    const char *host;       // borrowed from the field
    const char *reason;     // NULL: nothing wrong so far
};

void http_guard_init(struct http_guard *guard);

// One header field, in order; both texts are followed by a NUL.
void http_guard_field(struct http_guard *guard, const char *name, size_t name_size,
                      const char *value, size_t value_size);

// After the last field. False with guard->reason set: answer 400 and close.
bool http_guard_request(struct http_guard *guard, const char *version);

static inline bool http_guard_has_body(const struct http_guard *guard)
{
    return guard->transfer_encoding_count > 0 || guard->content_length > 0;
}

// A request target, cut and decoded. Segments and query texts live as long as the target.
struct http_target {
    char *path;  // as sent, without the query
    char *bytes; // what the pointers below point into
    size_t segments_count;
    const char *segments[HTTP_SEGMENTS_LIMIT];
    size_t query_count;
    struct {
        const char *name;
        const char *value;
    } query[HTTP_QUERY_LIMIT];
};

// NULL, or why the target is refused: bad percent-encoding, an encoded NUL, control or '/', '.' and
// '..' as segments, text that is not UTF-8, too many parts. Absolute form needs `host` as
// authority.
const char *http_target_parse(struct http_target *target, const char *raw, const char *host);
void http_target_finish(struct http_target *target);
