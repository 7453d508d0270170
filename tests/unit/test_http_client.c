// The client against the server of this very library, over a unix socket and over TCP.

#include "base/alloc.h"
#include "base/id.h"
#include "http/http_client.h"
#include "http/http_reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static void repeat(struct http_exchange *exchange)
{
    size_t size;
    const char *body = http_body(exchange, &size);
    const char *mark = http_header(exchange, "X-Mark");
    http_reply_header(exchange, "Retry-After", "7");
    http_reply_header(exchange, "Location", "/elsewhere");
    http_reply_header(exchange, "WWW-Authenticate", "Basic realm=\"x\"");
    http_reply_header(exchange, "Set-Cookie", "a=1; Path=/");
    http_reply_header(exchange, "Set-Cookie", "b=2");
    char text[256];
    snprintf(text, sizeof text, "%s %s mark=%s type=%s body=%.*s", http_method(exchange),
             http_path(exchange), mark == NULL ? "-" : mark,
             http_header(exchange, "Content-Type") == NULL ? "-"
                                                           : http_header(exchange, "Content-Type"),
             (int)size, body);
    http_reply_text(exchange, 409, "text/plain", text);
}

static void wait(struct http_exchange *exchange)
{
    if (http_is_stopping(exchange))
        http_reply_empty(exchange, 204);
    else
        http_again(exchange, 20);
}

static void answer_much(struct http_exchange *exchange)
{
    size_t size = (1 << 20) + 1;
    SCOPED(free) char *bytes = alloc_zeroed(size, 1);
    http_reply_bytes(exchange, 200, "text/plain", bytes, size);
}

static const struct http_route routes[] = {
    {"GET", "/repeat", {.end = repeat}, 0},    {"POST", "/repeat", {.end = repeat}, 1000},
    {"DELETE", "/repeat", {.end = repeat}, 0}, {"GET", "/wait", {.end = wait}, 0},
    {"GET", "/much", {.end = answer_much}, 0},
};

struct fixture {
    struct http_server *server;
    struct http_client *client;
    char listen[64];
};

static struct http_server *start_server(const char *listen)
{
    struct error err = {0};
    struct http_server *server =
        http_server_start(&(struct http_server_options){.name = "test",
                                                        .listen = listen,
                                                        .routes = routes,
                                                        .routes_count = 5,
                                                        .worker_count = 2,
                                                        .event_thread_count = 1,
                                                        .connection_limit = 16,
                                                        .trusted_proxies = ""},
                          &err);
    if (server == NULL)
        fail_msg("%s", err.text);
    return server;
}

static int set_up(void **state)
{
    struct fixture *fixture = alloc_zeroed(1, sizeof *fixture);
    struct error err = {0};
    char name[TOKEN_SIZE];
    token_new(name);
    snprintf(fixture->listen, sizeof fixture->listen, "unix:/tmp/unreel-%.16s.sock", name);
    fixture->server = start_server(fixture->listen);
    fixture->client = http_client_open(fixture->listen, &err);
    *state = fixture;
    return fixture->client == NULL;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    http_client_close(fixture->client);
    http_server_stop(fixture->server, 1000);
    free(fixture);
    return 0;
}

static void an_answer_comes_back_with_its_headers(void **state)
{
    struct fixture *fixture = *state;
    struct error err = {0};
    const struct http_client_header headers[] = {
        {"X-Mark", "here"}, {"Content-Type", "text/x"}, {"Authorization", NULL}};
    struct http_client_reply reply;
    // Twice: the second time over the connection that is open.
    for (int i = 0; i < 2; i++) {
        assert_true(http_client_send(fixture->client,
                                     &(struct http_client_request){.method = "POST",
                                                                   .path = "/repeat?x=1",
                                                                   .headers = headers,
                                                                   .headers_count = 3,
                                                                   .body = "abc",
                                                                   .body_size = 3,
                                                                   .timeout_ms = 10000},
                                     &reply, &err));
        assert_int_equal(reply.status, 409);
        assert_string_equal(reply.body.bytes, "POST /repeat mark=here type=text/x body=abc");
        assert_string_equal(reply.content_type, "text/plain");
        assert_string_equal(reply.retry_after, "7");
        assert_string_equal(reply.location, "/elsewhere");
        assert_string_equal(reply.www_authenticate, "Basic realm=\"x\"");
        assert_string_equal(reply.set_cookies.bytes, "a=1; Path=/\nb=2\n");
        http_client_reply_finish(&reply);
    }
}

