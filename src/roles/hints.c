#include "roles/hints.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "queue/queue.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { WAITING_MAX = 256, PUMP_S = 1, COMPLAIN_EVERY_MS = 60000, LAST_ONES_MS = 2000 };

struct hint {
    char topic[24];
    char id[ID_SIZE];
};

struct hints {
    const char *queue_url;
    pthread_t thread;
    pthread_mutex_t lock; // for the next five
    pthread_cond_t wakes;
    struct hint waiting[WAITING_MAX]; // a ring
    size_t first, count;
    bool is_stopping;
    int64_t stop_by_ms;

    // The thread's own.
    struct queue *queue;
    bool is_failing;
    int64_t complain_at_ms; // no sooner
};

static void note(struct hints *hints, bool is_well, const struct error *err)
{
    int64_t now_ms = clock_monotonic_ms();
    if (!is_well && now_ms >= hints->complain_at_ms) {
        log_warn("cannot send hints; work starts later without them",
                 LOG_TEXT("reason", err->text));
        hints->complain_at_ms = now_ms + COMPLAIN_EVERY_MS;
    }
    if (is_well && hints->is_failing)
        log_info("sending hints again");
    hints->is_failing = !is_well;
}

static bool publish(struct hints *hints, const struct hint *hint, struct error *err)
{
    if (hints->queue == NULL)
        hints->queue = queue_open(hints->queue_url, NULL, err);
    return hints->queue != NULL && queue_publish(hints->queue, hint->topic, hint->id, err);
}

// False when nothing will come, or be sent, any more. Without a hint after a second, too.
static bool take(struct hints *hints, bool *out_has_hint, struct hint *out)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += PUMP_S;
    pthread_mutex_lock(&hints->lock);
    if (hints->count == 0 && !hints->is_stopping)
        pthread_cond_timedwait(&hints->wakes, &hints->lock, &until);
    *out_has_hint = hints->count > 0;
    if (*out_has_hint) {
        *out = hints->waiting[hints->first];
        hints->first = (hints->first + 1) % WAITING_MAX;
        hints->count--;
    }
    bool goes_on = !hints->is_stopping || (*out_has_hint && clock_left_ms(hints->stop_by_ms) > 0);
    pthread_mutex_unlock(&hints->lock);
    return goes_on;
}

static void *hints_main(void *argument)
{
    struct hints *hints = argument;
    struct hint hint;
    bool has_hint;
    while (take(hints, &has_hint, &hint)) {
        struct error err = {0};
        if (has_hint) {
            bool is_sent = publish(hints, &hint, &err);
            metrics_add("unreel_hints_total", is_sent ? "outcome=\"sent\"" : "outcome=\"dropped\"",
                        1);
            note(hints, is_sent, &err);
        } else if (hints->queue != NULL && !queue_pump(hints->queue, &err))
            note(hints, false, &err);
    }
    queue_close(hints->queue);
    return NULL;
}

void hints_send(struct hints *hints, const char *topic, const char *id)
{
    pthread_mutex_lock(&hints->lock);
    bool has_room = hints->count < WAITING_MAX;
    if (has_room) {
        struct hint *hint = &hints->waiting[(hints->first + hints->count++) % WAITING_MAX];
        snprintf(hint->topic, sizeof hint->topic, "%s", topic);
        snprintf(hint->id, sizeof hint->id, "%s", id);
        pthread_cond_signal(&hints->wakes);
    }
    pthread_mutex_unlock(&hints->lock);
    if (!has_room)
        metrics_add("unreel_hints_total", "outcome=\"dropped\"", 1);
}

static void destroy(struct hints *hints)
{
    pthread_cond_destroy(&hints->wakes);
    pthread_mutex_destroy(&hints->lock);
    free(hints);
}

struct hints *hints_start(const char *queue_url, struct error *err)
{
    struct hints *hints = alloc_zeroed(1, sizeof *hints);
    hints->queue_url = queue_url;
    pthread_mutex_init(&hints->lock, NULL);
    pthread_condattr_t by_monotonic_clock;
    pthread_condattr_init(&by_monotonic_clock);
    pthread_condattr_setclock(&by_monotonic_clock, CLOCK_MONOTONIC);
    pthread_cond_init(&hints->wakes, &by_monotonic_clock);
    pthread_condattr_destroy(&by_monotonic_clock);
    int problem = pthread_create(&hints->thread, NULL, hints_main, hints);
    if (problem == 0)
        return hints;
    error_set_errno(err, problem, "start the thread that sends hints");
    destroy(hints);
    return NULL;
}

void hints_stop(struct hints *hints)
{
    if (hints == NULL)
        return;
    pthread_mutex_lock(&hints->lock);
    hints->is_stopping = true;
    hints->stop_by_ms = clock_monotonic_ms() + LAST_ONES_MS;
    pthread_cond_signal(&hints->wakes);
    pthread_mutex_unlock(&hints->lock);
    pthread_join(hints->thread, NULL);
    destroy(hints);
}
