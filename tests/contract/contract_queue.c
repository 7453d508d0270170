// What queue.h promises, on sockets in a temporary directory; with UNREEL_TEST_BACKEND=rabbitmq on
// a virtual host of its own. What holds for one backend only stands at the end, in its own table.

#include "base/alloc.h"
#include "base/file.h"
#include "base/text.h"
#include "dropping_queue.h"
#include "faulty_queue.h"
#include "queue/queue.h"
#include "rabbitmq_host.h"
#include "temporary.h"

#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = 10000, MOMENT_MS = 50 };

static struct temporary temporary;
static struct rabbitmq_host rabbitmq_host;
static char *url;
static struct error err;

static int make_local(void **state)
{
    (void)state;
    temporary_create(&temporary);
    url = alloc_format("local:%s/run", temporary.path);
    return 0;
}

static int remove_local(void **state)
{
    (void)state;
    free(url);
    temporary_remove(&temporary);
    return 0;
}

static int remove_rabbitmq(void **state)
{
    (void)state;
    free(url);
    rabbitmq_host_remove(&rabbitmq_host);
    return 0;
}

static struct queue *open_queue(const char *topic)
{
    struct queue *queue = queue_open(url, topic, &err);
    if (queue == NULL)
        fail_msg("%s: %s", url, err.text);
    return queue;
}

static void publish(struct queue *queue, const char *topic, const char *id)
{
    if (!queue_publish(queue, topic, id, &err))
        fail_msg("publish: %s", err.text);
}

// Hints of earlier tests may still be in a durable queue.
static void drain(struct queue *queue)
{
    struct queue_hint hint;
    while (queue_receive(queue, MOMENT_MS, &hint, &err) == QUEUE_HINT)
        assert_true(queue_ack(queue, &hint, &err));
}

static bool arrives(struct queue *consumer, const char *id, int timeout_ms)
{
    struct queue_hint hint;
    while (queue_receive(consumer, timeout_ms, &hint, &err) == QUEUE_HINT) {
        assert_true(id_is_valid(hint.id));
        assert_true(queue_ack(consumer, &hint, &err));
        if (strcmp(hint.id, id) == 0)
            return true;
    }
    return false;
}

static void a_hint_reaches_a_consumer(void **state)
{
    (void)state;
    struct queue *consumer = open_queue("video");
    drain(consumer);
    struct queue *publisher = open_queue(NULL);
    for (int i = 0; i < 50; i++) {
        char id[ID_SIZE];
        id_new(id);
        publish(publisher, "video", id);
        assert_true(arrives(consumer, id, PATIENCE_MS));
    }
    queue_close(publisher);
    queue_close(consumer);
}

static void a_consumer_may_publish_as_well(void **state)
{
    (void)state;
    struct queue *converter = open_queue("video");
    struct queue *notifier = open_queue("mp3");
    drain(notifier);
    char id[ID_SIZE];
    id_new(id);
    publish(converter, "mp3", id);
    assert_true(arrives(notifier, id, PATIENCE_MS));
    queue_close(notifier);
    queue_close(converter);
}

static void topics_are_apart(void **state)
{
    (void)state;
    struct queue *consumer = open_queue("mp3");
    drain(consumer);
    struct queue *publisher = open_queue(NULL);
    char id[ID_SIZE];
    id_new(id);
    publish(publisher, "video", id);
    assert_false(arrives(consumer, id, MOMENT_MS));
    queue_close(publisher);
    queue_close(consumer);
    consumer = open_queue("video");
    drain(consumer);
    queue_close(consumer);
}

static void waiting_ends_with_nothing(void **state)
{
    (void)state;
    struct queue *consumer = open_queue("video");
    drain(consumer);
    struct queue_hint hint;
    assert_int_equal(queue_receive(consumer, 0, &hint, &err), QUEUE_NOTHING);
    assert_int_equal(queue_receive(consumer, MOMENT_MS, &hint, &err), QUEUE_NOTHING);
    assert_true(queue_pump(consumer, &err));
    queue_close(consumer);
}

static void publishing_needs_no_consumer(void **state)
{
    (void)state;
    struct queue *publisher = open_queue(NULL);
    char id[ID_SIZE];
    for (int i = 0; i < 20; i++) {
        id_new(id);
        publish(publisher, "mp3", id);
    }
    assert_true(queue_pump(publisher, &err));
    queue_close(publisher);
}

