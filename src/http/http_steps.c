// Runs the steps of exchanges: worker threads that own their handles, one bounded queue in front of
// them, and a clock thread that wakes parked exchanges and refuses what has waited too long.

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/http_reply.h"
#include "http/http_server.h"

#include <assert.h>
#include <limits.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { WORKER_STACK_BYTES = 2 << 20 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
enum { WORKER_STACK_BYTES = 2 << 20 };
#else
enum { WORKER_STACK_BYTES = 256 << 10 };
#endif
#else
enum { WORKER_STACK_BYTES = 256 << 10 };
#endif

enum { CLOCK_IDLE_MS = 1000, REFUSED_AT_ONCE = 32 };

struct http_steps {
    struct http_server *server;
    pthread_mutex_t lock;
    pthread_cond_t work;  // a step is queued, or the workers stop
    pthread_cond_t clock; // an exchange was parked, or the clock stops
    pthread_cond_t in_flight_changed;
    struct http_exchange *first, **last;
    size_t queued;
    size_t in_flight; // posted, not resumed: queued, running or parked; without `finish`
    struct http_exchange *parked;
    int open_workers;
    bool is_closing; // no step is accepted but `finish`
    bool is_stopping_clock;
    bool is_stopping_workers;
    pthread_t clock_thread;
    int workers_count;
    pthread_t workers[];
};

// ---- the queue; all with the lock held ----

static void enqueue(struct http_steps *steps, struct http_exchange *exchange)
{
    exchange->next = NULL;
    exchange->queued_ms = clock_monotonic_ms();
    *steps->last = exchange;
    steps->last = &exchange->next;
    steps->queued++;
    pthread_cond_signal(&steps->work);
}

static struct http_exchange *dequeue(struct http_steps *steps)
{
    struct http_exchange *exchange = steps->first;
    steps->first = exchange->next;
    if (steps->first == NULL)
        steps->last = &steps->first;
    steps->queued--;
    return exchange;
}

// ---- one step ----

static void end_step(struct http_exchange *exchange)
{
    exchange->again_ms = -1;
    exchange->match.route->handler.end(exchange);
    if (!exchange->answer.is_set && exchange->again_ms < 0)
        http_reply_problem(exchange, 500, "internal", "The request was left without an answer.");
}

static void body_step(struct http_exchange *exchange)
{
    const struct http_handler *handler = &exchange->match.route->handler;
    if (handler->body == NULL || exchange->body.size == 0)
        return;
    handler->body(exchange, exchange->body.bytes, exchange->body.size);
    buf_clear(&exchange->body);
}

static void run_step(struct http_exchange *exchange)
{
    const struct http_handler *handler = &exchange->match.route->handler;
    exchange->deadline_ms = clock_monotonic_ms() + exchange->server->limits.step_ms;
    exchange->has_run = true;
    switch (exchange->step) {
    case HTTP_STEP_BEGIN:
        if (handler->begin != NULL)
            handler->begin(exchange);
        // Without a body one trip to a worker is enough.
        if (!exchange->answer.is_set && !exchange->has_body)
            end_step(exchange);
        break;
    case HTTP_STEP_BODY:
        body_step(exchange);
        break;
    case HTTP_STEP_END:
        body_step(exchange);
        if (!exchange->answer.is_set)
            end_step(exchange);
        break;
    case HTTP_STEP_AGAIN:
        end_step(exchange);
        break;
    case HTTP_STEP_FILL:
        http_stream_fill(exchange);
        break;
    case HTTP_STEP_FINISH:
        handler->finish(exchange);
        break;
    }
}

// Hands the exchange back to its event thread; it must not be touched afterwards.
static void give_back(struct http_steps *steps, struct http_exchange *exchange)
{
    if (exchange->step == HTTP_STEP_BODY && exchange->answer.is_set)
        http_early_answer(exchange);
    else if (exchange->step == HTTP_STEP_BODY)
        // Its deadline runs again from here: no call comes before the client has sent more.
        http_connection_progress(exchange->peer, 0);
    MHD_resume_connection(exchange->connection);
    pthread_mutex_lock(&steps->lock);
    if (--steps->in_flight == 0)
        pthread_cond_broadcast(&steps->in_flight_changed);
    pthread_mutex_unlock(&steps->lock);
}

static void refuse(struct http_steps *steps, struct http_exchange *exchange)
{
    if (exchange->step == HTTP_STEP_FILL)
        exchange->answer.stream.has_failed = true; // a part of it has been sent
    else
        http_reply_problem(exchange, 503, "busy", "The server is busy. Please try again.");
    give_back(steps, exchange);
}

