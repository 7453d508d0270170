#include "roles/hints.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/id.h"
#include "base/metrics.h"
#include "queue/queue.h"
#include "temporary.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { SENT = 5, TOO_MANY = 1000, WAITING_MAX = 256 };

static struct error err;

static int64_t dropped(void)
{
    static const char series[] = "unreel_hints_total{outcome=\"dropped\"} ";
    SCOPED_BUF struct buf text;
    buf_init(&text, 65536);
    assert_true(metrics_write(&text));
    const char *found = strstr(text.bytes, series);
    return found == NULL ? 0 : strtoll(found + strlen(series), NULL, 10);
}

static void what_waits_is_sent_before_the_end(void **state)
{
    (void)state;
    struct temporary temporary;
    temporary_create(&temporary);
    SCOPED(free) char *url = alloc_format("local:%s", temporary.path);
    struct queue *consumer = queue_open(url, "video", &err);
    assert_non_null(consumer);
    struct hints *hints = hints_start(url, &err);
    assert_non_null(hints);
    char ids[SENT][ID_SIZE];
    for (int i = 0; i < SENT; i++) {
        id_new(ids[i]);
        hints_send(hints, "video", ids[i]);
    }
    hints_stop(hints);
    for (int i = 0; i < SENT; i++) {
        struct queue_hint hint;
        assert_int_equal(queue_receive(consumer, 0, &hint, &err), QUEUE_HINT);
        assert_string_equal(hint.id, ids[i]);
    }
    queue_close(consumer);
    temporary_remove(&temporary);
}

// If sending waited for the broker, none would be dropped.
static void a_broker_that_says_nothing_holds_nobody_up(void **state)
{
    (void)state;
    int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    assert_int_equal(bind(silent, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(silent, 10), 0);
    assert_int_equal(getsockname(silent, (struct sockaddr *)&address, &size), 0);
    SCOPED(free)
    char *url = alloc_format("amqp://user:secret@127.0.0.1:%d/", ntohs(address.sin_port));
    struct hints *hints = hints_start(url, &err);
    assert_non_null(hints);
    int64_t before = dropped();
    char id[ID_SIZE];
    id_new(id);
    for (int i = 0; i < TOO_MANY; i++)
        hints_send(hints, "video", id);
    assert_true(dropped() - before >= TOO_MANY - WAITING_MAX - 1);
    hints_stop(hints);
    close(silent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_waits_is_sent_before_the_end),
        cmocka_unit_test(a_broker_that_says_nothing_holds_nobody_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
