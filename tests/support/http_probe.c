// The HTTP server with routes that tests look at: http_probe LISTEN [key=value…]. Prints
// "port N admin M" when it serves; SIGTERM drains and ends it. Counts of steps stand at /counts.

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/stop.h"
#include "base/text.h"
#include "http/http.h"
#include "http/http_admin.h"
#include "http/http_limits.h"
#include "http/http_reply.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static atomic_int begins, bodies, ends, fills, finishes, opened, closed;
static int64_t open_failures, drain_ms = 2000;
static const char *file_path = "/dev/null", *sink_path = "/dev/null";

struct upload {
    uint64_t size;
    uint32_t hash; // FNV-1a
    int fd;
};

static int64_t query_number(struct http_exchange *exchange, const char *name, int64_t fallback)
{
    const char *text = http_query(exchange, name);
    int64_t value = fallback;
    if (text != NULL)
        text_parse_integer(text, 0, INT64_MAX, &value);
    return value;
}

static void hello(struct http_exchange *exchange)
{
    http_reply_text(exchange, 200, "text/plain", "hello\n");
}

static void silent(struct http_exchange *exchange)
{
    (void)exchange;
}

static void slow(struct http_exchange *exchange)
{
    clock_sleep_ms(query_number(exchange, "ms", 0));
    hello(exchange);
}

static void hold(struct http_exchange *exchange)
{
    if (http_is_stopping(exchange))
        http_reply_text(exchange, 200, "text/plain", "stopping\n");
    else
        http_again(exchange, query_number(exchange, "ms", 1000));
}

static void count_down(struct http_exchange *exchange)
{
    int64_t *left = http_state(exchange);
    atomic_fetch_add(&ends, 1);
    if (left == NULL) {
        left = malloc(sizeof *left);
        *left = query_number(exchange, "times", 3);
        http_set_state(exchange, left);
    }
    if (--*left > 0)
        http_again(exchange, query_number(exchange, "ms", 20));
    else
        hello(exchange);
}

