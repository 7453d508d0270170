// What the broker says, frame by frame. The library's own reader of messages would allocate as much
// as a message claims to hold; here a hint has room for an id and the rest is thrown away.

#include "queue/queue_rabbitmq.h"

#include "base/clock.h"
#include "base/text.h"

#include <string.h>

enum {
    FRAMES_AT_ONCE = 1000,
    // RabbitMQ tells before it has done it. A quorum queue that is declared meanwhile can be left
    // out of order until the node is restarted (seen with 3.10).
    DELETED_PAUSE_MS = 500,
    CONFIRM_MS = 30000, // a confirm that does not come in that time will never come
};

static void message_begins(struct rabbitmq *rabbitmq, int kind, uint64_t tag)
{
    rabbitmq->incoming = (struct rabbitmq_incoming){.kind = kind, .tag = tag};
}

static void message_ends(struct rabbitmq *rabbitmq)
{
    struct rabbitmq_incoming *incoming = &rabbitmq->incoming;
    if (incoming->kind == RABBITMQ_RETURNED)
        rabbitmq->is_returned = true;
    if (incoming->kind == RABBITMQ_DELIVERED) {
        bool is_id = incoming->size == ID_SIZE - 1 && id_is_valid(incoming->text);
        memcpy(rabbitmq->hint_id, is_id ? incoming->text : "", is_id ? ID_SIZE : 1);
        rabbitmq->hint_tag = incoming->tag;
        rabbitmq->heard_at_ms = clock_monotonic_ms();
        rabbitmq->is_proven = true;
        rabbitmq->failures = 0;
    }
    incoming->kind = RABBITMQ_NO_MESSAGE;
}

static bool take_header(struct rabbitmq *rabbitmq, const amqp_frame_t *frame)
{
    struct rabbitmq_incoming *incoming = &rabbitmq->incoming;
    if (incoming->kind == RABBITMQ_NO_MESSAGE || incoming->has_header)
        return false;
    incoming->has_header = true;
    incoming->left_bytes = frame->payload.properties.body_size;
    if (incoming->left_bytes == 0)
        message_ends(rabbitmq);
    return true;
}

static bool take_body(struct rabbitmq *rabbitmq, const amqp_frame_t *frame)
{
    struct rabbitmq_incoming *incoming = &rabbitmq->incoming;
    const amqp_bytes_t *bytes = &frame->payload.body_fragment;
    if (!incoming->has_header || bytes->len > incoming->left_bytes)
        return false;
    size_t room = ID_SIZE - 1 - incoming->size;
    if (incoming->size <= ID_SIZE - 1 && bytes->len <= room) {
        memcpy(incoming->text + incoming->size, bytes->bytes, bytes->len);
        incoming->size += bytes->len;
    } else
        incoming->size = ID_SIZE;
    incoming->left_bytes -= bytes->len;
    if (incoming->left_bytes == 0)
        message_ends(rabbitmq);
    return true;
}

// One message is awaited at a time, so a late answer to an older one has a smaller tag.
static void take_confirm(struct rabbitmq *rabbitmq, uint64_t tag, bool is_multiple, bool is_refused)
{
    if (rabbitmq->awaited_tag == 0 || tag < rabbitmq->awaited_tag ||
        (tag > rabbitmq->awaited_tag && !is_multiple))
        return;
    rabbitmq->awaited_tag = 0;
    rabbitmq->is_refused = is_refused;
    rabbitmq->is_proven = true;
    rabbitmq->failures = 0;
}

static bool lose_as_told(struct rabbitmq *rabbitmq, amqp_bytes_t text, const char *what,
                         struct error *err)
{
    char reason[120];
    text_clean(reason, sizeof reason, text.bytes, text.len);
    return rabbitmq_lose(rabbitmq, err, "it closed the %s: %s", what, reason);
}

