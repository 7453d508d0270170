#pragma once
// Hints: "look at this id now". A hint may be lost, doubled, delayed or come out of order; the
// tables are right without it, only later. Topics are "video" (a conversion is due) and "mp3" (a
// letter is due).
//
// `local:DIRECTORY`: a datagram to the socket of every consumer in that directory.
// `none:`: no hints at all; everything is found by looking into the tables every few seconds.
// `amqp://USER:PASSWORD@HOST[:PORT][,HOST2…]/[VHOST]`, `amqps://…[?tls-ca=FILE]`: RabbitMQ, a
// durable queue a topic; a hint without a consumer waits there.

#include "base/error.h"
#include "base/id.h"
#include "base/scope.h"

#include <stdbool.h>

struct queue;

// Whether there is a backend for the URL and the URL is what it wants; opens nothing. INVALID if
// not.
bool queue_check_url(const char *url, struct error *err);

// A handle belongs to one thread. `topic` NULL: publishes only; else consumes that topic. Success
// does not say that a server can be reached: that is queue_pump's to say.
struct queue *queue_open(const char *url, const char *topic, struct error *err);
void queue_close(struct queue *queue);
SCOPE_DEFINE(queue_close, struct queue *);

// Best effort within two seconds, for which it may wait once; while the server stays silent,
// further calls fail at once. With no consumer there the hint may be gone, which is not an error.
// INVALID when `id` is no id; UNAVAILABLE when the hint was not sent, or not for sure.
bool queue_publish(struct queue *queue, const char *topic, const char *id, struct error *err);

struct queue_hint {
    char id[ID_SIZE]; // "": no id; reject it
    char receipt[64]; // the backend's; give it back unchanged
};

enum queue_answer { QUEUE_HINT, QUEUE_NOTHING, QUEUE_ERROR };

// Waits at most that long, and five seconds for a connection where there is none. After QUEUE_ERROR
// the handle reconnects by itself at the next call; do not call it in a tight loop. One hint at a
// time: until it is acknowledged or rejected, the same one may be given again.
enum queue_answer queue_receive(struct queue *queue, int timeout_ms, struct queue_hint *out,
                                struct error *err);
// The hint was looked at. A lost ack only doubles the hint; one that comes after a reconnection is
// no error.
bool queue_ack(struct queue *queue, const struct queue_hint *hint, struct error *err);
// Not a hint at all (malformed id): to the dead letters where there are any.
bool queue_reject(struct queue *queue, const struct queue_hint *hint, struct error *err);
// Readable when a hint may wait, for poll(2); -1 if the backend has none. Ask again after each
// call: a reconnection changes it.
int queue_poll_fd(struct queue *queue);
// Call each second while something else is done between receive and ack, or nothing is published:
// keeps the connection. False: there is none now.
bool queue_pump(struct queue *queue, struct error *err);
