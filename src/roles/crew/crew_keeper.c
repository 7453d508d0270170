// The keeper: hints in, acknowledgements out, and the lease of the row at hand. Its two connections
// fail and come back independently of each other and of the worker's.
#include "roles/crew/crew_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#include <poll.h>
#include <string.h>

enum {
    TICK_MS = 1000,            // the queue's connection is pumped this often
    BLIND_TICK_MS = 250,       // where no descriptor tells of a hint
    PROGRESS_PERIOD_MS = 1000, // progress is written at most this often,
    PROGRESS_STEP = 10,        // and only when it moved by this many permille
    RENEWALS_LIMIT = 2,        // failed ones in a row: the lease may be over, so the work stops
    BACKOFF_BASE_MS = 200,
    BACKOFF_CAP_MS = 5000,
};

struct keeper {
    struct crew *crew;

    struct queue *queue;
    int queue_failures;
    int64_t queue_again_at_ms; // no sooner: back-off
    bool has_hint;             // one is with the worker, not acknowledged yet

    struct jobs *jobs;
    int64_t hold_number; // the hold that the rest is about
    int64_t renew_at_ms;
    int64_t progress_at_ms;
    int64_t written_permille;
    int renew_failures;
};

// ---- hints ----

static void queue_failed(struct keeper *keeper, const struct error *err)
{
    keeper->queue_failures++;
    keeper->queue_again_at_ms =
        clock_monotonic_ms() +
        clock_backoff_ms(keeper->queue_failures, BACKOFF_BASE_MS, BACKOFF_CAP_MS);
    if (crew_is_worth_a_line(keeper->queue_failures))
        log_warn("no hints now", LOG_TEXT("reason", err->text),
                 LOG_INTEGER("failures", keeper->queue_failures));
}

static void queue_worked(struct keeper *keeper)
{
    if (keeper->queue_failures > 0)
        log_info("hints again", LOG_INTEGER("failures", keeper->queue_failures));
    keeper->queue_failures = 0;
}

static bool queue_is_usable(struct keeper *keeper)
{
    if (clock_monotonic_ms() < keeper->queue_again_at_ms)
        return false;
    if (keeper->queue != NULL)
        return true;
    struct error err = {0};
    keeper->queue = queue_open(keeper->crew->queue_url, keeper->crew->duty->topic, &err);
    if (keeper->queue == NULL)
        queue_failed(keeper, &err);
    return keeper->queue != NULL;
}

static void hand_over(struct crew *crew, const struct queue_hint *hint)
{
    pthread_mutex_lock(&crew->lock);
    crew->hint = *hint;
    crew->hint_state = CREW_HINT_WAITING;
    pthread_cond_broadcast(&crew->worker_wakes);
    pthread_mutex_unlock(&crew->lock);
}

static bool hint_was_looked_at(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    bool is_done = crew->hint_state == CREW_HINT_DONE;
    if (is_done)
        crew->hint_state = CREW_HINT_NONE;
    pthread_mutex_unlock(&crew->lock);
    return is_done;
}

static void receive_hint(struct keeper *keeper, struct error *err)
{
    struct queue_hint hint;
    switch (queue_receive(keeper->queue, 0, &hint, err)) {
    case QUEUE_HINT:
        queue_worked(keeper);
        if (!id_is_valid(hint.id)) {
            log_warn("a hint that is none was put aside");
            if (!queue_reject(keeper->queue, &hint, err))
                queue_failed(keeper, err);
            break;
        }
        keeper->has_hint = true;
        hand_over(keeper->crew, &hint);
        break;
    case QUEUE_NOTHING:
        queue_worked(keeper);
        break;
    case QUEUE_ERROR:
        queue_failed(keeper, err);
        break;
    }
}

// One hint at a time: the next one is received when the worker has looked at the last.
static void look_after_hints(struct keeper *keeper)
{
    struct error err = {0};
    bool is_done = keeper->has_hint && hint_was_looked_at(keeper->crew);
    if (!queue_is_usable(keeper)) {
        keeper->has_hint = keeper->has_hint && !is_done;
        return;
    }
    if (is_done) {
        keeper->has_hint = false;
        // A lost acknowledgement only doubles the hint.
        if (!queue_ack(keeper->queue, &keeper->crew->hint, &err)) {
            queue_failed(keeper, &err);
            return;
        }
    }
    if (!keeper->has_hint)
        receive_hint(keeper, &err);
    else if (queue_pump(keeper->queue, &err))
        queue_worked(keeper);
    else
        queue_failed(keeper, &err);
}

// ---- the lease ----

struct hold { // a copy, so that no lock is held over the database's answer
    bool is_held;
    int64_t number;
    char id[ID_SIZE];
    char claim[JOBS_CLAIM_SIZE];
    int64_t progress_permille;
};

