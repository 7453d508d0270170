#include "http/http_reply.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/http_server.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

static bool is_line(const char *text)
{
    for (const char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return false;
    return true;
}

void http_reply_header(struct http_exchange *exchange, const char *name, const char *value)
{
    struct http_answer *answer = &exchange->answer;
    if (answer->is_set)
        return;
    if (!is_line(value) || answer->headers_count == HTTP_REPLY_HEADERS_LIMIT) {
        log_debug("a header of an answer was dropped", LOG_TEXT("name", name));
        return;
    }
    answer->headers[answer->headers_count].name = alloc_text(name);
    answer->headers[answer->headers_count++].value = alloc_text(value);
}

static bool has_header(const struct http_answer *answer, const char *name)
{
    for (size_t i = 0; i < answer->headers_count; i++)
        if (strcasecmp(answer->headers[i].name, name) == 0)
            return true;
    return false;
}

void http_reply_default_header(struct http_exchange *exchange, const char *name, const char *value)
{
    if (value != NULL && !has_header(&exchange->answer, name))
        http_reply_header(exchange, name, value);
}

// Headers of every answer. From here on the exchange is answered.
static void settle(struct http_exchange *exchange, int status, const char *content_type)
{
    http_reply_default_header(exchange, "Content-Type", content_type);
    http_reply_default_header(exchange, "X-Content-Type-Options", "nosniff");
    http_reply_default_header(exchange, "Referrer-Policy", "no-referrer");
    exchange->answer.status = status;
    exchange->answer.is_set = true;
}

void http_reply_bytes(struct http_exchange *exchange, int status, const char *content_type,
                      const void *bytes, size_t size)
{
    struct http_answer *answer = &exchange->answer;
    if (answer->is_set)
        return;
    settle(exchange, status, content_type);
    if (size > 0) {
        answer->bytes = alloc_resize(NULL, size);
        memcpy(answer->bytes, bytes, size);
        answer->size = size;
    }
}

void http_reply_text(struct http_exchange *exchange, int status, const char *content_type,
                     const char *text)
{
    http_reply_bytes(exchange, status, content_type, text, strlen(text));
}

void http_reply_empty(struct http_exchange *exchange, int status)
{
    http_reply_bytes(exchange, status, NULL, "", 0);
}

void http_reply_json(struct http_exchange *exchange, int status, json_t *body)
{
    char *text = body == NULL
                     ? NULL
                     : json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    json_decref(body);
    if (text == NULL) {
        http_reply_problem(exchange, 500, "internal", "Something went wrong on our side.");
        return;
    }
    http_reply_default_header(exchange, "Cache-Control", "no-store");
    SCOPED(free) char *line = alloc_format("%s\n", text); // people read it in terminals, too
    http_reply_text(exchange, status, "application/json", line);
    free(text);
}
