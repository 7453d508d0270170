// Hints through RabbitMQ: quorum queues that stay, publishing with confirms, one hint at a time.
// The tables are the truth, so everything here gives up early: a publish costs two seconds at most
// once, then fails at once until the broker is heard of again.

#include "queue/queue_rabbitmq.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CONNECT_MS = 5000, PUBLISH_MS = 2000, SETTLE_MS = 2000, REFUSED_MS = 2000 };

// ---- opening ----

static bool parse(const char *text, struct url *out, struct error *err)
{
    static const char *const parameters[] = {"tls-ca", NULL};
    if (!url_parse(text, out, err) || !url_check_parameters(out, parameters, err))
        return false;
    if (out->user[0] == '\0')
        return error_set(err, ERROR_INVALID, "%s:// needs USER:PASSWORD@HOST", out->scheme);
    const char *authorities = url_parameter(out, "tls-ca");
    if (authorities != NULL && strcmp(out->scheme, "amqps") != 0)
        return error_set(err, ERROR_INVALID, "tls-ca needs amqps://");
    if (authorities != NULL && authorities[0] == '\0')
        return error_set(err, ERROR_INVALID, "tls-ca needs the name of a file");
    return true;
}

static bool rabbitmq_check_url(const char *url, struct error *err)
{
    struct url parsed;
    return parse(url, &parsed, err);
}

static void rabbitmq_close(struct queue *queue)
{
    struct rabbitmq *rabbitmq = (struct rabbitmq *)queue;
    rabbitmq_disconnect(rabbitmq);
    free(rabbitmq->topic);
    explicit_bzero(rabbitmq, sizeof *rabbitmq);
    free(rabbitmq);
}

// Connects when it is first used: which host is next and when is the handle's to remember.
static struct queue *rabbitmq_open(const char *url, const char *topic, struct error *err)
{
    struct rabbitmq *rabbitmq = alloc_zeroed(1, sizeof *rabbitmq);
    SCOPED(queue_close) struct queue *queue = &rabbitmq->base;
    rabbitmq->base.ops = &queue_rabbitmq_ops;
    if (!parse(url, &rabbitmq->url, err))
        return NULL;
    rabbitmq->topic = alloc_text(topic);
    rabbitmq->host = id_random_u64() % rabbitmq->url.host_count;
    return TAKE(queue);
}

// ---- publishing ----

enum publishing { PUBLISH_CONFIRMED, PUBLISH_AGAIN, PUBLISH_FAILED };

static enum publishing send_hint(struct rabbitmq *rabbitmq, const char *topic, const char *id,
                                 int64_t deadline_ms, struct error *err)
{
    if (!rabbitmq_can_send(rabbitmq, deadline_ms, err))
        return PUBLISH_AGAIN;
    const amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG |
                  AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_TIMESTAMP_FLAG,
        .content_type = amqp_cstring_bytes("text/plain"),
        .delivery_mode = AMQP_DELIVERY_PERSISTENT,
        .message_id = amqp_cstring_bytes(id),
        .timestamp = (uint64_t)(clock_now_ms() / 1000),
    };
    int status =
        amqp_basic_publish(rabbitmq->connection, rabbitmq->channel, amqp_empty_bytes,
                           amqp_cstring_bytes(topic), 1, 0, &properties, amqp_cstring_bytes(id));
    if (status != AMQP_STATUS_OK) {
        rabbitmq_lose(rabbitmq, err, "%s", amqp_error_string2(status));
        return PUBLISH_AGAIN;
    }
    rabbitmq->awaited_tag = ++rabbitmq->published;
    rabbitmq->awaited_since_ms = clock_monotonic_ms();
    rabbitmq->is_refused = rabbitmq->is_returned = false;
    return PUBLISH_CONFIRMED;
}