static void park(struct http_steps *steps, struct http_exchange *exchange)
{
    exchange->due_ms = clock_monotonic_ms() + exchange->again_ms;
    exchange->step = HTTP_STEP_AGAIN;
    pthread_mutex_lock(&steps->lock);
    bool is_closing = steps->is_closing;
    if (!is_closing) {
        exchange->next = steps->parked;
        steps->parked = exchange;
        pthread_cond_broadcast(&steps->clock);
    }
    pthread_mutex_unlock(&steps->lock);
    if (is_closing)
        refuse(steps, exchange);
}

static void run(struct http_steps *steps, struct http_exchange *exchange, void *worker)
{
    exchange->worker = worker;
    run_step(exchange);
    exchange->worker = NULL;
    if (exchange->step == HTTP_STEP_FINISH)
        http_exchange_destroy(exchange);
    else if (!exchange->answer.is_set && exchange->again_ms >= 0)
        park(steps, exchange);
    else
        give_back(steps, exchange);
}

// ---- threads ----

static void wait_ms(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t ms)
{
    int64_t until = clock_monotonic_ms() + ms;
    struct timespec at = {.tv_sec = until / 1000, .tv_nsec = (until % 1000) * 1000000};
    pthread_cond_timedwait(condition, lock, &at);
}

// False when the server stops before the handles could be opened.
static bool open_worker(struct http_steps *steps, void **out)
{
    const struct http_server_options *options = &steps->server->options;
    *out = NULL;
    if (options->worker_open == NULL)
        return true;
    for (;;) {
        struct error err = {0};
        *out = options->worker_open(options->application, &err);
        if (*out != NULL)
            return true;
        log_debug("a worker cannot open its handles", LOG_TEXT("server", options->name),
                  LOG_TEXT("reason", err.text));
        pthread_mutex_lock(&steps->lock);
        int64_t again_ms = clock_monotonic_ms() + steps->server->limits.worker_retry_ms;
        while (!steps->is_stopping_workers && clock_left_ms(again_ms) > 0)
            wait_ms(&steps->clock, &steps->lock, clock_left_ms(again_ms));
        bool is_stopping = steps->is_stopping_workers;
        pthread_mutex_unlock(&steps->lock);
        if (is_stopping)
            return false;
    }
}

static void *worker_main(void *context)
{
    struct http_steps *steps = context;
    void *worker;
    if (!open_worker(steps, &worker))
        return NULL;
    pthread_mutex_lock(&steps->lock);
    steps->open_workers++;
    for (;;) {
        while (steps->first == NULL && !steps->is_stopping_workers)
            pthread_cond_wait(&steps->work, &steps->lock);
        if (steps->first == NULL)
            break;
        struct http_exchange *exchange = dequeue(steps);
        pthread_mutex_unlock(&steps->lock);
        run(steps, exchange, worker);
        pthread_mutex_lock(&steps->lock);
    }
    pthread_mutex_unlock(&steps->lock);
    if (steps->server->options.worker_close != NULL)
        steps->server->options.worker_close(worker);
    return NULL;
}

// Queues the parked exchanges that are due; returns the milliseconds until the next one is.
static int64_t wake_parked(struct http_steps *steps, int64_t now_ms)
{
    int64_t left_ms = CLOCK_IDLE_MS;
    struct http_exchange **link = &steps->parked;
    while (*link != NULL) {
        struct http_exchange *exchange = *link;
        if (exchange->due_ms <= now_ms) {
            *link = exchange->next;
            enqueue(steps, exchange);
            continue;
        }
        if (exchange->due_ms - now_ms < left_ms)
            left_ms = exchange->due_ms - now_ms;
        link = &exchange->next;
    }
    return left_ms;
}

// Takes those out that have waited too long. `finish` waits for as long as it must.
static size_t take_late(struct http_steps *steps, int64_t now_ms, struct http_exchange **out)
{
    const struct http_limits *limits = &steps->server->limits;
    int64_t wait_limit_ms =
        steps->open_workers > 0 ? limits->queue_wait_ms : limits->queue_wait_closed_ms;
    size_t count = 0;
    struct http_exchange **link = &steps->first;
    while (*link != NULL && count < REFUSED_AT_ONCE &&
           (steps->is_closing || now_ms - (*link)->queued_ms > wait_limit_ms)) {
        struct http_exchange *exchange = *link;
        if (exchange->step == HTTP_STEP_FINISH) {
            link = &exchange->next;
            continue;
        }
        *link = exchange->next;
        if (exchange->next == NULL)
            steps->last = link;
        steps->queued--;
        out[count++] = exchange;
    }
    return count;
}

