#include "http/http_range.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <time.h>

// One entity tag at `text`; returns what follows it, NULL if it is malformed.
static const char *read_tag(const char *text, const char **out, size_t *out_size, bool *out_weak)
{
    *out_weak = strncmp(text, "W/", 2) == 0;
    if (*out_weak)
        text += 2;
    if (*text != '"')
        return NULL;
    const char *end = strchr(text + 1, '"');
    if (end == NULL)
        return NULL;
    *out = text + 1;
    *out_size = (size_t)(end - text - 1);
    return end + 1;
}

static bool is_tag(const char *tag, size_t size, const char *etag)
{
    return etag != NULL && strlen(etag) == size && memcmp(tag, etag, size) == 0;
}

// If-Match compares strongly, If-None-Match weakly (§13.1.1, §13.1.2).
static bool list_matches(const char *list, const char *etag, bool is_strong)
{
    list += strspn(list, " \t");
    if (strcmp(list, "*") == 0)
        return true;
    while (*list != '\0') {
        const char *tag;
        size_t size;
        bool is_weak;
        list = read_tag(list, &tag, &size, &is_weak);
        if (list == NULL)
            return false;
        if (is_tag(tag, size, etag) && !(is_strong && is_weak))
            return true;
        list += strspn(list, " \t,");
    }
    return false;
}

// Only the form that everybody sends (§5.6.7); -1 for any other.
static int64_t parse_date(const char *text)
{
    struct tm parts = {0};
    const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    return end == NULL || *end != '\0' ? -1 : (int64_t)timegm(&parts);
}

static bool if_range_holds(const char *value, const char *etag, int64_t modified_s)
{
    const char *tag;
    size_t size;
    bool is_weak;
    if (value == NULL)
        return true;
    if (value[0] != '"' && strncmp(value, "W/", 2) != 0)
        return modified_s > 0 && parse_date(value) == modified_s;
    const char *end = read_tag(value, &tag, &size, &is_weak);
    return end != NULL && *end == '\0' && !is_weak && is_tag(tag, size, etag);
}

// Digits only; INT64_MAX for what is larger. NULL if there is no digit.
static const char *read_number(const char *text, int64_t *out)
{
    const char *start = text;
    *out = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        *out = *out > (INT64_MAX - 9) / 10 ? INT64_MAX : *out * 10 + (*text - '0');
    return text == start ? NULL : text;
}

// A malformed or unknown range, and more than one, are ignored: the whole file is a right answer
// to all of them (§14.2).
static struct http_range_result decide_range(const char *range, int64_t size_bytes)
{
    const struct http_range_result whole = {200, 0, size_bytes};
    const struct http_range_result outside = {416, 0, 0};
    int64_t first, last;
    if (strncasecmp(range, "bytes=", 6) != 0)
        return whole;
    const char *text = range + 6 + strspn(range + 6, " \t");
    if (*text == '-') {
        text = read_number(text + 1, &last);
        if (text == NULL || text[strspn(text, " \t")] != '\0')
            return whole;
        if (last == 0 || size_bytes == 0)
            return outside;
        int64_t length = last < size_bytes ? last : size_bytes;
        return (struct http_range_result){206, size_bytes - length, length};
    }
    text = read_number(text, &first);
    if (text == NULL || *text != '-')
        return whole;
    const char *after = read_number(text + 1, &last);
    if (after == NULL) {
        after = text + 1;
        last = INT64_MAX;
    }
    if (after[strspn(after, " \t")] != '\0' || last < first)
        return whole;
    if (first >= size_bytes)
        return outside;
    if (last >= size_bytes)
        last = size_bytes - 1;
    return (struct http_range_result){206, first, last - first + 1};
}

struct http_range_result http_range_decide(const struct http_range_request *request,
                                           int64_t size_bytes, const char *etag, int64_t modified_s)
{
    const struct http_range_result failed = {412, 0, 0};
    const struct http_range_result unchanged = {304, 0, 0};
    if (request->if_match != NULL) {
        if (!list_matches(request->if_match, etag, true))
            return failed;
    } else if (request->if_unmodified_since != NULL && modified_s > 0) {
        int64_t since = parse_date(request->if_unmodified_since);
        if (since >= 0 && modified_s > since)
            return failed;
    }
    if (request->if_none_match != NULL) {
        if (list_matches(request->if_none_match, etag, false))
            return unchanged;
    } else if (request->if_modified_since != NULL && modified_s > 0) {
        int64_t since = parse_date(request->if_modified_since);
        if (since >= 0 && modified_s <= since)
            return unchanged;
    }
    if (request->range != NULL && if_range_holds(request->if_range, etag, modified_s))
        return decide_range(request->range, size_bytes);
    return (struct http_range_result){200, 0, size_bytes};
}
