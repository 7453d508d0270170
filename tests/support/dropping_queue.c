#include "dropping_queue.h"

#include "base/alloc.h"
#include "queue/queue_backend.h"

struct dropping {
    struct queue base;
    struct queue *inner;
};

static const struct queue_ops dropping_ops;

struct queue *dropping_queue_wrap(struct queue *inner)
{
    struct dropping *dropping = alloc_zeroed(1, sizeof *dropping);
    dropping->base.ops = &dropping_ops;
    dropping->inner = inner;
    return &dropping->base;
}

static struct queue *inner_of(struct queue *queue)
{
    return ((struct dropping *)queue)->inner;
}

static bool dropping_check_url(const char *url, struct error *err)
{
    (void)url;
    return error_set(err, ERROR_INVALID, "made by dropping_queue_wrap only");
}

static struct queue *dropping_open(const char *url, const char *topic, struct error *err)
{
    (void)topic;
    dropping_check_url(url, err);
    return NULL;
}

static void dropping_close(struct queue *queue)
{
    queue_close(inner_of(queue));
    free(queue);
}

static bool dropping_publish(struct queue *queue, const char *topic, const char *id,
                             struct error *err)
{
    (void)queue, (void)topic, (void)id, (void)err;
    return true;
}

static enum queue_answer dropping_receive(struct queue *queue, int timeout_ms,
                                          struct queue_hint *out, struct error *err)
{
    return queue_receive(inner_of(queue), timeout_ms, out, err);
}

static bool dropping_ack(struct queue *queue, const struct queue_hint *hint, struct error *err)
{
    return queue_ack(inner_of(queue), hint, err);
}

static bool dropping_reject(struct queue *queue, const struct queue_hint *hint, struct error *err)
{
    return queue_reject(inner_of(queue), hint, err);
}

static int dropping_poll_fd(struct queue *queue)
{
    return queue_poll_fd(inner_of(queue));
}

static bool dropping_pump(struct queue *queue, struct error *err)
{
    return queue_pump(inner_of(queue), err);
}

static const struct queue_ops dropping_ops = {
    .schemes = (const char *const[]){"dropping", NULL},
    .check_url = dropping_check_url,
    .open = dropping_open,
    .close = dropping_close,
    .publish = dropping_publish,
    .receive = dropping_receive,
    .ack = dropping_ack,
    .reject = dropping_reject,
    .poll_fd = dropping_poll_fd,
    .pump = dropping_pump,
};