static void what_is_no_id_is_not_published(void **state)
{
    (void)state;
    struct queue *publisher = open_queue(NULL);
    static const char *const wrong[] = {"", "x", "01J0000000000000000000000", "../../../etc/passwd",
                                        "01j00000000000000000000000"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(queue_publish(publisher, "video", wrong[i], &err));
        assert_int_equal(err.kind, ERROR_INVALID);
    }
    queue_close(publisher);
}

static void the_descriptor_becomes_readable(void **state)
{
    (void)state;
    struct queue *consumer = open_queue("video");
    drain(consumer);
    struct queue *publisher = open_queue(NULL);
    char id[ID_SIZE];
    id_new(id);
    publish(publisher, "video", id);
    struct pollfd waited = {.fd = queue_poll_fd(consumer), .events = POLLIN};
    assert_int_equal(poll(&waited, 1, PATIENCE_MS), 1);
    assert_true(arrives(consumer, id, PATIENCE_MS));
    queue_close(publisher);
    queue_close(consumer);
}

static void nobody_waits_for_a_consumer_that_does_not_listen(void **state)
{
    (void)state;
    struct queue *idle = open_queue("video");
    struct queue *publisher = open_queue(NULL);
    char id[ID_SIZE];
    for (int i = 0; i < 2000; i++) {
        id_new(id);
        publish(publisher, "video", id);
    }
    drain(idle);
    id_new(id);
    publish(publisher, "video", id);
    assert_true(arrives(idle, id, PATIENCE_MS));
    queue_close(publisher);
    queue_close(idle);
}

static void a_rejected_hint_does_not_come_back(void **state)
{
    (void)state;
    struct queue *consumer = open_queue("video");
    drain(consumer);
    char id[ID_SIZE];
    id_new(id);
    publish(consumer, "video", id);
    struct queue_hint hint;
    assert_int_equal(queue_receive(consumer, PATIENCE_MS, &hint, &err), QUEUE_HINT);
    assert_string_equal(hint.id, id);
    assert_true(queue_reject(consumer, &hint, &err));
    assert_false(arrives(consumer, id, MOMENT_MS));
    queue_close(consumer);
}

static void a_failing_queue_says_so_and_goes_on(void **state)
{
    (void)state;
    for (int after = 0; after < 2; after++)
        for (int n = 1; n <= 3; n++) {
            struct fault fault = {.fail_at = n, .after_effect = after == 1};
            struct queue *consumer = faulty_queue_wrap(open_queue("video"), &fault);
            char id[ID_SIZE];
            id_new(id);
            bool is_arrived = false;
            for (int i = 0; i < 5 && !is_arrived; i++) {
                struct queue_hint hint;
                if (!queue_publish(consumer, "video", id, &err))
                    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
                enum queue_answer answer = queue_receive(consumer, 1000, &hint, &err);
                is_arrived = answer == QUEUE_HINT && strcmp(hint.id, id) == 0;
                if (answer == QUEUE_HINT)
                    queue_ack(consumer, &hint, &err);
            }
            assert_true(is_arrived);
            queue_close(consumer);
        }
}

static void a_dropping_queue_looks_healthy(void **state)
{
    (void)state;
    struct queue *consumer = dropping_queue_wrap(open_queue("video"));
    drain(consumer);
    char id[ID_SIZE];
    id_new(id);
    publish(consumer, "video", id);
    assert_false(arrives(consumer, id, MOMENT_MS));
    queue_close(consumer);
}

static void unknown_queues_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "local", "local:", "nonsense:x", "none:x", ":"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_null(queue_open(wrong[i], NULL, &err));
        assert_int_equal(err.kind, ERROR_INVALID);
    }
}

static void urls_are_checked_without_opening(void **state)
{
    (void)state;
    static const char *const right[] = {
        "local:/nowhere/at/all",
        "none:",
        "amqp://user:secret@one,two:5673,[::1]:5674/%2Fhost",
        "amqp://user:secret@one",
        "amqps://user:secret@one/?tls-ca=/some/file",
    };
    static const char *const wrong[] = {
        "local:",
        "amqp:",
        "amqp://",
        "amqp://one/",
        "amqp://user:secret@/",
        "amqp://user:secret@one:0/",
        "amqp://user:secret@one/?heartbeat=1",
        "amqp://user:secret@one/?tls-ca=/some/file",
        "amqps://user:secret@one/?tls-ca=",
    };
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
        assert_true(queue_check_url(right[i], &err));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(queue_check_url(wrong[i], &err));
        assert_int_equal(err.kind, ERROR_INVALID);
        assert_null(strstr(err.text, "secret"));
    }
}