static void upload_begin(struct http_exchange *exchange)
{
    atomic_fetch_add(&begins, 1);
    clock_sleep_ms(query_number(exchange, "begin_ms", 0));
    if (http_query(exchange, "refuse") != NULL) {
        http_reply_problem(exchange, 401, "denied", "Please log in.");
        return;
    }
    struct upload *upload = calloc(1, sizeof *upload);
    upload->hash = 2166136261U;
    upload->fd = -1;
    if (http_query(exchange, "store") != NULL)
        upload->fd = open(sink_path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
    http_set_state(exchange, upload);
}

static void upload_body(struct http_exchange *exchange, const void *bytes, size_t size)
{
    struct upload *upload = http_state(exchange);
    struct error err = {0};
    atomic_fetch_add(&bodies, 1);
    clock_sleep_ms(query_number(exchange, "body_ms", 0));
    if (http_query(exchange, "hash") != NULL)
        for (size_t i = 0; i < size; i++)
            upload->hash = (upload->hash ^ ((const uint8_t *)bytes)[i]) * 16777619U;
    if (upload->fd >= 0 && !file_write_all(upload->fd, bytes, size, &err))
        http_reply_error(exchange, &err);
    upload->size += size;
    if (upload->size > (uint64_t)query_number(exchange, "limit", INT64_MAX))
        http_reply_problem(exchange, 507, "no_space", "The store is full.");
}

static void upload_end(struct http_exchange *exchange)
{
    struct upload *upload = http_state(exchange);
    atomic_fetch_add(&ends, 1);
    clock_sleep_ms(query_number(exchange, "end_ms", 0));
    http_reply_json(exchange, 201,
                    json_pack("{s:I, s:I}", "size", (json_int_t)upload->size, "hash",
                              (json_int_t)upload->hash));
}

static void upload_finish(struct http_exchange *exchange)
{
    struct upload *upload = http_state(exchange);
    if (upload != NULL && upload->fd >= 0)
        close(upload->fd);
    atomic_fetch_add(&finishes, 1);
    free(upload);
}

static void state_finish(struct http_exchange *exchange)
{
    atomic_fetch_add(&finishes, 1);
    free(http_state(exchange));
}

static void echo(struct http_exchange *exchange)
{
    size_t size;
    const char *bytes = http_body(exchange, &size);
    http_reply_bytes(exchange, 200, "application/octet-stream", bytes, size);
}

static void send_file(struct http_exchange *exchange)
{
    struct stat status;
    int fd = open(file_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        http_reply_problem(exchange, 404, "not_found", "no file");
        return;
    }
    http_reply_file(exchange, &(struct http_file){
                                  .fd = fd,
                                  .size_bytes = status.st_size,
                                  .content_type = "audio/mpeg",
                                  .etag = "v1",
                                  .filename = http_query(exchange, "name"),
                                  .is_inline = http_query(exchange, "inline") != NULL,
                                  .modified_at_ms = 1700000000000,
                              });
}

// The same file without a descriptor for the answer.
static void stream_file(struct http_exchange *exchange)
{
    struct stat status;
    int *fd = malloc(sizeof *fd);
    *fd = open(file_path, O_RDONLY | O_CLOEXEC);
    http_set_state(exchange, fd);
    if (*fd < 0 || fstat(*fd, &status) != 0) {
        http_reply_problem(exchange, 404, "not_found", "no file");
        return;
    }
    http_reply_file(exchange, &(struct http_file){
                                  .fd = -1,
                                  .size_bytes = query_number(exchange, "size", status.st_size),
                                  .content_type = "audio/mpeg",
                                  .etag = "v1",
                                  .modified_at_ms = 1700000000000,
                              });
}

static ssize_t stream_fill(struct http_exchange *exchange, int64_t offset, void *out, size_t size,
                           struct error *err)
{
    const int *fd = http_state(exchange);
    atomic_fetch_add(&fills, 1);
    if (offset >= query_number(exchange, "slow_from", 0))
        clock_sleep_ms(query_number(exchange, "fill_ms", 0));
    if (offset >= query_number(exchange, "fail_from", INT64_MAX)) {
        error_set(err, ERROR_UNAVAILABLE, "the store is away");
        return -1;
    }
    size_t most = (size_t)query_number(exchange, "most", INT64_MAX);
    return file_read_at(*fd, out, size < most ? size : most, offset, err);
}

static void stream_finish(struct http_exchange *exchange)
{
    int *fd = http_state(exchange);
    if (fd != NULL && *fd >= 0)
        close(*fd);
    atomic_fetch_add(&finishes, 1);
    free(fd);
}

static const char *or_dash(const char *text)
{
    return text == NULL ? "-" : text;
}

static void describe(struct http_exchange *exchange)
{
    http_reply_json(exchange, 200,
                    json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "address",
                              http_client_address(exchange), "scheme", http_scheme(exchange),
                              "host", http_host(exchange), "path", http_path(exchange), "id",
                              or_dash(http_parameter(exchange, "id")), "route",
                              http_route_pattern(exchange), "x", or_dash(http_query(exchange, "x")),
                              "cookie", or_dash(http_cookie(exchange, "c")), "length",
                              (json_int_t)http_content_length(exchange)));
}

static void counts(struct http_exchange *exchange)
{
    http_reply_json(exchange, 200,
                    json_pack("{s:i, s:i, s:i, s:i, s:i, s:i}", "begins", atomic_load(&begins),
                              "bodies", atomic_load(&bodies), "ends", atomic_load(&ends), "fills",
                              atomic_load(&fills), "finishes", atomic_load(&finishes), "opened",
                              atomic_load(&opened)));
}

static void needs_worker(struct http_exchange *exchange)
{
    http_reply_text(exchange, 200, "text/plain", (const char *)http_worker(exchange));
}

#define UPLOAD_HANDLER                                                                             \
    {                                                                                              \
        .begin = upload_begin, .body = upload_body, .end = upload_end, .finish = upload_finish     \
    }

static void *open_worker(void *application, struct error *err)
{
    (void)application;
    if (atomic_fetch_add(&opened, 1) < open_failures) {
        error_set(err, ERROR_UNAVAILABLE, "not yet");
        return NULL;
    }
    return strdup("worker");
}

static void close_worker(void *worker)
{
    atomic_fetch_add(&closed, 1);
    free(worker);
}

static bool always_up(void *context, struct error *err)
{
    (void)context;
    (void)err;
    return true;
}

struct setting {
    const char *name;
    int64_t *value;
};

