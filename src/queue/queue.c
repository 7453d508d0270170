#include "queue/queue.h"

#include "base/text.h"
#include "queue/queue_backend.h"

#include <assert.h>
#include <string.h>

const struct queue_ops *const queue_backends[] = {
    &queue_local_ops,
    &queue_none_ops,
    &queue_rabbitmq_ops,
    NULL,
};

static bool is_topic(const char *topic)
{
    size_t length = strspn(topic, "abcdefghijklmnopqrstuvwxyz0123456789");
    return length > 0 && length <= 20 && topic[length] == '\0';
}

static const struct queue_ops *find_backend(const char *url, struct error *err)
{
    for (size_t i = 0; queue_backends[i] != NULL; i++)
        if (text_has_scheme_of(url, queue_backends[i]->schemes))
            return queue_backends[i];
    error_set(err, ERROR_INVALID, "no queue is called '%.*s:'", (int)strcspn(url, ":"), url);
    return NULL;
}

bool queue_check_url(const char *url, struct error *err)
{
    const struct queue_ops *ops = find_backend(url, err);
    return ops != NULL && ops->check_url(url, err);
}

struct queue *queue_open(const char *url, const char *topic, struct error *err)
{
    assert(topic == NULL || is_topic(topic));
    const struct queue_ops *ops = find_backend(url, err);
    return ops == NULL ? NULL : ops->open(url, topic, err);
}

void queue_close(struct queue *queue)
{
    if (queue != NULL)
        queue->ops->close(queue);
}

bool queue_publish(struct queue *queue, const char *topic, const char *id, struct error *err)
{
    assert(is_topic(topic));
    if (!id_is_valid(id))
        return error_set(err, ERROR_INVALID, "a hint must be an id");
    return queue->ops->publish(queue, topic, id, err);
}

enum queue_answer queue_receive(struct queue *queue, int timeout_ms, struct queue_hint *out,
                                struct error *err)
{
    assert(timeout_ms >= 0);
    return queue->ops->receive(queue, timeout_ms, out, err);
}

bool queue_ack(struct queue *queue, const struct queue_hint *hint, struct error *err)
{
    return queue->ops->ack(queue, hint, err);
}

bool queue_reject(struct queue *queue, const struct queue_hint *hint, struct error *err)
{
    return queue->ops->reject(queue, hint, err);
}

int queue_poll_fd(struct queue *queue)
{
    return queue->ops->poll_fd(queue);
}

bool queue_pump(struct queue *queue, struct error *err)
{
    return queue->ops->pump(queue, err);
}