static bool take_method(struct rabbitmq *rabbitmq, const amqp_method_t *method, struct error *err)
{
    switch (method->id) {
    case AMQP_BASIC_DELIVER_METHOD: {
        const amqp_basic_deliver_t *delivered = method->decoded;
        if (rabbitmq->hint_tag != 0)
            return rabbitmq_lose(rabbitmq, err, "it delivers more than was asked for");
        message_begins(rabbitmq, RABBITMQ_DELIVERED, delivered->delivery_tag);
        return true;
    }
    case AMQP_BASIC_RETURN_METHOD:
        message_begins(rabbitmq, RABBITMQ_RETURNED, 0);
        return true;
    case AMQP_BASIC_ACK_METHOD: {
        const amqp_basic_ack_t *ack = method->decoded;
        take_confirm(rabbitmq, ack->delivery_tag, ack->multiple, false);
        return true;
    }
    case AMQP_BASIC_NACK_METHOD: {
        const amqp_basic_nack_t *nack = method->decoded;
        take_confirm(rabbitmq, nack->delivery_tag, nack->multiple, true);
        return true;
    }
    case AMQP_CONNECTION_BLOCKED_METHOD:
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
        rabbitmq->is_blocked = method->id == AMQP_CONNECTION_BLOCKED_METHOD;
        return true;
    case AMQP_BASIC_CANCEL_METHOD:
        rabbitmq_lose(rabbitmq, err, "the queue '%s' was deleted", rabbitmq->topic);
        rabbitmq->retry_at_ms = clock_monotonic_ms() + DELETED_PAUSE_MS;
        return false;
    case AMQP_CHANNEL_CLOSE_METHOD: {
        const amqp_channel_close_t *closed = method->decoded;
        return lose_as_told(rabbitmq, closed->reply_text, "channel", err);
    }
    case AMQP_CONNECTION_CLOSE_METHOD: {
        const amqp_connection_close_t *closed = method->decoded;
        return lose_as_told(rabbitmq, closed->reply_text, "connection", err);
    }
    default:
        return true;
    }
}

static bool take_frame(struct rabbitmq *rabbitmq, const amqp_frame_t *frame, struct error *err)
{
    if (frame->channel != 0 && frame->channel != rabbitmq->channel)
        return true;
    switch (frame->frame_type) {
    case AMQP_FRAME_METHOD:
        return take_method(rabbitmq, &frame->payload.method, err);
    case AMQP_FRAME_HEADER:
        return take_header(rabbitmq, frame) ||
               rabbitmq_lose(rabbitmq, err, "a header without a message");
    case AMQP_FRAME_BODY:
        return take_body(rabbitmq, frame) ||
               rabbitmq_lose(rabbitmq, err, "a body without a message");
    default:
        return true;
    }
}

enum rabbitmq_read rabbitmq_read(struct rabbitmq *rabbitmq, int64_t deadline_ms, struct error *err)
{
    amqp_frame_t frame;
    struct timeval left = rabbitmq_left(deadline_ms);
    amqp_maybe_release_buffers(rabbitmq->connection);
    int status = amqp_simple_wait_frame_noblock(rabbitmq->connection, &frame, &left);
    if (status == AMQP_STATUS_TIMEOUT)
        return RABBITMQ_QUIET;
    if (status == AMQP_STATUS_HEARTBEAT_TIMEOUT) {
        rabbitmq_lose(rabbitmq, err, "no sign of life for a minute");
        return RABBITMQ_LOST;
    }
    if (status != AMQP_STATUS_OK) {
        rabbitmq_lose(rabbitmq, err, "%s", amqp_error_string2(status));
        return RABBITMQ_LOST;
    }
    return take_frame(rabbitmq, &frame, err) ? RABBITMQ_FRAME : RABBITMQ_LOST;
}

bool rabbitmq_read_waiting(struct rabbitmq *rabbitmq, struct error *err)
{
    for (int i = 0; i < FRAMES_AT_ONCE; i++) {
        enum rabbitmq_read answer = rabbitmq_read(rabbitmq, 0, err);
        if (answer == RABBITMQ_LOST)
            return false;
        if (answer == RABBITMQ_QUIET)
            break;
    }
    if (rabbitmq->awaited_tag != 0 && !rabbitmq->is_blocked &&
        clock_monotonic_ms() - rabbitmq->awaited_since_ms > CONFIRM_MS)
        return rabbitmq_lose(rabbitmq, err, "it never confirmed a message");
    return true;
}
