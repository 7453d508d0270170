#pragma once
// Hints: "look at this id now". A hint may be lost, doubled, delayed or come out of order; the
// tables are right without it, only later. Topics are "video" (a conversion is due) and "mp3" (a
// letter is due).
//
// `local:DIRECTORY`: a datagram to the socket of every consumer in that directory.
// `none:`: no hints at all; everything is found by looking into the tables every few seconds.

#include "base/error.h"
#include "base/id.h"
#include "base/scope.h"

#include <stdbool.h>

struct queue;

// Whether there is a backend for the URL; opens nothing. INVALID if not.
bool queue_check_url(const char *url, struct error *err);

// A handle belongs to one thread. `topic` NULL: publishes only; else consumes that topic.
struct queue *queue_open(const char *url, const char *topic, struct error *err);
void queue_close(struct queue *queue);
SCOPE_DEFINE(queue_close, struct queue *);

// Best effort within two seconds. With no consumer there the hint is gone, which is not an error.
// INVALID when `id` is no id.
bool queue_publish(struct queue *queue, const char *topic, const char *id, struct error *err);

struct queue_hint {
    char id[ID_SIZE];
    char receipt[64]; // the backend's; give it back unchanged
};

enum queue_answer { QUEUE_HINT, QUEUE_NOTHING, QUEUE_ERROR };

// Waits at most that long. After QUEUE_ERROR the handle reconnects by itself at the next call; do
// not call it in a tight loop.
enum queue_answer queue_receive(struct queue *queue, int timeout_ms, struct queue_hint *out,
                                struct error *err);
// The hint was looked at. A lost ack only doubles the hint.
bool queue_ack(struct queue *queue, const struct queue_hint *hint, struct error *err);
// Not a hint at all (malformed id): to the dead letters where there are any.
bool queue_reject(struct queue *queue, const struct queue_hint *hint, struct error *err);
// Readable when a hint may wait, for poll(2); -1 if the backend has none. Ask again after each
// call: a reconnection changes it.
int queue_poll_fd(struct queue *queue);
// Call each second while something else is done between receive and ack: keeps the connection.
bool queue_pump(struct queue *queue, struct error *err);