static void set_one(const struct setting *settings, size_t count, const char *argument)
{
    const char *equals = strchr(argument, '=');
    for (size_t i = 0; equals != NULL && i < count; i++)
        if (strlen(settings[i].name) == (size_t)(equals - argument) &&
            strncmp(settings[i].name, argument, strlen(settings[i].name)) == 0 &&
            text_parse_integer(equals + 1, 0, INT64_MAX, settings[i].value))
            return;
    fprintf(stderr, "unknown setting %s\n", argument);
    exit(2);
}

static void parse(struct http_server_options *options, struct http_limits *limits, int count,
                  char **arguments)
{
    int64_t workers = 4, events = 2, connections = 1000, queue_length = 256;
    const struct setting settings[] = {
        {"workers", &workers},
        {"events", &events},
        {"connections", &connections},
        {"queue_length", &queue_length},
        {"open_failures", &open_failures},
        {"drain_ms", &drain_ms},
        {"header_ms", &limits->header_ms},
        {"idle_ms", &limits->idle_ms},
        {"body_stall_ms", &limits->body_stall_ms},
        {"body_window_ms", &limits->body_window_ms},
        {"body_bytes_a_second", &limits->body_bytes_a_second},
        {"download_stall_ms", &limits->download_stall_ms},
        {"queue_wait_ms", &limits->queue_wait_ms},
        {"queue_wait_closed_ms", &limits->queue_wait_closed_ms},
        {"worker_retry_ms", &limits->worker_retry_ms},
        {"linger_ms", &limits->linger_ms},
        {"fill_ms", &limits->fill_ms},
    };
    for (int i = 0; i < count; i++) {
        if (text_starts_with(arguments[i], "file="))
            file_path = arguments[i] + 5;
        else if (text_starts_with(arguments[i], "sink="))
            sink_path = arguments[i] + 5;
        else if (text_starts_with(arguments[i], "trusted="))
            options->trusted_proxies = arguments[i] + 8;
        else
            set_one(settings, sizeof settings / sizeof settings[0], arguments[i]);
    }
    options->worker_count = (int)workers;
    options->event_thread_count = (int)events;
    options->connection_limit = (int)connections;
    limits->queue_length = (size_t)queue_length;
}

int main(int count, char **arguments)
{
    static const struct http_route routes[] = {
        {"GET", "/hello", {.end = hello}, 0},
        {"GET", "/silent", {.end = silent}, 0},
        {"GET", "/slow", {.end = slow}, 0},
        {"GET", "/hold", {.end = hold}, 0},
        {"GET", "/count-down", {.end = count_down, .finish = state_finish}, 0},
        {"POST", "/upload", UPLOAD_HANDLER, 0},
        {"PUT", "/upload", UPLOAD_HANDLER, 0},
        {"POST", "/echo", {.end = echo}, 1000},
        {"GET", "/file", {.end = send_file}, 0},
        {"GET", "/stream", {.end = stream_file, .fill = stream_fill, .finish = stream_finish}, 0},
        {"GET", "/describe", {.end = describe}, 0},
        {"GET", "/items/{id}", {.end = describe}, 0},
        {"DELETE", "/items/{id}", {.end = describe}, 0},
        {"GET", "/items/special", {.end = describe}, 0},
        {"GET", "/worker", {.end = needs_worker}, 0},
        {"GET", "/counts", {.end = counts}, 0},
    };
    struct http_limits limits = http_limits_default;
    struct http_server_options options = {
        .name = "probe",
        .listen = count > 1 ? arguments[1] : "127.0.0.1:0",
        .routes = routes,
        .routes_count = sizeof routes / sizeof routes[0],
        .worker_open = open_worker,
        .worker_close = close_worker,
        .trusted_proxies = "",
        .limits = &limits,
    };
    parse(&options, &limits, count - 2, arguments + 2);
    log_start("probe", false, LOG_LEVEL_INFO);
    stop_install();
    struct error err = {0};
    const struct http_admin_check checks[] = {{.name = "always", .check = always_up}};
    struct http_server *server = http_server_start(&options, &err);
    struct http_admin *admin =
        server == NULL ? NULL : http_admin_start("127.0.0.1:0", checks, 1, -1, &err);
    if (admin == NULL) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    printf("port %d admin %d\n", http_server_port(server), http_admin_port(admin));
    fflush(stdout);
    while (!stop_wait_ms(1000)) {
    }
    http_admin_draining(admin);
    http_server_stop(server, drain_ms);
    http_admin_stop(admin);
    printf("finishes %d closed %d\n", atomic_load(&finishes), atomic_load(&closed));
    return 0;
}
