// The queues: one a topic, and one for all dead letters. Declared by us with every argument given,
// since a queue's defaults differ between versions of RabbitMQ. Changing any of them needs another
// queue name: a queue cannot be changed, and two releases meet during an upgrade.
//
//   TOPIC        quorum, at most 10,000 hints; then publishing is refused, the tables know anyway.
//                What was delivered seven times without an answer, or was refused, goes to:
//   hints.dead   exchange (fanout) and quorum queue; the oldest go when it is full, all after a
//                week. At least once: needs x-overflow=reject-publish at the source.

#include "queue/queue_rabbitmq.h"

#include <stdio.h>
#include <string.h>

enum { HINTS_MAX = 10000, DELIVERY_LIMIT = 6, DEAD_MAX = 10000 };
static const int64_t dead_ttl_ms = 7LL * 24 * 3600 * 1000;
static const char dead_name[] = "hints.dead";

static amqp_table_entry_t text_entry(const char *key, const char *value)
{
    return (amqp_table_entry_t){
        .key = amqp_cstring_bytes(key),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value = {.bytes = amqp_cstring_bytes(value)}},
    };
}

static amqp_table_entry_t number_entry(const char *key, int64_t value)
{
    return (amqp_table_entry_t){
        .key = amqp_cstring_bytes(key),
        .value = {.kind = AMQP_FIELD_KIND_I64, .value = {.i64 = value}},
    };
}

static bool declare_queue(struct rabbitmq *rabbitmq, const char *name, amqp_table_entry_t *entries,
                          int count, struct error *err)
{
    const amqp_table_t arguments = {.num_entries = count, .entries = entries};
    amqp_queue_declare(rabbitmq->connection, rabbitmq->channel, amqp_cstring_bytes(name), 0, 1, 0,
                       0, arguments);
    char what[40];
    snprintf(what, sizeof what, "the queue '%s'", name);
    return rabbitmq_succeeded(rabbitmq, what, err);
}

static bool declare_topic(struct rabbitmq *rabbitmq, const char *topic, struct error *err)
{
    amqp_table_entry_t arguments[] = {
        text_entry("x-queue-type", "quorum"),
        number_entry("x-delivery-limit", DELIVERY_LIMIT),
        number_entry("x-max-length", HINTS_MAX),
        text_entry("x-overflow", "reject-publish"),
        text_entry("x-dead-letter-exchange", dead_name),
        text_entry("x-dead-letter-strategy", "at-least-once"),
    };
    return declare_queue(rabbitmq, topic, arguments, sizeof arguments / sizeof arguments[0], err);
}

static bool declare_dead_letters(struct rabbitmq *rabbitmq, struct error *err)
{
    amqp_connection_state_t connection = rabbitmq->connection;
    amqp_bytes_t name = amqp_cstring_bytes(dead_name);
    amqp_exchange_declare(connection, rabbitmq->channel, name, amqp_cstring_bytes("fanout"), 0, 1,
                          0, 0, amqp_empty_table);
    if (!rabbitmq_succeeded(rabbitmq, "the exchange 'hints.dead'", err))
        return false;
    amqp_table_entry_t arguments[] = {
        text_entry("x-queue-type", "quorum"),
        number_entry("x-max-length", DEAD_MAX),
        text_entry("x-overflow", "drop-head"),
        number_entry("x-message-ttl", dead_ttl_ms),
    };
    if (!declare_queue(rabbitmq, dead_name, arguments, sizeof arguments / sizeof arguments[0], err))
        return false;
    amqp_queue_bind(connection, rabbitmq->channel, name, name, amqp_empty_bytes, amqp_empty_table);
    return rabbitmq_succeeded(rabbitmq, "the binding of 'hints.dead'", err);
}

bool rabbitmq_declare(struct rabbitmq *rabbitmq, const char *topic, int64_t deadline_ms,
                      struct error *err)
{
    for (size_t i = 0; i < rabbitmq->declared_count; i++)
        if (strcmp(rabbitmq->declared[i], topic) == 0)
            return true;
    if (!rabbitmq_set_timeout(rabbitmq, deadline_ms, err) || !declare_dead_letters(rabbitmq, err) ||
        !declare_topic(rabbitmq, topic, err))
        return false;
    if (rabbitmq->declared_count < RABBITMQ_TOPICS_MAX)
        snprintf(rabbitmq->declared[rabbitmq->declared_count++], RABBITMQ_TOPIC_SIZE, "%s", topic);
    return true;
}

void rabbitmq_undeclare(struct rabbitmq *rabbitmq)
{
    rabbitmq->declared_count = 0;
}
