// Answers whose bytes come from a store without files. The event thread drains one piece; when it
// is empty, the connection is suspended and a worker runs `fill` for the next. What cannot be
// brought ends the connection short of its Content-Length, so that no client takes a part for the
// whole.

#include "base/alloc.h"
#include "base/log.h"
#include "http/http_server.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum { BLOCK_BYTES = 16 << 10 }; // what libmicrohttpd hands to the socket at once

static bool read_piece(struct http_exchange *exchange, struct error *err)
{
    struct http_stream *stream = &exchange->answer.stream;
    size_t size = exchange->server->limits.fill_bytes;
    if (stream->left < (int64_t)size)
        size = (size_t)stream->left;
    if (stream->piece == NULL)
        stream->piece = alloc_zeroed(1, size); // no later piece is larger than the first one
    ssize_t got =
        exchange->match.route->handler.fill(exchange, stream->offset, stream->piece, size, err);
    if (got == 0)
        return error_set(err, ERROR_INTERNAL, "it ends %" PRId64 " bytes early", stream->left);
    if (got < 0)
        return false;
    assert((size_t)got <= size);
    stream->offset += got;
    stream->left -= got;
    stream->size = (size_t)got;
    stream->sent = 0;
    return true;
}

bool http_stream_start(struct http_exchange *exchange, int64_t offset, int64_t length,
                       struct error *err)
{
    assert(exchange->match.route->handler.fill != NULL);
    struct http_answer *answer = &exchange->answer;
    answer->stream = (struct http_stream){.offset = offset, .left = length};
    bool has_body = length > 0 && strcmp(exchange->method, "HEAD") != 0;
    if (has_body && !read_piece(exchange, err))
        return false;
    answer->is_streamed = true;
    return true;
}

void http_stream_fill(struct http_exchange *exchange)
{
    struct error err = {0};
    if (read_piece(exchange, &err))
        return;
    exchange->answer.stream.has_failed = true;
    log_warn("an answer was cut: its bytes did not come",
             LOG_TEXT("path", http_route_pattern(exchange)), LOG_TEXT("reason", err.text));
}

void http_stream_finish(struct http_stream *stream)
{
    free(stream->piece);
    stream->piece = NULL;
}

// libmicrohttpd asks for the bytes from `position` on, always those behind the last ones it got.
static ssize_t drain(void *context, uint64_t position, char *out, size_t limit)
{
    (void)position;
    struct http_exchange *exchange = context;
    struct http_stream *stream = &exchange->answer.stream;
    if (stream->has_failed)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (stream->sent == stream->size) {
        http_connection_enter(exchange->peer, HTTP_CONNECTION_FILL);
        // Suspended and without a byte: the call comes again when the step has been run.
        return http_steps_post(exchange, HTTP_STEP_FILL) ? 0 : MHD_CONTENT_READER_END_WITH_ERROR;
    }
    if (stream->sent == 0)
        http_connection_enter(exchange->peer, HTTP_CONNECTION_BUSY);
    size_t size = stream->size - stream->sent;
    if (size > limit)
        size = limit;
    memcpy(out, stream->piece + stream->sent, size);
    stream->sent += size;
    return (ssize_t)size;
}

struct MHD_Response *http_stream_response(struct http_exchange *exchange)
{
    return MHD_create_response_from_callback((uint64_t)exchange->answer.length, BLOCK_BYTES, drain,
                                             exchange, NULL);
}