// Whether it is of any use to send now.
static bool takes_messages(const struct rabbitmq *rabbitmq, struct error *err)
{
    if (rabbitmq->is_blocked)
        return error_set(err, ERROR_UNAVAILABLE,
                         "RabbitMQ is short of memory or disk and takes no messages now");
    if (rabbitmq->awaited_tag != 0)
        return error_set(err, ERROR_UNAVAILABLE,
                         "RabbitMQ has not confirmed a message for %" PRId64 " s",
                         (clock_monotonic_ms() - rabbitmq->awaited_since_ms + 999) / 1000);
    return true;
}

// RabbitMQ 3.10 may refuse all messages of a channel whose first one came while the queue elected
// its leader, for as long as the channel lives. So a new connection is tried; a full queue refuses
// it too.
static void note_refusal(struct rabbitmq *rabbitmq, const char *topic, struct error *err)
{
    int64_t now_ms = clock_monotonic_ms();
    error_set(err, ERROR_UNAVAILABLE,
              "RabbitMQ refused a hint: the queue '%s' is full or out of order", topic);
    if (rabbitmq->refused_since_ms == 0)
        rabbitmq->refused_since_ms = now_ms;
    else if (now_ms - rabbitmq->refused_since_ms >= REFUSED_MS)
        rabbitmq_lose(rabbitmq, err, "it refuses all hints: the queue '%s' is full or out of order",
                      topic);
}

static enum publishing await_confirm(struct rabbitmq *rabbitmq, const char *topic,
                                     int64_t deadline_ms, struct error *err)
{
    while (rabbitmq->awaited_tag != 0 && !rabbitmq->is_blocked) {
        enum rabbitmq_read answer = rabbitmq_read(rabbitmq, deadline_ms, err);
        if (answer == RABBITMQ_LOST)
            return PUBLISH_AGAIN;
        if (answer == RABBITMQ_QUIET)
            break;
    }
    if (!takes_messages(rabbitmq, err))
        return PUBLISH_FAILED;
    if (rabbitmq->is_returned) { // which is said before it is confirmed
        error_set(err, ERROR_UNAVAILABLE, "RabbitMQ has no queue '%s'", topic);
        rabbitmq_undeclare(rabbitmq);
        return PUBLISH_AGAIN;
    }
    if (rabbitmq->is_refused) {
        note_refusal(rabbitmq, topic, err);
        return PUBLISH_FAILED;
    }
    return PUBLISH_CONFIRMED;
}

static enum publishing publish_once(struct rabbitmq *rabbitmq, const char *topic, const char *id,
                                    int64_t deadline_ms, struct error *err)
{
    if (!rabbitmq_keep_connected(rabbitmq, deadline_ms, err))
        return PUBLISH_FAILED;
    if (!rabbitmq_read_waiting(rabbitmq, err))
        return PUBLISH_AGAIN;
    if (!takes_messages(rabbitmq, err))
        return PUBLISH_FAILED;
    if (!rabbitmq_declare(rabbitmq, topic, deadline_ms, err)) {
        rabbitmq_lose(rabbitmq, err, "%s", err->text);
        return PUBLISH_FAILED;
    }
    enum publishing answer = send_hint(rabbitmq, topic, id, deadline_ms, err);
    return answer == PUBLISH_CONFIRMED ? await_confirm(rabbitmq, topic, deadline_ms, err) : answer;
}

static bool rabbitmq_publish(struct queue *queue, const char *topic, const char *id,
                             struct error *err)
{
    struct rabbitmq *rabbitmq = (struct rabbitmq *)queue;
    int64_t deadline_ms = clock_monotonic_ms() + PUBLISH_MS;
    struct error reason = {0};
    enum publishing answer = publish_once(rabbitmq, topic, id, deadline_ms, &reason);
    if (answer == PUBLISH_AGAIN) // a connection that was dead, or a queue that was deleted
        answer = publish_once(rabbitmq, topic, id, deadline_ms, &reason);
    if (answer == PUBLISH_CONFIRMED)
        return true;
    *err = reason;
    return false;
}

// ---- consuming ----

