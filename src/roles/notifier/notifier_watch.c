#include "roles/notifier/notifier_watch.h"

#include "base/clock.h"
#include "base/text.h"

#include <inttypes.h>

enum { PAUSE_BASE_MS = 1000, PAUSE_CAP_MS = 120000, FRESH_MS = 60000 };

void notifier_watch_init(struct notifier_watch *watch)
{
    *watch = (struct notifier_watch){0};
    pthread_mutex_init(&watch->lock, NULL);
}

void notifier_watch_finish(struct notifier_watch *watch)
{
    pthread_mutex_destroy(&watch->lock);
}

void notifier_watch_down(struct notifier_watch *watch, const char *reason, int64_t now_ms)
{
    pthread_mutex_lock(&watch->lock);
    watch->is_down = true;
    watch->failures++;
    watch->again_at_ms = now_ms + clock_backoff_ms(watch->failures, PAUSE_BASE_MS, PAUSE_CAP_MS);
    watch->fresh_until_ms = 0;
    text_copy(watch->reason, sizeof watch->reason, reason);
    pthread_mutex_unlock(&watch->lock);
}

static void up(struct notifier_watch *watch, bool is_by_mail, int64_t now_ms)
{
    pthread_mutex_lock(&watch->lock);
    watch->is_down = false;
    watch->fresh_until_ms = now_ms + FRESH_MS;
    if (is_by_mail)
        watch->failures = 0;
    pthread_mutex_unlock(&watch->lock);
}

void notifier_watch_worked(struct notifier_watch *watch, int64_t now_ms)
{
    up(watch, true, now_ms);
}

void notifier_watch_answered(struct notifier_watch *watch, int64_t now_ms)
{
    up(watch, false, now_ms);
}

bool notifier_watch_is_down(struct notifier_watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    bool is_down = watch->is_down;
    pthread_mutex_unlock(&watch->lock);
    return is_down;
}

bool notifier_watch_may_try(struct notifier_watch *watch, int64_t now_ms, struct error *err)
{
    pthread_mutex_lock(&watch->lock);
    bool may = !watch->is_down || now_ms >= watch->again_at_ms;
    if (!may)
        error_set(err, ERROR_UNAVAILABLE, "%s; next try in %" PRId64 " s", watch->reason,
                  (watch->again_at_ms - now_ms + 999) / 1000);
    pthread_mutex_unlock(&watch->lock);
    return may;
}

bool notifier_watch_is_fresh(struct notifier_watch *watch, int64_t now_ms)
{
    pthread_mutex_lock(&watch->lock);
    bool is_fresh = now_ms < watch->fresh_until_ms;
    pthread_mutex_unlock(&watch->lock);
    return is_fresh;
}
