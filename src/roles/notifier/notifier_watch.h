#pragma once
// Whether mail can be sent at all, as the worker's letters and the check for /readyz found it out.
// While it cannot, neither asks the server: the pause doubles from 1 s to 2 min, so that a server
// that has enough of us is left alone, a wrong password is not tried a thousand times, and no
// letter loses tries for what is not its fault. The first to ask after the pause finds out more.
//
// For several threads. Times are monotonic.

#include "base/error.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct notifier_watch {
    pthread_mutex_t lock;
    bool is_down;
    int failures; // in a row, since a mail server last dealt with a mail
    int64_t again_at_ms, fresh_until_ms;
    char reason[200];
};

void notifier_watch_init(struct notifier_watch *watch);
void notifier_watch_finish(struct notifier_watch *watch);

// No mail could be sent, for that reason.
void notifier_watch_down(struct notifier_watch *watch, const char *reason, int64_t now_ms);
// The server dealt with a mail, whatever came of it.
void notifier_watch_worked(struct notifier_watch *watch, int64_t now_ms);
// It answered when asked. The next pause is none the shorter: it may still take no mail.
void notifier_watch_answered(struct notifier_watch *watch, int64_t now_ms);

// Whether nothing has said since the last failure that the server is back.
bool notifier_watch_is_down(struct notifier_watch *watch);
// False with UNAVAILABLE during a pause.
bool notifier_watch_may_try(struct notifier_watch *watch, int64_t now_ms, struct error *err);
// Whether it answered within the last minute, so that nobody need ask.
bool notifier_watch_is_fresh(struct notifier_watch *watch, int64_t now_ms);
