#include "roles/gateway/gateway_janitor.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/metrics.h"
#include "roles/gateway/gateway_collect.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum {
    SWEEP_EVERY_MS = 5000,
    SWEEP_JITTER_MS = 1000,
    PAUSE_MS = 20, // lets other writers of the database in
    DELETE_BATCH = 16,
    FULL_BATCH = 50, // what jobs.h moves in one call
    MEASURE_EVERY_MS = 15000,
};

struct gateway_janitor {
    const struct config *config;
    struct jobs *jobs;
    struct blobs *blobs;
    int64_t collect_at_ms, measure_at_ms; // monotonic clock
    bool was_failing;                     // one line when the trouble begins, one when it ends
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stop_signal;
    bool is_stopping;
};

// True when the janitor has to stop.
static bool rest(struct gateway_janitor *janitor, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t nanoseconds = until.tv_nsec + ms % 1000 * 1000000;
    until.tv_sec += ms / 1000 + nanoseconds / 1000000000;
    until.tv_nsec = nanoseconds % 1000000000;
    pthread_mutex_lock(&janitor->lock);
    while (!janitor->is_stopping &&
           pthread_cond_timedwait(&janitor->stop_signal, &janitor->lock, &until) == 0) {
    }
    bool is_stopping = janitor->is_stopping;
    pthread_mutex_unlock(&janitor->lock);
    return is_stopping;
}

static bool open_jobs(struct gateway_janitor *janitor, struct error *err)
{
    if (janitor->jobs == NULL)
        janitor->jobs = jobs_open(janitor->config->jobs, err);
    return janitor->jobs != NULL && jobs_ready(janitor->jobs, err);
}

static bool open_blobs(struct gateway_janitor *janitor, struct error *err)
{
    if (janitor->blobs == NULL)
        janitor->blobs = blobs_open(janitor->config->blobs, err);
    return janitor->blobs != NULL;
}

// After trouble: a connection that broke is of no use any more.
static void close_stores(struct gateway_janitor *janitor)
{
    blobs_close(TAKE(janitor->blobs));
    jobs_close(TAKE(janitor->jobs));
}

static bool sweep_rows(struct gateway_janitor *janitor, struct error *err)
{
    int64_t moved = 0;
    do {
        if (!jobs_sweep(janitor->jobs, janitor->config->retention_ms, &moved, err))
            return error_prefix(err, "sweep rows");
        if (moved > 0)
            metrics_add("unreel_sweeps_total", "kind=\"row\"", moved);
    } while (moved >= FULL_BATCH && !rest(janitor, PAUSE_MS));
    return true;
}

// The blobs first: a row that is gone would leave them unknown for ever.
static bool delete_one(struct gateway_janitor *janitor, const struct conversion *conversion,
                       struct error *err)
{
    if (!gateway_collect_conversion(janitor->blobs, conversion->id, err) ||
        !jobs_deleted(janitor->jobs, conversion->id, err))
        return false;
    metrics_add("unreel_sweeps_total", "kind=\"deleted\"", 1);
    log_info("deleted");
    return true;
}

// One that cannot be removed now must not keep those behind it, which are due together with it ever
// after.
static bool delete_rows(struct gateway_janitor *janitor, struct error *err)
{
    struct conversion *taken = alloc_zeroed(DELETE_BATCH, sizeof *taken);
    size_t count = 0;
    bool is_well = true;
    do {
        is_well = jobs_take_deleting(janitor->jobs, taken, DELETE_BATCH, &count, err);
        size_t taken_count = is_well ? count : 0;
        for (size_t i = 0; i < taken_count; i++) {
            log_conversion(taken[i].id);
            is_well = delete_one(janitor, &taken[i], err) && is_well;
            log_conversion(NULL);
        }
    } while (is_well && count == DELETE_BATCH && !rest(janitor, PAUSE_MS));
    free(taken);
    return is_well || error_prefix(err, "delete conversions");
}

static bool forget_rows(struct gateway_janitor *janitor, struct error *err)
{
    int64_t forgotten = 0;
    do {
        if (!jobs_forget(janitor->jobs, &forgotten, err))
            return error_prefix(err, "forget tombstones");
        if (forgotten > 0)
            metrics_add("unreel_sweeps_total", "kind=\"forgotten\"", forgotten);
    } while (forgotten >= FULL_BATCH && !rest(janitor, PAUSE_MS));
    return true;
}

