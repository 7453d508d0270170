// Making and losing the connection: hosts in turn, back-off, TLS, log-in, channel, consumer.
//
// librabbitmq has no thread: nothing happens to a connection outside our calls. Every step has what
// is left of one deadline. Only the resolver keeps its own (resolv.conf).

#include "queue/queue_rabbitmq.h"

#include "base/clock.h"
#include "base/text.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/ssl_socket.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#endif

enum {
    PORT = 5672,
    PORT_TLS = 5671,
    HEARTBEAT_S = 30, // a silent peer is given up after twice that
    FRAME_BYTES = 131072,
    BACKOFF_BASE_MS = 250,
    BACKOFF_CAP_MS = 10000,
    PROVEN_AFTER_MS = 10000, // a connection that lasted so long was a good one
    GOODBYE_MS = 300,
    QUIET_MS = 20000,
    RENEW_TIMEOUT_MS = 3000,
};

// Where Debian keeps the authorities that everybody trusts.
static const char default_authorities[] = "/etc/ssl/certs/ca-certificates.crt";

static bool is_tls(const struct rabbitmq *rabbitmq)
{
    return strcmp(rabbitmq->url.scheme, "amqps") == 0;
}

static int port_of(const struct rabbitmq *rabbitmq, const struct url_host *host)
{
    return host->port != 0 ? host->port : is_tls(rabbitmq) ? PORT_TLS : PORT;
}

static const char *virtual_host(const struct rabbitmq *rabbitmq)
{
    return rabbitmq->url.path[0] == '\0' ? "/" : rabbitmq->url.path;
}

struct timeval rabbitmq_left(int64_t deadline_ms)
{
    int left_ms = clock_left_ms(deadline_ms);
    return (struct timeval){.tv_sec = left_ms / 1000, .tv_usec = left_ms % 1000 * 1000L};
}

// ---- what the library and the broker say ----

static void broker_said(int code, amqp_bytes_t text, int *out_code, char *out, size_t out_size)
{
    *out_code = code;
    text_clean(out, out_size, text.bytes, text.len);
}

// The broker's code, or 0, and its text or the library's.
static int describe(amqp_rpc_reply_t reply, char *out, size_t out_size)
{
    int code = 0;
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION)
        snprintf(out, out_size, "%s", amqp_error_string2(reply.library_error));
    else if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
             reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
        const amqp_connection_close_t *closed = reply.reply.decoded;
        broker_said(closed->reply_code, closed->reply_text, &code, out, out_size);
    } else if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
               reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *closed = reply.reply.decoded;
        broker_said(closed->reply_code, closed->reply_text, &code, out, out_size);
    } else
        snprintf(out, out_size, "an answer that was not understood");
    return code;
}

bool rabbitmq_succeeded(struct rabbitmq *rabbitmq, const char *what, struct error *err)
{
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(rabbitmq->connection);
    if (reply.reply_type == AMQP_RESPONSE_NORMAL)
        // The library gives each call the whole of its time-out.
        return rabbitmq_set_timeout(rabbitmq, rabbitmq->answers_until_ms, err);
    char text[160];
    if (describe(reply, text, sizeof text) == AMQP_PRECONDITION_FAILED)
        return error_set(err, ERROR_UNAVAILABLE,
                         "%s exists with other properties than Unreel's; delete it, then it is "
                         "made anew (%s)",
                         what, text);
    return error_set(err, ERROR_UNAVAILABLE, "%s: %s", what, text);
}

bool rabbitmq_set_timeout(struct rabbitmq *rabbitmq, int64_t deadline_ms, struct error *err)
{
    struct timeval left = rabbitmq_left(deadline_ms);
    rabbitmq->answers_until_ms = deadline_ms;
    if (left.tv_sec == 0 && left.tv_usec == 0)
        return error_set(err, ERROR_UNAVAILABLE, "no answer in time");
    amqp_set_rpc_timeout(rabbitmq->connection, &left);
    return true;
}

// ---- one attempt ----

