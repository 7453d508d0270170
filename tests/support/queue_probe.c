// One handle of a queue, moved by lines on standard input, for tests that do something to the
// server between two calls. Usage: queue-probe URL [TOPIC]. Answers `WORD MILLISECONDS TEXT`.
//
//   publish TOPIC ID    ok | error
//   flood TOPIC COUNT   publishes, receives and acknowledges that many; ok with the resident KiB
//   receive MS          hint | nothing | error
//   ack, reject         the hint that was received last: ok | error
//   pump                ok | error

#include "base/clock.h"
#include "base/text.h"
#include "queue/queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct queue *queue;
static struct queue_hint hint;

static long resident_kib(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file != NULL && fscanf(file, "%*d %ld", &pages) != 1)
        pages = 0;
    if (file != NULL)
        fclose(file);
    return pages * 4;
}

static bool flood(const char *topic, int64_t count, struct error *err)
{
    for (int64_t i = 0; i < count; i++) {
        char id[ID_SIZE];
        id_new(id);
        if (!queue_publish(queue, topic, id, err) ||
            queue_receive(queue, 10000, &hint, err) != QUEUE_HINT || !queue_ack(queue, &hint, err))
            return false;
    }
    return true;
}

static const char *obey(const char *verb, const char *first, const char *second, struct error *err)
{
    static const char *const answers[] = {
        [QUEUE_HINT] = "hint", [QUEUE_NOTHING] = "nothing", [QUEUE_ERROR] = "error"};
    int64_t number = 0;
    if (strcmp(verb, "publish") == 0)
        return queue_publish(queue, first, second, err) ? "ok" : "error";
    if (strcmp(verb, "flood") == 0 && text_parse_integer(second, 1, 10000000, &number))
        return flood(first, number, err) ? "ok" : "error";
    if (strcmp(verb, "receive") == 0 && text_parse_integer(first, 0, 600000, &number))
        return answers[queue_receive(queue, (int)number, &hint, err)];
    if (strcmp(verb, "ack") == 0)
        return queue_ack(queue, &hint, err) ? "ok" : "error";
    if (strcmp(verb, "reject") == 0)
        return queue_reject(queue, &hint, err) ? "ok" : "error";
    if (strcmp(verb, "pump") == 0)
        return queue_pump(queue, err) ? "ok" : "error";
    return "unknown";
}

int main(int count, char **arguments)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct error err = {0};
    if (count < 2 || (queue = queue_open(arguments[1], arguments[2], &err)) == NULL) {
        printf("error 0 %s\n", err.text);
        return 1;
    }
    char line[200];
    while (fgets(line, sizeof line, stdin) != NULL) {
        char verb[20] = "", first[40] = "", second[60] = "";
        sscanf(line, "%19s %39s %59s", verb, first, second);
        err = (struct error){0};
        int64_t start_ms = clock_monotonic_ms();
        const char *answer = obey(verb, first, second, &err);
        int64_t took_ms = clock_monotonic_ms() - start_ms;
        if (strcmp(answer, "hint") == 0)
            printf("hint %" PRId64 " %s\n", took_ms, hint.id);
        else if (strcmp(answer, "ok") == 0 && strcmp(verb, "flood") == 0)
            printf("ok %" PRId64 " %ld\n", took_ms, resident_kib());
        else
            printf("%s %" PRId64 " %s\n", answer, took_ms, err.text);
    }
    queue_close(queue);
    return 0;
}
