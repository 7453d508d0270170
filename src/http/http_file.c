// Answers a stored file: conditions and ranges by http_range.c, the bytes by sendfile or by
// http_stream.c.

#include "base/buf.h"
#include "base/file.h"
#include "http/http_range.h"
#include "http/http_reply.h"
#include "http/http_server.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { DISPOSITION_LIMIT = 2048, NAME_LIMIT = 255 };

// RFC 6266 with RFC 8187: a plain ASCII name for old readers, then the exact one.
static void add_disposition(struct http_exchange *exchange, const struct http_file *file)
{
    const char *kind = file->is_inline ? "inline" : "attachment";
    if (file->filename == NULL) {
        http_reply_header(exchange, "Content-Disposition", kind);
        return;
    }
    static const char plain[] = "!#$&+-.^_`|~"; // attr-char of RFC 8187
    SCOPED_BUF struct buf text;
    buf_init(&text, DISPOSITION_LIMIT);
    buf_printf(&text, "%s; filename=\"", kind);
    size_t size = strnlen(file->filename, NAME_LIMIT);
    while (((unsigned char)file->filename[size] & 0xC0) == 0x80)
        size--;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)file->filename[i];
        // A browser that knows only this form must not decode or unescape anything in it.
        bool is_plain = c >= 0x20 && c < 0x7f && strchr("\"\\%/", c) == NULL;
        if ((c & 0xC0) != 0x80)
            buf_printf(&text, "%c", is_plain ? c : '_');
    }
    buf_append_text(&text, "\"; filename*=UTF-8''");
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)file->filename[i];
        bool is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                        (c >= 'A' && c <= 'Z') || (c != '\0' && strchr(plain, c) != NULL);
        buf_printf(&text, is_plain ? "%c" : "%%%02X", c);
    }
    http_reply_header(exchange, "Content-Disposition", text.bytes);
}

static void add_validators(struct http_exchange *exchange, const struct http_file *file)
{
    char text[160];
    if (file->etag != NULL) {
        snprintf(text, sizeof text, "\"%s\"", file->etag);
        http_reply_header(exchange, "ETag", text);
    }
    if (file->modified_at_ms > 0) {
        time_t at = (time_t)(file->modified_at_ms / 1000);
        struct tm parts;
        strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&at, &parts));
        http_reply_header(exchange, "Last-Modified", text);
    }
    http_reply_header(exchange, "Accept-Ranges", "bytes");
}

static struct http_range_result decide(struct http_exchange *exchange, const struct http_file *file)
{
    bool has_parts = strcmp(exchange->method, "HEAD") != 0; // a range of HEAD is ignored (§14.2)
    const struct http_range_request request = {
        .range = has_parts ? http_header(exchange, "Range") : NULL,
        .if_range = http_header(exchange, "If-Range"),
        .if_match = http_header(exchange, "If-Match"),
        .if_none_match = http_header(exchange, "If-None-Match"),
        .if_modified_since = http_header(exchange, "If-Modified-Since"),
        .if_unmodified_since = http_header(exchange, "If-Unmodified-Since"),
    };
    return http_range_decide(&request, file->size_bytes, file->etag, file->modified_at_ms / 1000);
}

static void add_content_range(struct http_exchange *exchange, const struct http_range_result *part,
                              int64_t size_bytes)
{
    char text[96];
    if (part->status == 206)
        snprintf(text, sizeof text, "bytes %" PRId64 "-%" PRId64 "/%" PRId64, part->offset,
                 part->offset + part->length - 1, size_bytes);
    else
        snprintf(text, sizeof text, "bytes */%" PRId64, size_bytes);
    if (part->status == 206 || part->status == 416)
        http_reply_header(exchange, "Content-Range", text);
}

// True: the bytes of the file follow.
static bool reply_head(struct http_exchange *exchange, const struct http_file *file,
                       const struct http_range_result *part)
{
    struct error err = {0};
    if (part->status == 412) {
        http_reply_problem(exchange, 412, "precondition_failed", "The file is another one now.");
        return false;
    }
    if (part->status == 416) {
        add_content_range(exchange, part, file->size_bytes);
        http_reply_problem(exchange, 416, "range_not_satisfiable", "The file has no such part.");
        return false;
    }
    if (part->status != 304 && file->fd < 0 &&
        !http_stream_start(exchange, part->offset, part->length, &err)) {
        http_reply_error(exchange, &err);
        return false;
    }
    add_validators(exchange, file);
    if (part->status == 304) {
        http_reply_empty(exchange, 304);
        return false;
    }
    add_content_range(exchange, part, file->size_bytes);
    add_disposition(exchange, file);
    http_reply_bytes(exchange, part->status, file->content_type, "", 0);
    return true;
}

void http_reply_file(struct http_exchange *exchange, const struct http_file *file)
{
    struct http_range_result part = {0};
    if (!exchange->answer.is_set)
        part = decide(exchange, file);
    if (exchange->answer.is_set || !reply_head(exchange, file, &part)) {
        file_close(file->fd);
        return;
    }
    exchange->answer.fd = file->fd;
    exchange->answer.offset = part.offset;
    exchange->answer.length = part.length;
}