static bool collect(struct gateway_janitor *janitor, struct error *err)
{
    if (clock_monotonic_ms() < janitor->collect_at_ms)
        return true;
    struct gateway_collected collected = {0};
    if (!gateway_collect_garbage(janitor->jobs, janitor->blobs, &collected, err))
        return error_prefix(err, "collect blobs");
    janitor->collect_at_ms = clock_monotonic_ms() + janitor->config->collect_interval_ms;
    metrics_set("unreel_blobs_unknown", "", collected.unknown_count);
    metrics_add("unreel_sweeps_total", "kind=\"blob\"", collected.removed_count);
    if (collected.removed_count > 0)
        log_info("blobs of dead attempts removed", LOG_INTEGER("count", collected.removed_count));
    return forget_rows(janitor, err);
}

static void set_gauges(const char *metric, const struct jobs_count *counts, size_t count)
{
    char labels[64];
    for (size_t i = 0; i < count; i++) {
        snprintf(labels, sizeof labels, "state=\"%s\"", counts[i].state);
        metrics_set(metric, labels, counts[i].count);
    }
}

// The longest that one of the rows in these states has been due.
static void set_oldest(const char *kind, const struct jobs_count *counts, size_t count,
                       const char *const *states)
{
    int64_t oldest_ms = 0;
    for (size_t i = 0; i < count; i++)
        for (const char *const *state = states; *state != NULL; state++)
            if (strcmp(*state, counts[i].state) == 0 && counts[i].oldest_due_ms > oldest_ms)
                oldest_ms = counts[i].oldest_due_ms;
    metrics_set("unreel_oldest_due_seconds", kind, oldest_ms / 1000);
}

static bool measure(struct gateway_janitor *janitor, struct error *err)
{
    static const char *const of_converters[] = {"queued", "converting", NULL};
    static const char *const of_notifiers[] = {"pending", "sending", NULL};
    struct jobs_count conversions[JOBS_STATES], letters[JOBS_LETTER_STATES];
    if (clock_monotonic_ms() < janitor->measure_at_ms)
        return true;
    if (!jobs_counts(janitor->jobs, conversions, err) ||
        !jobs_letter_counts(janitor->jobs, letters, err))
        return false;
    janitor->measure_at_ms = clock_monotonic_ms() + MEASURE_EVERY_MS;
    set_gauges("unreel_conversions", conversions, JOBS_STATES);
    set_gauges("unreel_letters_waiting", letters, JOBS_LETTER_STATES);
    set_oldest("kind=\"conversion\"", conversions, JOBS_STATES, of_converters);
    set_oldest("kind=\"letter\"", letters, JOBS_LETTER_STATES, of_notifiers);
    return true;
}

static bool tidy(struct gateway_janitor *janitor, struct error *err)
{
    return open_jobs(janitor, err) && sweep_rows(janitor, err) && measure(janitor, err) &&
           open_blobs(janitor, err) && delete_rows(janitor, err) && collect(janitor, err);
}

static void note(struct gateway_janitor *janitor, bool is_well, const struct error *err)
{
    if (!is_well && !janitor->was_failing)
        log_warn("cannot tidy up; trying on", LOG_TEXT("reason", err->text));
    if (is_well && janitor->was_failing)
        log_info("tidying up again");
    janitor->was_failing = !is_well;
}

static void *run(void *context)
{
    struct gateway_janitor *janitor = context;
    int64_t pause_ms;
    do {
        struct error err = {0};
        bool is_well = tidy(janitor, &err);
        note(janitor, is_well, &err);
        if (!is_well)
            close_stores(janitor);
        // Replicas must not march in step.
        pause_ms = SWEEP_EVERY_MS - SWEEP_JITTER_MS +
                   (int64_t)(id_random_u64() % (2ULL * SWEEP_JITTER_MS));
    } while (!rest(janitor, pause_ms));
    close_stores(janitor);
    return NULL;
}

struct gateway_janitor *gateway_janitor_start(const struct config *config, struct error *err)
{
    struct gateway_janitor *janitor = alloc_zeroed(1, sizeof *janitor);
    pthread_condattr_t monotonic;
    janitor->config = config;
    pthread_mutex_init(&janitor->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&janitor->stop_signal, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int failure = pthread_create(&janitor->thread, NULL, run, janitor);
    if (failure == 0)
        return janitor;
    error_set_errno(err, failure, "start the janitor");
    free(janitor);
    return NULL;
}

void gateway_janitor_stop(struct gateway_janitor *janitor)
{
    if (janitor == NULL)
        return;
    pthread_mutex_lock(&janitor->lock);
    janitor->is_stopping = true;
    pthread_cond_signal(&janitor->stop_signal);
    pthread_mutex_unlock(&janitor->lock);
    pthread_join(janitor->thread, NULL);
    free(janitor);
}