static void a_receipt_may_be_given_back_twice(void **state)
{
    (void)state;
    struct queue *consumer = open_queue("video");
    drain(consumer);
    char id[ID_SIZE];
    struct queue_hint hints[2];
    for (int i = 0; i < 2; i++) {
        id_new(id);
        publish(consumer, "video", id);
        assert_int_equal(queue_receive(consumer, PATIENCE_MS, &hints[i], &err), QUEUE_HINT);
        assert_string_equal(hints[i].id, id);
        assert_true(queue_ack(consumer, &hints[0], &err));
        assert_true(queue_reject(consumer, &hints[0], &err));
    }
    assert_true(queue_ack(consumer, &hints[1], &err));
    id_new(id);
    publish(consumer, "video", id);
    assert_true(arrives(consumer, id, PATIENCE_MS));
    queue_close(consumer);
}

// ---- what only `local:` promises ----

static void without_a_consumer_the_hint_is_gone(void **state)
{
    (void)state;
    struct queue *publisher = open_queue(NULL);
    char id[ID_SIZE];
    id_new(id);
    publish(publisher, "video", id);
    struct queue *consumer = open_queue("video");
    assert_false(arrives(consumer, id, MOMENT_MS));
    queue_close(consumer);
    queue_close(publisher);
}

static void count_sockets(const char *directory, int expected)
{
    DIR *entries = opendir(directory);
    assert_non_null(entries);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        count += text_starts_with(entry->d_name, "queue-");
    closedir(entries);
    assert_int_equal(count, expected);
}