static void *clock_main(void *context)
{
    struct http_steps *steps = context;
    pthread_mutex_lock(&steps->lock);
    while (!steps->is_stopping_clock) {
        int64_t now_ms = clock_monotonic_ms();
        int64_t left_ms = wake_parked(steps, now_ms);
        struct http_exchange *late[REFUSED_AT_ONCE];
        size_t count = take_late(steps, now_ms, late);
        if (count == 0) {
            wait_ms(&steps->clock, &steps->lock, left_ms);
            continue;
        }
        pthread_mutex_unlock(&steps->lock);
        for (size_t i = 0; i < count; i++)
            refuse(steps, late[i]);
        pthread_mutex_lock(&steps->lock);
    }
    pthread_mutex_unlock(&steps->lock);
    return NULL;
}

// ---- what the rest of the server calls ----

static void init_clocked(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

struct http_steps *http_steps_start(struct http_server *server, struct error *err)
{
    int wanted = server->options.worker_count;
    assert(wanted > 0);
    struct http_steps *steps =
        alloc_zeroed(1, sizeof *steps + (size_t)wanted * sizeof steps->workers[0]);
    steps->server = server;
    steps->last = &steps->first;
    pthread_mutex_init(&steps->lock, NULL);
    pthread_cond_init(&steps->work, NULL);
    init_clocked(&steps->clock);
    pthread_cond_init(&steps->in_flight_changed, NULL);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, WORKER_STACK_BYTES);
    int failure = pthread_create(&steps->clock_thread, &attributes, clock_main, steps);
    bool has_clock = failure == 0;
    while (failure == 0 && steps->workers_count < wanted) {
        failure =
            pthread_create(&steps->workers[steps->workers_count], &attributes, worker_main, steps);
        if (failure == 0)
            steps->workers_count++;
    }
    pthread_attr_destroy(&attributes);
    if (failure == 0)
        return steps;
    error_set_errno(err, failure, "start the threads of %s", server->options.name);
    if (has_clock)
        http_steps_stop(steps);
    else
        free(steps);
    return NULL;
}

bool http_steps_are_full(struct http_steps *steps)
{
    pthread_mutex_lock(&steps->lock);
    bool is_full = steps->queued >= steps->server->limits.queue_length;
    pthread_mutex_unlock(&steps->lock);
    return is_full;
}

bool http_steps_post(struct http_exchange *exchange, enum http_step step)
{
    struct http_steps *steps = exchange->server->steps;
    pthread_mutex_lock(&steps->lock);
    bool is_open = !steps->is_closing;
    if (is_open) {
        exchange->step = step;
        exchange->again_ms = -1;
        steps->in_flight++;
        // Before it is queued: a worker must never resume what is not yet suspended.
        MHD_suspend_connection(exchange->connection);
        enqueue(steps, exchange);
    }
    pthread_mutex_unlock(&steps->lock);
    return is_open;
}

void http_steps_post_finish(struct http_exchange *exchange)
{
    struct http_steps *steps = exchange->server->steps;
    pthread_mutex_lock(&steps->lock);
    exchange->step = HTTP_STEP_FINISH;
    enqueue(steps, exchange);
    pthread_mutex_unlock(&steps->lock);
}

void http_steps_run_parked(struct http_steps *steps)
{
    pthread_mutex_lock(&steps->lock);
    for (struct http_exchange *exchange = steps->parked; exchange != NULL;
         exchange = exchange->next)
        exchange->due_ms = 0;
    pthread_cond_broadcast(&steps->clock);
    pthread_mutex_unlock(&steps->lock);
}

void http_steps_close(struct http_steps *steps)
{
    pthread_mutex_lock(&steps->lock);
    steps->is_closing = true;
    for (struct http_exchange *exchange = steps->parked; exchange != NULL;
         exchange = exchange->next)
        exchange->due_ms = 0;
    pthread_cond_broadcast(&steps->clock);
    while (steps->in_flight > 0)
        pthread_cond_wait(&steps->in_flight_changed, &steps->lock);
    pthread_mutex_unlock(&steps->lock);
}

void http_steps_stop(struct http_steps *steps)
{
    pthread_mutex_lock(&steps->lock);
    steps->is_stopping_clock = true;
    steps->is_stopping_workers = true;
    pthread_cond_broadcast(&steps->clock);
    pthread_cond_broadcast(&steps->work);
    pthread_mutex_unlock(&steps->lock);
    pthread_join(steps->clock_thread, NULL);
    for (int i = 0; i < steps->workers_count; i++)
        pthread_join(steps->workers[i], NULL);
    pthread_cond_destroy(&steps->in_flight_changed);
    pthread_cond_destroy(&steps->clock);
    pthread_cond_destroy(&steps->work);
    pthread_mutex_destroy(&steps->lock);
    free(steps);
}