static struct hold look_at_hold(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    struct hold hold = {.is_held = crew->is_held && crew->cancelled == CREW_GO_ON,
                        .number = crew->hold_number,
                        .progress_permille = crew->progress_permille};
    memcpy(hold.id, crew->id, sizeof hold.id);
    memcpy(hold.claim, crew->claim, sizeof hold.claim);
    pthread_mutex_unlock(&crew->lock);
    return hold;
}

// The answer counts only while that very hold lasts.
static void lose(struct crew *crew, const struct hold *hold, const char *reason)
{
    pthread_mutex_lock(&crew->lock);
    bool is_lost = crew->is_held && crew->hold_number == hold->number;
    if (is_lost)
        crew_cancel(crew, CREW_LOST);
    pthread_mutex_unlock(&crew->lock);
    if (!is_lost)
        return;
    metrics_add("unreel_lease_lost_total", "", 1);
    log_warn("lease lost", LOG_TEXT("id", hold->id), LOG_TEXT("reason", reason));
}

static enum crew_answer renew(struct keeper *keeper, const struct hold *hold, struct error *err)
{
    if (keeper->jobs == NULL)
        keeper->jobs = jobs_open(keeper->crew->jobs_url, err);
    if (keeper->jobs == NULL)
        return CREW_TROUBLE;
    enum crew_answer answer = keeper->crew->duty->renew(keeper->jobs, hold->id, hold->claim,
                                                        hold->progress_permille, err);
    if (answer == CREW_TROUBLE)
        jobs_close(TAKE(keeper->jobs));
    return answer;
}

static void look_after_lease(struct keeper *keeper)
{
    struct hold hold = look_at_hold(keeper->crew);
    if (!hold.is_held)
        return;
    int64_t now_ms = clock_monotonic_ms();
    if (hold.number != keeper->hold_number) {
        keeper->hold_number = hold.number;
        keeper->renew_at_ms = now_ms + JOBS_RENEW_MS;
        keeper->progress_at_ms = now_ms + PROGRESS_PERIOD_MS;
        keeper->written_permille = 0;
        keeper->renew_failures = 0;
    }
    bool has_progress = keeper->renew_failures == 0 && now_ms >= keeper->progress_at_ms &&
                        hold.progress_permille >= keeper->written_permille + PROGRESS_STEP;
    bool is_due = now_ms >= keeper->renew_at_ms;
    if (!has_progress && !is_due)
        return;
    struct error err = {0};
    switch (renew(keeper, &hold, &err)) {
    case CREW_WORKED:
        keeper->renew_failures = 0;
        keeper->renew_at_ms = now_ms + JOBS_RENEW_MS;
        keeper->progress_at_ms = now_ms + PROGRESS_PERIOD_MS;
        keeper->written_permille = hold.progress_permille;
        break;
    case CREW_NOT_OURS:
        lose(keeper->crew, &hold, "the row is not ours any more");
        break;
    case CREW_TROUBLE:
        keeper->progress_at_ms = keeper->renew_at_ms;
        if (is_due) {
            keeper->renew_at_ms = now_ms + JOBS_RENEW_MS;
            keeper->renew_failures++;
            log_warn("lease not renewed", LOG_TEXT("id", hold.id), LOG_TEXT("reason", err.text));
        }
        if (keeper->renew_failures >= RENEWALS_LIMIT)
            lose(keeper->crew, &hold, "it could not be renewed in time");
        break;
    }
}

// ---- the loop ----

static bool is_stopping(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    bool answer = crew->is_stopping;
    pthread_mutex_unlock(&crew->lock);
    return answer;
}

static void wait_for_something(struct keeper *keeper)
{
    bool wants_hint = keeper->queue != NULL && !keeper->has_hint && keeper->queue_failures == 0;
    int queue_fd = wants_hint ? queue_poll_fd(keeper->queue) : -1;
    struct pollfd polled[] = {
        {.fd = keeper->crew->keeper_fd, .events = POLLIN},
        {.fd = queue_fd, .events = POLLIN},
    };
    poll(polled, 2, wants_hint && queue_fd < 0 ? BLIND_TICK_MS : TICK_MS);
    crew_lower(keeper->crew->keeper_fd);
}

void *crew_keeper_main(void *argument)
{
    struct keeper keeper = {.crew = argument};
    while (!is_stopping(keeper.crew)) {
        look_after_hints(&keeper);
        look_after_lease(&keeper);
        // A hint that was just handed over leaves nothing to receive; one that is waiting in the
        // library's own memory shows only by asking, so the loop asks before it waits.
        wait_for_something(&keeper);
    }
    queue_close(keeper.queue);
    jobs_close(keeper.jobs);
    return NULL;
}