static enum queue_answer rabbitmq_receive(struct queue *queue, int timeout_ms,
                                          struct queue_hint *out, struct error *err)
{
    struct rabbitmq *rabbitmq = (struct rabbitmq *)queue;
    if (rabbitmq->topic == NULL) {
        error_set(err, ERROR_INVALID, "this queue handle only publishes");
        return QUEUE_ERROR;
    }
    int64_t now_ms = clock_monotonic_ms();
    if (!rabbitmq_keep_connected(rabbitmq, now_ms + CONNECT_MS, err) ||
        !rabbitmq_read_waiting(rabbitmq, err) || !rabbitmq_renew_consumer(rabbitmq, err))
        return QUEUE_ERROR;
    while (rabbitmq->hint_tag == 0) {
        enum rabbitmq_read answer = rabbitmq_read(rabbitmq, now_ms + timeout_ms, err);
        if (answer != RABBITMQ_FRAME)
            return answer == RABBITMQ_QUIET ? QUEUE_NOTHING : QUEUE_ERROR;
    }
    *out = (struct queue_hint){0};
    text_copy(out->id, sizeof out->id, rabbitmq->hint_id);
    snprintf(out->receipt, sizeof out->receipt, "%" PRIu32 ":%" PRIu64, rabbitmq->connection_number,
             rabbitmq->hint_tag);
    return QUEUE_HINT;
}

// A receipt of an earlier connection is worth nothing: the broker delivers that hint again. Giving
// it back on this one would name another's hint, or make the broker close the channel.
static bool settle(struct rabbitmq *rabbitmq, const struct queue_hint *hint, bool is_ack,
                   struct error *err)
{
    char receipt[sizeof hint->receipt];
    snprintf(receipt, sizeof receipt, "%" PRIu32 ":%" PRIu64, rabbitmq->connection_number,
             rabbitmq->hint_tag);
    if (rabbitmq->hint_tag == 0 || strcmp(hint->receipt, receipt) != 0)
        return true;
    uint64_t tag = rabbitmq->hint_tag;
    if (!rabbitmq_can_send(rabbitmq, clock_monotonic_ms() + SETTLE_MS, err))
        return false;
    rabbitmq->hint_tag = 0;
    int status = is_ack ? amqp_basic_ack(rabbitmq->connection, rabbitmq->channel, tag, 0)
                        : amqp_basic_reject(rabbitmq->connection, rabbitmq->channel, tag, 0);
    return status == AMQP_STATUS_OK ||
           rabbitmq_lose(rabbitmq, err, "%s", amqp_error_string2(status));
}

static bool rabbitmq_ack(struct queue *queue, const struct queue_hint *hint, struct error *err)
{
    return settle((struct rabbitmq *)queue, hint, true, err);
}

static bool rabbitmq_reject(struct queue *queue, const struct queue_hint *hint, struct error *err)
{
    return settle((struct rabbitmq *)queue, hint, false, err);
}

// ---- keeping ----

static int rabbitmq_poll_fd(struct queue *queue)
{
    const struct rabbitmq *rabbitmq = (struct rabbitmq *)queue;
    return rabbitmq->connection == NULL ? -1 : amqp_get_sockfd(rabbitmq->connection);
}

// Reading is what sends our heartbeats and notices that theirs are missing.
static bool rabbitmq_pump(struct queue *queue, struct error *err)
{
    struct rabbitmq *rabbitmq = (struct rabbitmq *)queue;
    return rabbitmq_keep_connected(rabbitmq, clock_monotonic_ms() + CONNECT_MS, err) &&
           rabbitmq_read_waiting(rabbitmq, err) && rabbitmq_renew_consumer(rabbitmq, err);
}

const struct queue_ops queue_rabbitmq_ops = {
    .schemes = (const char *const[]){"amqp", "amqps", NULL},
    .check_url = rabbitmq_check_url,
    .open = rabbitmq_open,
    .close = rabbitmq_close,
    .publish = rabbitmq_publish,
    .receive = rabbitmq_receive,
    .ack = rabbitmq_ack,
    .reject = rabbitmq_reject,
    .poll_fd = rabbitmq_poll_fd,
    .pump = rabbitmq_pump,
};