static bool open_tls_socket(struct rabbitmq *rabbitmq, amqp_socket_t **out, struct error *err)
{
    amqp_socket_t *socket = amqp_ssl_socket_new(rabbitmq->connection);
    if (socket == NULL)
        return error_set(err, ERROR_INTERNAL, "cannot make a TLS socket");
    const char *authorities = url_parameter(&rabbitmq->url, "tls-ca");
    if (authorities == NULL)
        authorities = default_authorities;
    amqp_ssl_socket_set_verify_peer(socket, 1);
    amqp_ssl_socket_set_verify_hostname(socket, 1);
    if (amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST) != AMQP_STATUS_OK)
        return error_set(err, ERROR_INTERNAL, "cannot have TLS 1.2");
    if (amqp_ssl_socket_set_cacert(socket, authorities) != AMQP_STATUS_OK)
        return error_set(err, ERROR_UNAVAILABLE, "cannot read certificates from %s", authorities);
    *out = socket;
    return true;
}

static bool open_socket(struct rabbitmq *rabbitmq, const struct url_host *host, int64_t deadline_ms,
                        struct error *err)
{
    amqp_socket_t *socket = NULL;
    if (is_tls(rabbitmq)) {
        if (!open_tls_socket(rabbitmq, &socket, err))
            return false;
    } else if ((socket = amqp_tcp_socket_new(rabbitmq->connection)) == NULL)
        return error_set(err, ERROR_INTERNAL, "cannot make a socket");
    struct timeval left = rabbitmq_left(deadline_ms);
    int status = amqp_socket_open_noblock(socket, host->name, port_of(rabbitmq, host), &left);
    if (status == AMQP_STATUS_OK)
        return true;
    if (status == AMQP_STATUS_SSL_HOSTNAME_VERIFY_FAILED)
        return error_set(err, ERROR_UNAVAILABLE, "the certificate is not for this name");
    if (status == AMQP_STATUS_SSL_PEER_VERIFY_FAILED)
        return error_set(err, ERROR_UNAVAILABLE, "the certificate is not to be trusted");
    if (status == AMQP_STATUS_SOCKET_ERROR)
        return error_set(err, ERROR_UNAVAILABLE, "it takes no connection");
    return error_set(err, ERROR_UNAVAILABLE, "%s", amqp_error_string2(status));
}

// The library does not ask by itself to be told of a blocked connection or a deleted queue.
static amqp_rpc_reply_t send_log_in(struct rabbitmq *rabbitmq)
{
    char name[48];
    snprintf(name, sizeof name, "unreel %s", rabbitmq->topic != NULL ? rabbitmq->topic : "hints");
    const amqp_field_value_t yes = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value = {.boolean = 1}};
    amqp_table_entry_t capabilities[] = {
        {amqp_cstring_bytes("connection.blocked"), yes},
        {amqp_cstring_bytes("consumer_cancel_notify"), yes},
    };
    amqp_table_entry_t properties[] = {
        {amqp_cstring_bytes("capabilities"),
         {.kind = AMQP_FIELD_KIND_TABLE, .value = {.table = {2, capabilities}}}},
        {amqp_cstring_bytes("connection_name"),
         {.kind = AMQP_FIELD_KIND_UTF8, .value = {.bytes = amqp_cstring_bytes(name)}}},
    };
    const amqp_table_t properties_table = {2, properties};
    return amqp_login_with_properties(rabbitmq->connection, virtual_host(rabbitmq), 0, FRAME_BYTES,
                                      HEARTBEAT_S, &properties_table, AMQP_SASL_METHOD_PLAIN,
                                      rabbitmq->url.user, rabbitmq->url.password);
}

