// Answers written straight to the socket. libmicrohttpd takes no answer between the first and the
// last byte of a body, so a refusal of a 4 GiB upload would have to read it all; and when it
// refuses after the headers it closes at once, and the reset that unread data causes can overtake
// the answer.

#include "base/buf.h"
#include "http/http_server.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { HEAD_LIMIT = 8192 };

// A small answer fits the socket's empty buffer; if it does not, the client reads too slowly to
// care.
static void send_text(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent <= 0)
            return;
        bytes += sent;
        size -= (size_t)sent;
    }
}

static void write_head(struct buf *head, int status, size_t size)
{
    buf_printf(head, "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Length: %zu\r\n", status,
               MHD_get_reason_phrase_for((unsigned)status), size);
}

void http_early_answer(struct http_exchange *exchange)
{
    const struct http_answer *answer = &exchange->answer;
    SCOPED_BUF struct buf head;
    buf_init(&head, HEAD_LIMIT);
    write_head(&head, answer->status, answer->size);
    for (size_t i = 0; i < answer->headers_count; i++)
        buf_printf(&head, "%s: %s\r\n", answer->headers[i].name, answer->headers[i].value);
    buf_append_text(&head, "\r\n");
    send_text(exchange->peer->fd, head.bytes, head.size);
    if (strcmp(exchange->method, "HEAD") != 0)
        send_text(exchange->peer->fd, answer->bytes, answer->size);
    shutdown(exchange->peer->fd, SHUT_WR);
    exchange->phase = HTTP_EXCHANGE_LINGER;
    buf_clear(&exchange->body);
    http_connection_enter(exchange->peer, HTTP_CONNECTION_LINGER);
}

void http_early_problem(int fd, int status, const char *code, const char *detail)
{
    char *text = http_problem_text(status, code, detail);
    SCOPED_BUF struct buf head;
    buf_init(&head, HEAD_LIMIT);
    write_head(&head, status, strlen(text));
    if (http_problem_has_retry_after(status))
        buf_append_text(&head, "Retry-After: 2\r\n");
    buf_append_text(&head, "Content-Type: application/problem+json\r\nCache-Control: no-store\r\n"
                           "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
                           "\r\n");
    send_text(fd, head.bytes, head.size);
    send_text(fd, text, strlen(text));
    free(text);
}
