#pragma once
// Inside of the RabbitMQ backend: one connection with one channel, and what its files ask of each
// other. queue_rabbitmq_connection.c makes it, queue_rabbitmq_declare.c the queues on it,
// queue_rabbitmq_frames.c understands what comes in, queue_rabbitmq.c keeps queue.h's promises.

#include "base/url.h"
#include "queue/queue_backend.h"

#include <stdint.h>
#include <sys/time.h>

// Debian 12 has version 0.11, Debian 13 has 0.15.
#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#else
#include <amqp.h>
#endif

enum { RABBITMQ_TOPICS_MAX = 4, RABBITMQ_TOPIC_SIZE = 24 };

// The message that is being read, frame by frame: it may be of any size and whoever wrote it.
struct rabbitmq_incoming {
    enum { RABBITMQ_NO_MESSAGE, RABBITMQ_DELIVERED, RABBITMQ_RETURNED } kind;
    bool has_header;
    uint64_t tag;
    uint64_t left_bytes;
    size_t size; // of the text; ID_SIZE: too long for an id
    char text[ID_SIZE];
};

struct rabbitmq {
    struct queue base;
    struct url url;
    char *topic; // NULL: publishes only

    size_t host; // the one that is connected, or is tried next
    int failures;
    int64_t retry_at_ms; // no attempt to connect before
    char trouble[160];   // why there is no connection

    // All that follows belongs to this connection and is zeroed with it.
    amqp_connection_state_t connection; // NULL: none
    uint32_t connection_number;         // this one survives
    int64_t connected_at_ms;
    bool is_proven;           // it has been of use: its loss is followed by an attempt at once
    int64_t answers_until_ms; // of the calls that wait for an answer, all together
    amqp_channel_t channel;   // 1 or 2: what a closed one still says is not heard
    int64_t heard_at_ms;      // a hint, or that there is none
    bool is_blocked;
    char declared[RABBITMQ_TOPICS_MAX][RABBITMQ_TOPIC_SIZE];
    size_t declared_count;
    struct rabbitmq_incoming incoming;
    uint64_t hint_tag; // of the hint that was received and is not settled; 0: none
    char hint_id[ID_SIZE];
    uint64_t published;   // messages so far: the last one's confirm tag
    uint64_t awaited_tag; // not confirmed yet; 0: none
    int64_t awaited_since_ms;
    bool is_refused, is_returned; // what came of the last one
    int64_t refused_since_ms;     // the first time; 0: never
};

// Connected already, or one attempt a host until the deadline; fails at once while the back-off
// lasts.
bool rabbitmq_keep_connected(struct rabbitmq *rabbitmq, int64_t deadline_ms, struct error *err);
// The connection is of no use any more. Returns false with err, which is what became of it.
bool rabbitmq_lose(struct rabbitmq *rabbitmq, struct error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// Says goodbye where that does not take long.
void rabbitmq_disconnect(struct rabbitmq *rabbitmq);

// What is left until a monotonic deadline.
struct timeval rabbitmq_left(int64_t deadline_ms);

// Whether the last call that waits for its answer succeeded; err is set without the connection
// being given up.
bool rabbitmq_succeeded(struct rabbitmq *rabbitmq, const char *what, struct error *err);
// For all such calls from here on; false when it is over.
bool rabbitmq_set_timeout(struct rabbitmq *rabbitmq, int64_t deadline_ms, struct error *err);

// The topic's queue and the dead letters behind it are there. Once a connection and topic.
bool rabbitmq_declare(struct rabbitmq *rabbitmq, const char *topic, int64_t deadline_ms,
                      struct error *err);
// It turned out not to be there.
void rabbitmq_undeclare(struct rabbitmq *rabbitmq);

// A consumer that has not heard of a hint for a while begins anew on another channel. False: the
// connection is given up.
bool rabbitmq_renew_consumer(struct rabbitmq *rabbitmq, struct error *err);

enum rabbitmq_read { RABBITMQ_FRAME, RABBITMQ_QUIET, RABBITMQ_LOST };

// Waits for one frame and notes what it says. LOST: err is set, the connection is closed.
enum rabbitmq_read rabbitmq_read(struct rabbitmq *rabbitmq, int64_t deadline_ms, struct error *err);
// All that has come, without waiting. False: as LOST.
bool rabbitmq_read_waiting(struct rabbitmq *rabbitmq, struct error *err);
// Until a small frame can be sent without waiting. False: the connection is given up.
bool rabbitmq_can_send(struct rabbitmq *rabbitmq, int64_t deadline_ms, struct error *err);