static bool log_in(struct rabbitmq *rabbitmq, int64_t deadline_ms, struct error *err)
{
    struct timeval left = rabbitmq_left(deadline_ms);
    amqp_set_handshake_timeout(rabbitmq->connection, &left);
    amqp_rpc_reply_t reply = send_log_in(rabbitmq);
    if (reply.reply_type == AMQP_RESPONSE_NORMAL)
        return true;
    char text[160];
    switch (describe(reply, text, sizeof text)) {
    case AMQP_ACCESS_REFUSED:
        return error_set(err, ERROR_UNAVAILABLE, "the user or the password is not accepted");
    case AMQP_NOT_ALLOWED:
        return error_set(err, ERROR_UNAVAILABLE,
                         "there is no virtual host '%s', or this user may not use it",
                         virtual_host(rabbitmq));
    default:
        return error_set(err, ERROR_UNAVAILABLE, "log-in: %s", text);
    }
}

static bool open_channel(struct rabbitmq *rabbitmq, int64_t deadline_ms, struct error *err)
{
    rabbitmq->channel = rabbitmq->channel == 1 ? 2 : 1;
    amqp_connection_state_t connection = rabbitmq->connection;
    if (!rabbitmq_set_timeout(rabbitmq, deadline_ms, err))
        return false;
    amqp_channel_open(connection, rabbitmq->channel);
    if (!rabbitmq_succeeded(rabbitmq, "the channel", err))
        return false;
    amqp_confirm_select(connection, rabbitmq->channel);
    return rabbitmq_succeeded(rabbitmq, "confirms", err);
}