static void every_method_says_only_what_it_was_told(void **state)
{
    struct fixture *fixture = *state;
    static const char *const methods[] = {"GET", "POST", "DELETE"};
    struct error err = {0};
    struct http_client_reply reply;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "%s /repeat mark=- type=- body=", methods[i]);
        assert_true(http_client_send(fixture->client,
                                     &(struct http_client_request){.method = methods[i],
                                                                   .path = "/repeat",
                                                                   .timeout_ms = 10000},
                                     &reply, &err));
        assert_string_equal(reply.body.bytes, expected);
        http_client_reply_finish(&reply);
    }
    assert_true(http_client_send(
        fixture->client,
        &(struct http_client_request){.method = "HEAD", .path = "/repeat", .timeout_ms = 10000},
        &reply, &err));
    assert_int_equal(reply.status, 409);
    assert_int_equal(reply.body.size, 0);
    http_client_reply_finish(&reply);
}

static enum error_kind failure_of(struct http_client *client,
                                  const struct http_client_request *request)
{
    struct error err = {0};
    struct http_client_reply reply;
    assert_false(http_client_send(client, request, &reply, &err));
    http_client_reply_finish(&reply);
    return err.kind;
}

static void a_line_end_in_a_header_and_a_relative_path_are_refused(void **state)
{
    struct fixture *fixture = *state;
    const struct http_client_header header = {"X-Mark", "a\r\nX-Other: b"};
    struct http_client_request request = {.method = "GET",
                                          .path = "/repeat",
                                          .headers = &header,
                                          .headers_count = 1,
                                          .timeout_ms = 10000};
    assert_int_equal(failure_of(fixture->client, &request), ERROR_INVALID);
    request.headers_count = 0;
    request.path = "@example.org/";
    assert_int_equal(failure_of(fixture->client, &request), ERROR_INVALID);
}

static void an_answer_that_does_not_come_or_is_too_large_is_unavailable(void **state)
{
    struct fixture *fixture = *state;
    struct http_client_request request = {.method = "GET", .path = "/wait", .timeout_ms = 100};
    assert_int_equal(failure_of(fixture->client, &request), ERROR_UNAVAILABLE);
    request.path = "/much";
    request.timeout_ms = 10000;
    assert_int_equal(failure_of(fixture->client, &request), ERROR_UNAVAILABLE);
    http_server_stop(fixture->server, 1000);
    fixture->server = NULL;
    request.path = "/repeat";
    assert_int_equal(failure_of(fixture->client, &request), ERROR_UNAVAILABLE);
    // The handle is good for the next server.
    struct error err = {0};
    struct http_client_reply reply;
    fixture->server = start_server(fixture->listen);
    assert_true(http_client_send(fixture->client, &request, &reply, &err));
    http_client_reply_finish(&reply);
}

static void a_url_over_tcp_works_and_may_end_with_a_slash(void **state)
{
    (void)state;
    struct error err = {0};
    struct http_server *server = start_server("127.0.0.1:0");
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", http_server_port(server));
    struct http_client *client = http_client_open(url, &err);
    struct http_client_reply reply;
    assert_non_null(client);
    assert_true(http_client_send(
        client,
        &(struct http_client_request){.method = "GET", .path = "/repeat", .timeout_ms = 10000},
        &reply, &err));
    assert_int_equal(reply.status, 409);
    http_client_reply_finish(&reply);
    http_client_close(client);
    http_server_stop(server, 1000);
}

static void other_urls_are_refused(void **state)
{
    (void)state;
    static const char *const urls[] = {"", "unix:", "ftp://x", "file:///etc/passwd", "localhost:1"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct error err = {0};
        assert_null(http_client_open(urls[i], &err));
        assert_int_equal(err.kind, ERROR_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_answer_comes_back_with_its_headers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_method_says_only_what_it_was_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_line_end_in_a_header_and_a_relative_path_are_refused,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_that_does_not_come_or_is_too_large_is_unavailable,
                                        set_up, tear_down),
        cmocka_unit_test(a_url_over_tcp_works_and_may_end_with_a_slash),
        cmocka_unit_test(other_urls_are_refused),
    };
    return http_client_start() ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
