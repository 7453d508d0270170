#pragma once
// For implementers of a backend: one file that ends in one `const struct queue_ops`, listed in
// queue.c. Every member is required; queue.h holds the contracts.

#include "queue/queue.h"

struct queue_ops {
    const char *const *schemes; // {"local", NULL}
    bool (*check_url)(const char *url, struct error *err);
    struct queue *(*open)(const char *url, const char *topic, struct error *err);
    void (*close)(struct queue *queue);
    bool (*publish)(struct queue *queue, const char *topic, const char *id, struct error *err);
    enum queue_answer (*receive)(struct queue *queue, int timeout_ms, struct queue_hint *out,
                                 struct error *err);
    bool (*ack)(struct queue *queue, const struct queue_hint *hint, struct error *err);
    bool (*reject)(struct queue *queue, const struct queue_hint *hint, struct error *err);
    int (*poll_fd)(struct queue *queue);
    bool (*pump)(struct queue *queue, struct error *err);
};

struct queue {
    const struct queue_ops *ops; // a backend's own struct begins with this one
};

extern const struct queue_ops queue_local_ops, queue_none_ops, queue_rabbitmq_ops;
extern const struct queue_ops *const queue_backends[]; // NULL ends it
