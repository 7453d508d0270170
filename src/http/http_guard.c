#include "http/http_guard.h"

#include "base/alloc.h"
#include "base/text.h"

#include <string.h>
#include <strings.h>

enum { LENGTH_DIGITS = 18 };

void http_guard_init(struct http_guard *guard)
{
    *guard = (struct http_guard){.content_length = -1};
}

static bool is_token(const char *text, size_t size)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool is_digit = c >= '0' && c <= '9';
        if (!is_letter && !is_digit && (c == '\0' || strchr(marks, c) == NULL))
            return false;
    }
    return size > 0;
}

static bool has_control(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return true;
    }
    return false;
}

static bool is_name(const char *name, size_t size, const char *wanted)
{
    return size == strlen(wanted) && strncasecmp(name, wanted, size) == 0;
}

void http_guard_field(struct http_guard *guard, const char *name, size_t name_size,
                      const char *value, size_t value_size)
{
    if (++guard->fields_count > HTTP_GUARD_FIELDS_LIMIT)
        guard->reason = "too many header fields";
    else if (!is_token(name, name_size))
        guard->reason = "a header name is malformed";
    else if (has_control(value, value_size))
        guard->reason = "a header value contains control characters";
    else if (is_name(name, name_size, "Content-Length")) {
        guard->content_length_count++;
        if (value_size == 0 || value_size > LENGTH_DIGITS ||
            strspn(value, "0123456789") != value_size ||
            !text_parse_integer(value, 0, INT64_MAX, &guard->content_length))
            guard->reason = "Content-Length is malformed";
    } else if (is_name(name, name_size, "Transfer-Encoding")) {
        guard->transfer_encoding_count++;
        if (!is_name(value, value_size, "chunked"))
            guard->reason = "the only transfer coding known here is chunked";
    } else if (is_name(name, name_size, "Host")) {
        guard->host_count++;
        guard->host = value;
        if (strpbrk(value, " \t,/@?#\\") != NULL)
            guard->reason = "Host is malformed";
    }
}

bool http_guard_request(struct http_guard *guard, const char *version)
{
    if (guard->reason != NULL)
        return false;
    bool is_current = strcmp(version, "HTTP/1.1") == 0;
    if (!is_current && strcmp(version, "HTTP/1.0") != 0)
        guard->reason = "this version of HTTP is not spoken here";
    else if (guard->content_length_count > 1)
        guard->reason = "Content-Length is given more than once";
    else if (guard->transfer_encoding_count > 1)
        guard->reason = "Transfer-Encoding is given more than once";
    else if (guard->transfer_encoding_count > 0 && guard->content_length_count > 0)
        guard->reason = "Content-Length and Transfer-Encoding exclude each other";
    else if (guard->transfer_encoding_count > 0 && !is_current)
        guard->reason = "HTTP/1.0 has no transfer codings";
    else if (guard->host_count > 1 || (guard->host_count == 0 && is_current))
        guard->reason = "exactly one Host is needed";
    return guard->reason == NULL;
}

// Decodes in place; in a query '+' is a space. False for a bad escape or a control character.
static bool decode(char *text, bool is_query)
{
    char *out = text;
    for (const char *in = text; *in != '\0'; in++) {
        char c = *in;
        if (c == '+' && is_query)
            c = ' ';
        if (c == '%') {
            int high = text_hex_value(in[1]);
            int low = high < 0 ? -1 : text_hex_value(in[2]);
            if (low < 0)
                return false;
            c = (char)(high * 16 + low);
            in += 2;
        }
        // Line ends are fine in a query's value, where they are only text.
        if (c == '\0' || (!is_query && ((unsigned char)c < 0x20 || c == 0x7f)))
            return false;
        *out++ = c;
    }
    *out = '\0';
    return text_is_utf8(text, (size_t)(out - text));
}

static const char *cut_path(struct http_target *target, char *path)
{
    char *next = path + 1;
    while (next != NULL) {
        char *segment = next;
        next = strchr(segment, '/');
        if (next != NULL)
            *next++ = '\0';
        if (target->segments_count == HTTP_SEGMENTS_LIMIT)
            return "the path has too many segments";
        if (!decode(segment, false))
            return "the path is encoded wrongly";
        if (strchr(segment, '/') != NULL || strchr(segment, '\\') != NULL ||
            strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0)
            return "the path is not in its simple form";
        target->segments[target->segments_count++] = segment;
    }
    return NULL;
}

static const char *cut_query(struct http_target *target, char *query)
{
    char *next = query;
    while (next != NULL) {
        char *name = next;
        next = strchr(name, '&');
        if (next != NULL)
            *next++ = '\0';
        if (*name == '\0')
            continue;
        if (target->query_count == HTTP_QUERY_LIMIT)
            return "the query has too many parts";
        char *value = strchr(name, '=');
        if (value != NULL)
            *value++ = '\0';
        else
            value = name + strlen(name);
        if (!decode(name, true) || !decode(value, true))
            return "the query is encoded wrongly";
        target->query[target->query_count].name = name;
        target->query[target->query_count++].value = value;
    }
    return NULL;
}

// RFC 9112 §3.2.2: a server takes the absolute form too.
static const char *skip_authority(const char *raw, const char *host)
{
    if (strncasecmp(raw, "http://", 7) != 0 && strncasecmp(raw, "https://", 8) != 0)
        return raw;
    const char *authority = strstr(raw, "://") + 3;
    size_t size = strcspn(authority, "/?");
    if (host == NULL || size != strlen(host) || strncasecmp(authority, host, size) != 0)
        return "";
    return authority[size] == '\0' ? "/" : authority + size;
}

const char *http_target_parse(struct http_target *target, const char *raw, const char *host)
{
    *target = (struct http_target){0};
    for (const char *c = raw; *c != '\0'; c++)
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f || *c == '#')
            return "the request target contains forbidden characters";
    const char *start = skip_authority(raw, host);
    if (*start != '/')
        return "the request target is not a path";
    size_t path_size = strcspn(start, "?");
    target->path = alloc_text(start);
    target->path[path_size] = '\0';
    target->bytes = alloc_text(start);
    char *query = start[path_size] == '?' ? target->bytes + path_size + 1 : NULL;
    target->bytes[path_size] = '\0';
    const char *reason = cut_path(target, target->bytes);
    if (reason == NULL && query != NULL)
        reason = cut_query(target, query);
    return reason;
}

void http_target_finish(struct http_target *target)
{
    free(target->path);
    free(target->bytes);
    *target = (struct http_target){0};
}