static bool start_consumer(struct rabbitmq *rabbitmq, int64_t deadline_ms, struct error *err)
{
    amqp_connection_state_t connection = rabbitmq->connection;
    if (!rabbitmq_declare(rabbitmq, rabbitmq->topic, deadline_ms, err))
        return false;
    amqp_basic_qos(connection, rabbitmq->channel, 0, 1, 0);
    if (!rabbitmq_succeeded(rabbitmq, "the prefetch count", err))
        return false;
    amqp_basic_consume(connection, rabbitmq->channel, amqp_cstring_bytes(rabbitmq->topic),
                       amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
    return rabbitmq_succeeded(rabbitmq, "the consumer", err);
}

// A host that does not answer leaves the others their share of the time; one that does gets the
// rest.
static bool connect_to(struct rabbitmq *rabbitmq, const struct url_host *host, int64_t share_ms,
                       int64_t deadline_ms, struct error *err)
{
    int64_t answer_by_ms = clock_monotonic_ms() + share_ms;
    rabbitmq->connection = amqp_new_connection();
    if (rabbitmq->connection == NULL)
        return error_set(err, ERROR_INTERNAL, "cannot make a connection");
    return open_socket(rabbitmq, host, answer_by_ms, err) && log_in(rabbitmq, answer_by_ms, err) &&
           open_channel(rabbitmq, deadline_ms, err) &&
           (rabbitmq->topic == NULL || start_consumer(rabbitmq, deadline_ms, err));
}

// ---- keeping and losing ----

static void forget_connection(struct rabbitmq *rabbitmq)
{
    if (rabbitmq->connection != NULL)
        amqp_destroy_connection(rabbitmq->connection);
    size_t kept = offsetof(struct rabbitmq, connection);
    uint32_t number = rabbitmq->connection_number;
    memset((char *)rabbitmq + kept, 0, sizeof *rabbitmq - kept);
    rabbitmq->connection_number = number;
}

static void back_off(struct rabbitmq *rabbitmq)
{
    rabbitmq->failures++;
    rabbitmq->retry_at_ms = clock_monotonic_ms() +
                            clock_backoff_ms(rabbitmq->failures, BACKOFF_BASE_MS, BACKOFF_CAP_MS);
}

// A quorum queue that is deleted and at once made anew can count a hint as delivered that never
// arrives (seen with RabbitMQ 3.10): a consumer with a prefetch of one would wait for ever.
bool rabbitmq_renew_consumer(struct rabbitmq *rabbitmq, struct error *err)
{
    int64_t now_ms = clock_monotonic_ms(), deadline_ms = now_ms + RENEW_TIMEOUT_MS;
    if (rabbitmq->topic == NULL || rabbitmq->hint_tag != 0 || rabbitmq->awaited_tag != 0 ||
        rabbitmq->is_blocked || now_ms - rabbitmq->heard_at_ms < QUIET_MS)
        return true;
    rabbitmq->heard_at_ms = now_ms;
    rabbitmq->published = 0;
    rabbitmq->incoming = (struct rabbitmq_incoming){0};
    bool is_renewed = rabbitmq_set_timeout(rabbitmq, deadline_ms, err);
    if (is_renewed) {
        amqp_channel_close(rabbitmq->connection, rabbitmq->channel, AMQP_REPLY_SUCCESS);
        is_renewed = rabbitmq_succeeded(rabbitmq, "the channel", err) &&
                     open_channel(rabbitmq, deadline_ms, err) &&
                     start_consumer(rabbitmq, deadline_ms, err);
    }
    return is_renewed || rabbitmq_lose(rabbitmq, err, "%s", err->text);
}

bool rabbitmq_keep_connected(struct rabbitmq *rabbitmq, int64_t deadline_ms, struct error *err)
{
    if (rabbitmq->connection != NULL)
        return true;
    if (clock_monotonic_ms() < rabbitmq->retry_at_ms)
        return error_set(err, ERROR_UNAVAILABLE, "%s", rabbitmq->trouble);
    struct error reason = {0};
    size_t count = rabbitmq->url.host_count;
    for (size_t i = 0; i < count; i++) {
        const struct url_host *host = &rabbitmq->url.hosts[rabbitmq->host];
        int64_t share_ms = clock_left_ms(deadline_ms) / (int64_t)(count - i);
        if (connect_to(rabbitmq, host, share_ms, deadline_ms, &reason)) {
            rabbitmq->connection_number++;
            rabbitmq->connected_at_ms = rabbitmq->heard_at_ms = clock_monotonic_ms();
            return true;
        }
        error_prefix(&reason, "RabbitMQ at %s:%d", host->name, port_of(rabbitmq, host));
        forget_connection(rabbitmq);
        rabbitmq->host = (rabbitmq->host + 1) % count;
    }
    back_off(rabbitmq);
    text_copy(rabbitmq->trouble, sizeof rabbitmq->trouble, reason.text);
    *err = reason;
    return false;
}

bool rabbitmq_lose(struct rabbitmq *rabbitmq, struct error *err, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char reason[180];
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    const struct url_host *host = &rabbitmq->url.hosts[rabbitmq->host];
    error_set(err, ERROR_UNAVAILABLE, "RabbitMQ at %s:%d: %s", host->name, port_of(rabbitmq, host),
              reason);
    bool was_good =
        rabbitmq->is_proven || clock_monotonic_ms() - rabbitmq->connected_at_ms >= PROVEN_AFTER_MS;
    forget_connection(rabbitmq);
    rabbitmq->host = (rabbitmq->host + 1) % rabbitmq->url.host_count;
    if (was_good)
        rabbitmq->failures = 0;
    else
        back_off(rabbitmq);
    text_copy(rabbitmq->trouble, sizeof rabbitmq->trouble, err->text);
    return false;
}

void rabbitmq_disconnect(struct rabbitmq *rabbitmq)
{
    if (rabbitmq->connection != NULL && !rabbitmq->is_blocked && rabbitmq->awaited_tag == 0) {
        struct timeval short_time = {.tv_usec = GOODBYE_MS * 1000L};
        amqp_set_rpc_timeout(rabbitmq->connection, &short_time);
        amqp_connection_close(rabbitmq->connection, AMQP_REPLY_SUCCESS);
    }
    forget_connection(rabbitmq);
}

bool rabbitmq_can_send(struct rabbitmq *rabbitmq, int64_t deadline_ms, struct error *err)
{
    struct pollfd socket = {.fd = amqp_get_sockfd(rabbitmq->connection), .events = POLLOUT};
    // The library itself would wait without an end. Linux calls a socket writable when a third of
    // its buffer is free, which is room for many hints.
    if (poll(&socket, 1, clock_left_ms(deadline_ms)) == 1)
        return true;
    return rabbitmq_lose(rabbitmq, err, "it takes nothing any more");
}
