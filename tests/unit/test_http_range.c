#include "http/http_range.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { SIZE = 1000, MODIFIED_S = 784111777 }; // Sun, 06 Nov 1994 08:49:37 GMT

#define THEN "Sun, 06 Nov 1994 08:49:37 GMT"
#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"

static void decide(struct http_range_request request, int64_t size, int status, int64_t offset,
                   int64_t length)
{
    struct http_range_result result = http_range_decide(&request, size, "tag", MODIFIED_S);
    if (result.status != status || (status < 300 && result.offset != offset) ||
        (status < 300 && result.length != length))
        fail_msg("%s: %d %" PRId64 "+%" PRId64, request.range == NULL ? "-" : request.range,
                 result.status, result.offset, result.length);
}

static void range(const char *text, int status, int64_t offset, int64_t length)
{
    decide((struct http_range_request){.range = text}, SIZE, status, offset, length);
}

static void one_range_is_answered_in_part(void **state)
{
    (void)state;
    range("bytes=0-0", 206, 0, 1);
    range("bytes=0-", 206, 0, SIZE);
    range("bytes=10-19", 206, 10, 10);
    range("bytes=990-5000", 206, 990, 10);
    range("bytes=999-99999999999999999999999999", 206, 999, 1);
    range("bytes=-1", 206, 999, 1);
    range("bytes=-5000", 206, 0, SIZE);
    range("BYTES= 5-6 ", 206, 5, 2);
}

static void what_lies_behind_the_end_is_416(void **state)
{
    (void)state;
    range("bytes=1000-", 416, 0, 0);
    range("bytes=1000-1001", 416, 0, 0);
    range("bytes=99999999999999999999999999-", 416, 0, 0);
    range("bytes=-0", 416, 0, 0);
    decide((struct http_range_request){.range = "bytes=0-"}, 0, 416, 0, 0);
    decide((struct http_range_request){.range = "bytes=-1"}, 0, 416, 0, 0);
}

static void other_ranges_are_ignored(void **state)
{
    (void)state;
    static const char *const ignored[] = {
        "bytes=",     "bytes=-",   "bytes=5-4",  "bytes=a-b", "lines=0-1", "bytes=0-1,3-4",
        "bytes=0-1x", "bytes=--1", "bytes=+1-2", "",          "bytes 0-1"};
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        range(ignored[i], 200, 0, SIZE);
    decide((struct http_range_request){0}, SIZE, 200, 0, SIZE);
}

static void if_range_needs_the_same_strong_tag_or_date(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        int status;
    } cases[] = {{"\"tag\"", 206}, {"\"other\"", 200}, {"W/\"tag\"", 200},     {THEN, 206},
                 {BEFORE, 200},    {"tag", 200},       {"\"tag\", \"x\"", 200}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        decide((struct http_range_request){.range = "bytes=0-9", .if_range = cases[i].value}, SIZE,
               cases[i].status, 0, cases[i].status == 206 ? 10 : SIZE);
}

static void conditions_follow_their_order(void **state)
{
    (void)state;
    decide((struct http_range_request){.if_none_match = "\"tag\""}, SIZE, 304, 0, 0);
    decide((struct http_range_request){.if_none_match = "W/\"tag\""}, SIZE, 304, 0, 0);
    decide((struct http_range_request){.if_none_match = "\"a,\", \"tag\""}, SIZE, 304, 0, 0);
    decide((struct http_range_request){.if_none_match = "*"}, SIZE, 304, 0, 0);
    decide((struct http_range_request){.if_none_match = "\"no\"", .if_modified_since = THEN}, SIZE,
           200, 0, SIZE);
    decide((struct http_range_request){.if_modified_since = THEN}, SIZE, 304, 0, 0);
    decide((struct http_range_request){.if_modified_since = BEFORE}, SIZE, 200, 0, SIZE);
    decide((struct http_range_request){.if_modified_since = "yesterday"}, SIZE, 200, 0, SIZE);
    decide((struct http_range_request){.if_match = "\"tag\"", .range = "bytes=0-0"}, SIZE, 206, 0,
           1);
    decide((struct http_range_request){.if_match = "W/\"tag\""}, SIZE, 412, 0, 0);
    decide((struct http_range_request){.if_match = "\"no\"", .if_none_match = "\"tag\""}, SIZE, 412,
           0, 0);
    decide((struct http_range_request){.if_unmodified_since = BEFORE}, SIZE, 412, 0, 0);
    decide((struct http_range_request){.if_unmodified_since = THEN}, SIZE, 200, 0, SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_range_is_answered_in_part),
        cmocka_unit_test(what_lies_behind_the_end_is_416),
        cmocka_unit_test(other_ranges_are_ignored),
        cmocka_unit_test(if_range_needs_the_same_strong_tag_or_date),
        cmocka_unit_test(conditions_follow_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
