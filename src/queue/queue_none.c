// No hints: publishing drops, receiving waits. A legitimate setting where a few seconds of delay
// do not matter, and the proof that the tables alone are enough.

#include "base/alloc.h"
#include "base/clock.h"
#include "queue/queue_backend.h"

#include <string.h>

static bool none_check_url(const char *url, struct error *err)
{
    return strcmp(url, "none:") == 0 || error_set(err, ERROR_INVALID, "nothing may follow none:");
}

static struct queue *none_open(const char *url, const char *topic, struct error *err)
{
    (void)topic;
    if (!none_check_url(url, err))
        return NULL;
    struct queue *queue = alloc_zeroed(1, sizeof *queue);
    queue->ops = &queue_none_ops;
    return queue;
}

static void none_close(struct queue *queue)
{
    free(queue);
}

static bool none_publish(struct queue *queue, const char *topic, const char *id, struct error *err)
{
    (void)queue, (void)topic, (void)id, (void)err;
    return true;
}

static enum queue_answer none_receive(struct queue *queue, int timeout_ms, struct queue_hint *out,
                                      struct error *err)
{
    (void)queue, (void)out, (void)err;
    clock_sleep_ms(timeout_ms);
    return QUEUE_NOTHING;
}

static bool none_settle(struct queue *queue, const struct queue_hint *hint, struct error *err)
{
    (void)queue, (void)hint, (void)err;
    return true;
}

static int none_poll_fd(struct queue *queue)
{
    (void)queue;
    return -1;
}

static bool none_pump(struct queue *queue, struct error *err)
{
    (void)queue, (void)err;
    return true;
}

const struct queue_ops queue_none_ops = {
    .schemes = (const char *const[]){"none", NULL},
    .check_url = none_check_url,
    .open = none_open,
    .close = none_close,
    .publish = none_publish,
    .receive = none_receive,
    .ack = none_settle,
    .reject = none_settle,
    .poll_fd = none_poll_fd,
    .pump = none_pump,
};
