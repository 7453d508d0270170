#include "faulty_queue.h"

#include "base/alloc.h"
#include "queue/queue_backend.h"

struct faulty {
    struct queue base;
    struct queue *inner;
    struct fault *fault;
};

static const struct queue_ops faulty_ops;

struct queue *faulty_queue_wrap(struct queue *inner, struct fault *fault)
{
    struct faulty *faulty = alloc_zeroed(1, sizeof *faulty);
    faulty->base.ops = &faulty_ops;
    faulty->inner = inner;
    faulty->fault = fault;
    return &faulty->base;
}

static struct queue *inner_of(struct queue *queue)
{
    return ((struct faulty *)queue)->inner;
}

static enum fault_answer next(struct queue *queue, struct error *err)
{
    enum fault_answer answer = fault_next(((struct faulty *)queue)->fault);
    if (answer != FAULT_NONE)
        error_set(err, ERROR_UNAVAILABLE, "this call was chosen to fail");
    return answer;
}

static bool faulty_check_url(const char *url, struct error *err)
{
    (void)url;
    return error_set(err, ERROR_INVALID, "made by faulty_queue_wrap only");
}

static struct queue *faulty_open(const char *url, const char *topic, struct error *err)
{
    (void)topic;
    faulty_check_url(url, err);
    return NULL;
}

static void faulty_close(struct queue *queue)
{
    queue_close(inner_of(queue));
    free(queue);
}

static bool faulty_publish(struct queue *queue, const char *topic, const char *id,
                           struct error *err)
{
    enum fault_answer fault = next(queue, err);
    if (fault == FAULT_BEFORE)
        return false;
    return queue_publish(inner_of(queue), topic, id, err) && fault == FAULT_NONE;
}

// Failing after the effect, the hint is received and lost.
static enum queue_answer faulty_receive(struct queue *queue, int timeout_ms, struct queue_hint *out,
                                        struct error *err)
{
    enum fault_answer fault = next(queue, err);
    if (fault == FAULT_BEFORE)
        return QUEUE_ERROR;
    enum queue_answer answer = queue_receive(inner_of(queue), timeout_ms, out, err);
    return fault == FAULT_NONE ? answer : QUEUE_ERROR;
}

static bool faulty_ack(struct queue *queue, const struct queue_hint *hint, struct error *err)
{
    enum fault_answer fault = next(queue, err);
    if (fault == FAULT_BEFORE)
        return false;
    return queue_ack(inner_of(queue), hint, err) && fault == FAULT_NONE;
}

static bool faulty_reject(struct queue *queue, const struct queue_hint *hint, struct error *err)
{
    enum fault_answer fault = next(queue, err);
    if (fault == FAULT_BEFORE)
        return false;
    return queue_reject(inner_of(queue), hint, err) && fault == FAULT_NONE;
}

static int faulty_poll_fd(struct queue *queue)
{
    return queue_poll_fd(inner_of(queue));
}

static bool faulty_pump(struct queue *queue, struct error *err)
{
    return next(queue, err) == FAULT_NONE && queue_pump(inner_of(queue), err);
}

static const struct queue_ops faulty_ops = {
    .schemes = (const char *const[]){"faulty", NULL},
    .check_url = faulty_check_url,
    .open = faulty_open,
    .close = faulty_close,
    .publish = faulty_publish,
    .receive = faulty_receive,
    .ack = faulty_ack,
    .reject = faulty_reject,
    .poll_fd = faulty_poll_fd,
    .pump = faulty_pump,
};