static void a_dead_consumer_loses_its_socket(void **state)
{
    (void)state;
    const char *directory = url + strlen("local:");
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        struct queue *consumer = queue_open(url, "video", &err);
        if (consumer == NULL || write(ready[1], "r", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    count_sockets(directory, 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    struct queue *consumer = open_queue("video");
    count_sockets(directory, 2);
    char id[ID_SIZE];
    id_new(id);
    publish(consumer, "video", id);
    assert_true(arrives(consumer, id, PATIENCE_MS));
    count_sockets(directory, 1);
    queue_close(consumer);
    count_sockets(directory, 0);
}

static void every_consumer_of_the_topic_is_told(void **state)
{
    (void)state;
    struct queue *one = open_queue("video");
    struct queue *two = open_queue("video");
    char id[ID_SIZE];
    id_new(id);
    publish(one, "video", id);
    assert_true(arrives(one, id, PATIENCE_MS));
    assert_true(arrives(two, id, PATIENCE_MS));
    queue_close(one);
    queue_close(two);
}

static void the_directory_may_have_a_long_name(void **state)
{
    (void)state;
    SCOPED(free)
    char *long_url = alloc_format("local:%s/%0100d/%0100d", temporary.path, 1, 2);
    struct queue *consumer = queue_open(long_url, "video", &err);
    assert_non_null(consumer);
    char id[ID_SIZE];
    id_new(id);
    publish(consumer, "video", id);
    assert_true(arrives(consumer, id, PATIENCE_MS));
    queue_close(consumer);
}

static void datagrams_that_are_no_ids_are_dropped(void **state)
{
    (void)state;
    const char *directory = url + strlen("local:");
    struct queue *consumer = open_queue("video");
    DIR *entries = opendir(directory);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        if (text_starts_with(entry->d_name, "queue-video-")) {
            int length = snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", directory,
                                  entry->d_name);
            assert_in_range(length, 1, sizeof address.sun_path - 1);
        }
    closedir(entries);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    static const struct {
        const char *bytes;
        size_t size;
    } wrong[] = {{"", 0},
                 {"x", 1},
                 {"01J000000000000000000000000", 27},
                 {"01J0000000000000000000000000000000000000", 40},
                 {"01j0000000000000000000000Z", 26},
                 {"01J0000000000\0"
                  "000000000000",
                  26}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(sendto(fd, wrong[i].bytes, wrong[i].size, 0, (struct sockaddr *)&address,
                                sizeof address),
                         wrong[i].size);
    close(fd);
    struct queue_hint hint;
    assert_int_equal(queue_receive(consumer, MOMENT_MS, &hint, &err), QUEUE_NOTHING);
    queue_close(consumer);
}

static void a_wiped_directory_heals(void **state)
{
    (void)state;
    struct queue *consumer = open_queue("video");
    struct queue *publisher = open_queue(NULL);
    assert_true(file_remove_tree(url + strlen("local:"), &err));
    assert_true(queue_pump(consumer, &err));
    char id[ID_SIZE];
    id_new(id);
    publish(publisher, "video", id);
    assert_true(arrives(consumer, id, PATIENCE_MS));
    queue_close(publisher);
    queue_close(consumer);
}

// ---- what only RabbitMQ promises ----

static void without_a_consumer_the_hint_waits(void **state)
{
    (void)state;
    struct queue *publisher = open_queue(NULL);
    char id[ID_SIZE];
    id_new(id);
    publish(publisher, "video", id);
    struct queue *consumer = open_queue("video");
    assert_true(arrives(consumer, id, PATIENCE_MS));
    queue_close(consumer);
    queue_close(publisher);
}

static void each_hint_goes_to_one_consumer(void **state)
{
    (void)state;
    struct queue *one = open_queue("video");
    drain(one);
    struct queue *two = open_queue("video");
    drain(two);
    char id[ID_SIZE];
    id_new(id);
    publish(one, "video", id);
    bool is_first = arrives(one, id, 1000), is_second = arrives(two, id, 1000);
    assert_true(is_first != is_second);
    queue_close(one);
    queue_close(two);
}

static void a_hint_that_was_not_acknowledged_goes_to_the_next_consumer(void **state)
{
    (void)state;
    struct queue *first = open_queue("video");
    drain(first);
    char id[ID_SIZE];
    id_new(id);
    publish(first, "video", id);
    struct queue_hint hint, again;
    assert_int_equal(queue_receive(first, PATIENCE_MS, &hint, &err), QUEUE_HINT);
    assert_int_equal(queue_receive(first, 0, &again, &err), QUEUE_HINT);
    assert_string_equal(again.id, hint.id);
    queue_close(first);
    struct queue *second = open_queue("video");
    assert_int_equal(queue_receive(second, PATIENCE_MS, &again, &err), QUEUE_HINT);
    assert_string_equal(again.id, id);
    assert_true(queue_ack(second, &again, &err));
    queue_close(second);
}

static const struct CMUnitTest for_all[] = {
    cmocka_unit_test(a_hint_reaches_a_consumer),
    cmocka_unit_test(a_consumer_may_publish_as_well),
    cmocka_unit_test(topics_are_apart),
    cmocka_unit_test(waiting_ends_with_nothing),
    cmocka_unit_test(publishing_needs_no_consumer),
    cmocka_unit_test(what_is_no_id_is_not_published),
    cmocka_unit_test(the_descriptor_becomes_readable),
    cmocka_unit_test(nobody_waits_for_a_consumer_that_does_not_listen),
    cmocka_unit_test(a_rejected_hint_does_not_come_back),
    cmocka_unit_test(a_failing_queue_says_so_and_goes_on),
    cmocka_unit_test(a_dropping_queue_looks_healthy),
    cmocka_unit_test(unknown_queues_are_refused),
    cmocka_unit_test(urls_are_checked_without_opening),
    cmocka_unit_test(a_receipt_may_be_given_back_twice),
};

static const struct CMUnitTest for_local[] = {
    cmocka_unit_test(without_a_consumer_the_hint_is_gone),
    cmocka_unit_test(a_dead_consumer_loses_its_socket),
    cmocka_unit_test(every_consumer_of_the_topic_is_told),
    cmocka_unit_test(the_directory_may_have_a_long_name),
    cmocka_unit_test(datagrams_that_are_no_ids_are_dropped),
    cmocka_unit_test(a_wiped_directory_heals),
};

static const struct CMUnitTest for_rabbitmq[] = {
    cmocka_unit_test(without_a_consumer_the_hint_waits),
    cmocka_unit_test(each_hint_goes_to_one_consumer),
    cmocka_unit_test(a_hint_that_was_not_acknowledged_goes_to_the_next_consumer),
};

int main(void)
{
    enum { SHARED = sizeof for_all / sizeof for_all[0] };
    const char *backend = getenv("UNREEL_TEST_BACKEND");
    if (backend == NULL) {
        struct CMUnitTest tests[SHARED + sizeof for_local / sizeof for_local[0]];
        memcpy(tests, for_all, sizeof for_all);
        memcpy(tests + SHARED, for_local, sizeof for_local);
        return cmocka_run_group_tests(tests, make_local, remove_local);
    }
    if (!rabbitmq_host_create(&rabbitmq_host)) {
        puts("1..0 # SKIP UNREEL_TEST_RABBITMQ names no server");
        return 0;
    }
    url = alloc_text(rabbitmq_host.url);
    struct CMUnitTest tests[SHARED + sizeof for_rabbitmq / sizeof for_rabbitmq[0]];
    memcpy(tests, for_all, sizeof for_all);
    memcpy(tests + SHARED, for_rabbitmq, sizeof for_rabbitmq);
    return cmocka_run_group_tests(tests, NULL, remove_rabbitmq);
}
