// The worker's loop, and what `work` may ask of its crew. The keeper stands in crew_keeper.c.
#include "roles/crew/crew.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "roles/crew/crew_private.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    DUE_LIMIT = 8,
    LOOK_SMALLEST_MS = 4000, // an idle worker looks at the table every 5 s ± 1 s
    LOOK_SPREAD_MS = 2000,
    BACKOFF_BASE_MS = 200,
    BACKOFF_CAP_MS = 5000,
};

void crew_raise(int event_fd)
{
    uint64_t one = 1;
    if (write(event_fd, &one, sizeof one) < 0) {
        // The counter is full: readable already.
    }
}

void crew_lower(int event_fd)
{
    uint64_t count;
    if (read(event_fd, &count, sizeof count) < 0) {
        // It was not raised.
    }
}

bool crew_is_worth_a_line(int count)
{
    return count > 0 && (count & (count - 1)) == 0;
}

// ---- waiting ----

static struct timespec moment_after(int64_t ms)
{
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    moment.tv_sec += (time_t)(ms / 1000);
    moment.tv_nsec += (long)(ms % 1000) * 1000000;
    if (moment.tv_nsec >= 1000000000) {
        moment.tv_sec++;
        moment.tv_nsec -= 1000000000;
    }
    return moment;
}

// Until a stop, or until a hint where one is wanted, at most that long. True when stopping.
static bool wait_for(struct crew *crew, int64_t ms, bool wants_hint)
{
    struct timespec until = moment_after(ms);
    pthread_mutex_lock(&crew->lock);
    while (!crew->is_stopping && !(wants_hint && crew->hint_state == CREW_HINT_WAITING))
        if (pthread_cond_timedwait(&crew->worker_wakes, &crew->lock, &until) == ETIMEDOUT)
            break;
    bool answer = crew->is_stopping;
    pthread_mutex_unlock(&crew->lock);
    return answer;
}

bool crew_wait_ms(struct crew *crew, int64_t ms)
{
    return wait_for(crew, ms, false);
}

static bool is_stopping(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    bool answer = crew->is_stopping;
    pthread_mutex_unlock(&crew->lock);
    return answer;
}

// ---- the worker ----

static bool take_hint(struct crew *crew, char out_id[ID_SIZE])
{
    pthread_mutex_lock(&crew->lock);
    bool is_there = crew->hint_state == CREW_HINT_WAITING;
    if (is_there) {
        crew->hint_state = CREW_HINT_TAKEN;
        memcpy(out_id, crew->hint.id, ID_SIZE);
    }
    pthread_mutex_unlock(&crew->lock);
    return is_there;
}

static void hint_is_done(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    if (crew->hint_state == CREW_HINT_TAKEN)
        crew->hint_state = CREW_HINT_DONE;
    pthread_mutex_unlock(&crew->lock);
    crew_raise(crew->keeper_fd);
}

// The oldest row that can be had. NOT_OURS: nothing is left, or others are faster.
static enum crew_answer work_on_due(struct crew *crew, struct error *err)
{
    const struct crew_duty *duty = crew->duty;
    char ids[DUE_LIMIT][ID_SIZE];
    size_t count = 0;
    if (!duty->due(duty->context, ids, DUE_LIMIT, &count, err))
        return CREW_TROUBLE;
    for (size_t i = 0; i < count && !is_stopping(crew); i++) {
        enum crew_answer answer = duty->work(duty->context, ids[i], err);
        if (answer != CREW_NOT_OURS)
            return answer;
    }
    return CREW_NOT_OURS;
}

// The row that the hint names, then all that is due. False with err when something does not answer.
static bool work_off(struct crew *crew, struct error *err)
{
    const struct crew_duty *duty = crew->duty;
    char hint_id[ID_SIZE];
    bool has_hint = take_hint(crew, hint_id);
    bool is_well = duty->prepare(duty->context, err);
    if (is_well && has_hint && duty->hint_names_work)
        is_well = duty->work(duty->context, hint_id, err) != CREW_TROUBLE;
    if (has_hint)
        hint_is_done(crew);
    enum crew_answer answer = is_well ? CREW_WORKED : CREW_TROUBLE;
    while (answer == CREW_WORKED && !is_stopping(crew))
        answer = work_on_due(crew, err);
    return answer != CREW_TROUBLE;
}

static void *worker_main(void *argument)
{
    struct crew *crew = argument;
    int failures = 0;
    while (!is_stopping(crew)) {
        struct error err = {0};
        if (work_off(crew, &err)) {
            if (failures > 0)
                log_info("working again", LOG_INTEGER("failures", failures));
            failures = 0;
            int64_t look_ms = LOOK_SMALLEST_MS + (int64_t)(id_random_u64() % LOOK_SPREAD_MS);
            wait_for(crew, look_ms, true);
        } else {
            failures++;
            if (crew_is_worth_a_line(failures))
                log_warn("cannot work now", LOG_TEXT("reason", err.text),
                         LOG_INTEGER("failures", failures));
            crew->duty->release(crew->duty->context);
            wait_for(crew, clock_backoff_ms(failures, BACKOFF_BASE_MS, BACKOFF_CAP_MS), false);
        }
    }
    crew->duty->release(crew->duty->context);
    return NULL;
}

// ---- for `work` ----

