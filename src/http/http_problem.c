// Errors as RFC 9457 problems, and the one table from an error's kind to a status.

#include "base/alloc.h"
#include "base/log.h"
#include "http/http_reply.h"
#include "http/http_server.h"

#include <stdlib.h>
#include <string.h>

char *http_problem_text(int status, const char *code, const char *detail)
{
    json_t *problem = json_pack("{s:s, s:s, s:i, s:s, s:s}", "type", "about:blank", "title",
                                MHD_get_reason_phrase_for((unsigned)status), "status", status,
                                "code", code, "detail", detail);
    static const char fallback[] = "{\"type\":\"about:blank\",\"code\":\"internal\"}";
    // A detail that is not UTF-8 is a bug of ours, not a reason to send nothing.
    char *text = problem == NULL ? NULL : json_dumps(problem, JSON_COMPACT);
    json_decref(problem);
    char *line = alloc_format("%s\n", text != NULL ? text : fallback);
    free(text);
    return line;
}

bool http_problem_has_retry_after(int status)
{
    return status == 429 || status == 503 || status == 507;
}

void http_reply_problem(struct http_exchange *exchange, int status, const char *code,
                        const char *detail)
{
    if (exchange->answer.is_set)
        return;
    char *text = http_problem_text(status, code, detail);
    if (status == 401)
        http_reply_default_header(exchange, "WWW-Authenticate", "Bearer");
    if (http_problem_has_retry_after(status))
        http_reply_default_header(exchange, "Retry-After", "2");
    http_reply_default_header(exchange, "Cache-Control", "no-store");
    http_reply_bytes(exchange, status, "application/problem+json", text, strlen(text));
    free(text);
}

void http_reply_error(struct http_exchange *exchange, const struct error *err)
{
    switch (err->kind) {
    case ERROR_INVALID:
        http_reply_problem(exchange, 400, "invalid", err->text);
        return;
    case ERROR_DENIED:
        http_reply_problem(exchange, 401, "denied", err->text);
        return;
    case ERROR_NOT_FOUND:
        http_reply_problem(exchange, 404, "not_found", err->text);
        return;
    case ERROR_CONFLICT:
        http_reply_problem(exchange, 409, "conflict", err->text);
        return;
    case ERROR_TOO_LARGE:
        http_reply_problem(exchange, 413, "too_large", err->text);
        return;
    case ERROR_NO_SPACE:
        http_reply_problem(exchange, 507, "no_space", err->text);
        return;
    case ERROR_UNAVAILABLE:
        log_warn("a request failed", LOG_TEXT("path", http_route_pattern(exchange)),
                 LOG_TEXT("reason", err->text));
        http_reply_problem(exchange, 503, "unavailable",
                           "Something needed for this does not answer. Please try again.");
        return;
    case ERROR_NONE:
    case ERROR_INTERNAL:
        break;
    }
    log_error("a request failed", LOG_TEXT("path", http_route_pattern(exchange)),
              LOG_TEXT("reason", err->text));
    http_reply_problem(exchange, 500, "internal", "Something went wrong on our side.");
}
