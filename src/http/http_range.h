#pragma once
// Which part of a stored file is answered, by its conditions (RFC 9110 §13 and §14). Pure.

#include <stdbool.h>
#include <stdint.h>

struct http_range_request {
    const char *range; // the headers' values, NULL where absent
    const char *if_range;
    const char *if_match;
    const char *if_none_match;
    const char *if_modified_since;
    const char *if_unmodified_since;
};

struct http_range_result {
    int status; // 200, 206, 304, 412 or 416
    int64_t offset;
    int64_t length;
};

// `etag` is strong, without quotes; `modified_s` is in seconds of the calendar, 0 for none.
struct http_range_result http_range_decide(const struct http_range_request *request,
                                           int64_t size_bytes, const char *etag,
                                           int64_t modified_s);