void crew_cancel(struct crew *crew, enum crew_cancel reason)
{
    if (crew->cancelled == CREW_GO_ON)
        crew->cancelled = reason;
    crew_raise(crew->cancel_fd);
}

void crew_hold(struct crew *crew, const char *id, const char *claim)
{
    pthread_mutex_lock(&crew->lock);
    crew->hold_number++;
    crew->is_held = true;
    snprintf(crew->id, sizeof crew->id, "%s", id);
    snprintf(crew->claim, sizeof crew->claim, "%s", claim);
    crew->progress_permille = 0;
    crew->cancelled = CREW_GO_ON;
    crew_lower(crew->cancel_fd);
    if (crew->is_stopping)
        crew_cancel(crew, CREW_STOPPING);
    pthread_mutex_unlock(&crew->lock);
    crew_raise(crew->keeper_fd);
}

void crew_progress(struct crew *crew, int64_t permille)
{
    pthread_mutex_lock(&crew->lock);
    crew->progress_permille = permille;
    pthread_mutex_unlock(&crew->lock);
}

enum crew_cancel crew_cancelled(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    enum crew_cancel cancelled = crew->cancelled;
    pthread_mutex_unlock(&crew->lock);
    return cancelled;
}

int crew_cancel_fd(struct crew *crew)
{
    return crew->cancel_fd;
}

enum crew_cancel crew_let_go(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    crew->is_held = false;
    enum crew_cancel cancelled = crew->cancelled;
    pthread_mutex_unlock(&crew->lock);
    return cancelled;
}

// ---- for the role ----

void crew_worker_name(char out[64])
{
    char host[HOST_NAME_MAX + 1] = "";
    if (gethostname(host, sizeof host) != 0)
        snprintf(host, sizeof host, "unknown");
    snprintf(out, 64, "%.52s:%d", host, (int)getpid());
}

static bool check_jobs(void *context, struct error *err)
{
    struct crew *crew = context;
    if (crew->check_jobs == NULL)
        crew->check_jobs = jobs_open(crew->jobs_url, err);
    if (crew->check_jobs == NULL)
        return false;
    if (jobs_ready(crew->check_jobs, err))
        return true;
    jobs_close(TAKE(crew->check_jobs));
    return false;
}

static bool check_queue(void *context, struct error *err)
{
    struct crew *crew = context;
    if (crew->check_queue == NULL)
        crew->check_queue = queue_open(crew->queue_url, NULL, err);
    return crew->check_queue != NULL && queue_pump(crew->check_queue, err);
}

size_t crew_checks(struct crew *crew, struct http_admin_check *out, size_t limit)
{
    const struct http_admin_check checks[] = {
        {.name = "jobs", .check = check_jobs, .context = crew},
        {.name = "queue", .check = check_queue, .context = crew},
    };
    size_t count = sizeof checks / sizeof checks[0];
    if (count > limit)
        count = limit;
    memcpy(out, checks, count * sizeof checks[0]);
    return count;
}

struct crew *crew_create(const struct crew_duty *duty, const char *queue_url, const char *jobs_url,
                         struct error *err)
{
    struct crew *crew = alloc_zeroed(1, sizeof *crew);
    crew->duty = duty;
    crew->queue_url = queue_url;
    crew->jobs_url = jobs_url;
    pthread_mutex_init(&crew->lock, NULL);
    pthread_condattr_t by_monotonic_clock;
    pthread_condattr_init(&by_monotonic_clock);
    pthread_condattr_setclock(&by_monotonic_clock, CLOCK_MONOTONIC);
    pthread_cond_init(&crew->worker_wakes, &by_monotonic_clock);
    pthread_condattr_destroy(&by_monotonic_clock);
    crew->keeper_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    crew->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (crew->keeper_fd >= 0 && crew->cancel_fd >= 0)
        return crew;
    error_set_errno(err, errno, "make an event descriptor");
    crew_stop(crew);
    return NULL;
}

static void request_stop(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    crew->is_stopping = true;
    crew_cancel(crew, CREW_STOPPING);
    pthread_cond_broadcast(&crew->worker_wakes);
    pthread_mutex_unlock(&crew->lock);
    crew_raise(crew->keeper_fd);
}

bool crew_start(struct crew *crew, struct error *err)
{
    int problem = pthread_create(&crew->keeper, NULL, crew_keeper_main, crew);
    if (problem != 0)
        return error_set_errno(err, problem, "start the keeper thread");
    problem = pthread_create(&crew->worker, NULL, worker_main, crew);
    if (problem != 0) {
        request_stop(crew);
        pthread_join(crew->keeper, NULL);
        return error_set_errno(err, problem, "start the worker thread");
    }
    crew->is_started = true;
    return true;
}

void crew_stop(struct crew *crew)
{
    if (crew == NULL)
        return;
    if (crew->is_started) {
        request_stop(crew);
        pthread_join(crew->worker, NULL);
        pthread_join(crew->keeper, NULL);
    }
    jobs_close(crew->check_jobs);
    queue_close(crew->check_queue);
    if (crew->keeper_fd >= 0)
        close(crew->keeper_fd);
    if (crew->cancel_fd >= 0)
        close(crew->cancel_fd);
    pthread_cond_destroy(&crew->worker_wakes);
    pthread_mutex_destroy(&crew->lock);
    free(crew);
}
