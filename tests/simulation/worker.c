// A converter as a step machine. Between any two of its steps it can be killed, frozen until it is
// a zombie, or told to stop.

#include "world.h"

#include "sql/sql.h"

#include <stdio.h>
#include <string.h>

static void forget(struct worker *worker, int64_t from_ms, int64_t to_ms)
{
    *worker = (struct worker){.wake_ms = world_now_ms() + world_between(from_ms, to_ms)};
}

static void walk_away(struct worker *worker)
{
    forget(worker, 0, 100);
}

static void die(struct worker *worker)
{
    world.kills++;
    forget(worker, 1000, 30000);
}

struct attempt_row {
    int64_t attempt;
};

static bool read_attempt(const struct sql_row *row, void *context)
{
    ((struct attempt_row *)context)->attempt = sql_row_integer(row, 0);
    return false;
}

// The fence, told from outside: whoever is answered DONE is the newest claimant.
static void check_fence(const struct worker *worker, const char *what)
{
    const struct conversion *row = &worker->claimed.conversion;
    struct attempt_row now = {0};
    struct error err = {0};
    bool was_calm = world.is_calm;
    world.is_calm = true;
    bool is_read = sql_query(jobs_sql(world.jobs), "SELECT attempt FROM conversion WHERE id=?",
                             SQL_VALUES(SQL_TEXT(row->id)), read_attempt, &now, &err);
    world.is_calm = was_calm;
    if (!is_read || now.attempt != row->attempt)
        world_violation("%s of %s was granted to attempt %lld while the row is at %lld", what,
                        row->id, (long long)row->attempt, (long long)now.attempt);
}

static void idle(struct worker *worker)
{
    struct error err = {0};
    struct job *job = hint_receive();
    char id[ID_SIZE] = "";
    if (job) {
        memcpy(id, job->id, ID_SIZE);
    } else {
        char due[8][ID_SIZE];
        size_t count = 0;
        if (jobs_due(world.jobs, due, 8, &count, &err) && count > 0)
            memcpy(id, due[world_below(count)], ID_SIZE);
    }
    worker->wake_ms = world_now_ms() + world_between(4000, world.is_calm ? 30000 : 6000);
    if (id[0] == '\0' || jobs_claim(world.jobs, id, "worker", &worker->claimed, &err) != JOBS_DONE)
        return;
    world.claims++;
    world.takeovers += worker->claimed.conversion.failures > 0;
    worker->job = job_of(id);
    worker->step = WORKER_WORKING;
    worker->steps_left = (int)world_below(4);
    check_fence(worker, "a claim");
    if (!worker->job->has_source)
        world_violation("claimed %s, whose source is gone", id);
}

static void answer(struct worker *worker, enum jobs_answer answer, const char *what)
{
    if (answer == JOBS_DONE)
        check_fence(worker, what);
    if (answer == JOBS_ERROR && ++worker->errors < 3)
        worker->wake_ms = world_now_ms() + 1000;
    else
        walk_away(worker);
}

static void verdict(struct worker *worker)
{
    struct error err = {0};
    switch (worker->job->nature) {
    case NATURE_KILLS_WORKER:
        die(worker);
        break;
    case NATURE_CRASHES_DECODER:
        answer(worker, jobs_crashed(world.jobs, &worker->claimed, WORLD_RETENTION_MS, &err),
               "a crash");
        break;
    case NATURE_SILENT:
        answer(worker,
               jobs_fail(world.jobs, &worker->claimed, "no_audio", "There is no sound in it.",
                         WORLD_RETENTION_MS, &err),
               "a failure");
        break;
    case NATURE_GOOD:
        worker->step = WORKER_STORING;
        worker->wake_ms = world_now_ms() + world_between(0, 2000);
        break;
    }
}

static void work(struct worker *worker)
{
    struct error err = {0};
    if (world_chance(40)) {
        answer(worker, jobs_give_back(world.jobs, &worker->claimed, &err), "a give-back");
        return;
    }
    if (world_chance(60)) {
        answer(worker,
               jobs_postpone(world.jobs, &worker->claimed, "The store is away.", WORLD_RETENTION_MS,
                             &err),
               "a postponement");
        return;
    }
    if (worker->steps_left-- <= 0) {
        verdict(worker);
        return;
    }
    worker->progress += 100;
    enum jobs_answer renewed = jobs_renew(world.jobs, worker->claimed.conversion.id,
                                          worker->claimed.claim, worker->progress, &err);
    if (renewed == JOBS_DONE) {
        check_fence(worker, "a renewal");
        worker->errors = 0;
    } else if (renewed == JOBS_NOT_YOURS || ++worker->errors >= 2) {
        walk_away(worker);
        return;
    }
    worker->wake_ms = world_now_ms() + world_between(5000, JOBS_RENEW_MS);
}

static void store(struct worker *worker)
{
    int64_t attempt = worker->claimed.conversion.attempt;
    if (attempt >= WORLD_ATTEMPTS) {
        world_violation("attempt %lld", (long long)attempt);
        return;
    }
    worker->job->has_audio[attempt] = true;
    worker->step = WORKER_ENDING;
    worker->errors = 0;
    worker->wake_ms = world_now_ms() + world_between(0, 2000);
}

static void end(struct worker *worker)
{
    struct error err = {0};
    const struct conversion *row = &worker->claimed.conversion;
    char key[JOBS_KEY_SIZE];
    snprintf(key, sizeof key, "audio/%s/%lld", row->id, (long long)row->attempt);
    struct jobs_result result = {
        .audio_key = key,
        .audio_bytes = 100,
        .audio_sha256 = "",
        .duration_ms = 1000,
        .retention_ms = WORLD_RETENTION_MS,
    };
    enum jobs_answer finished = jobs_finish(world.jobs, &worker->claimed, &result, &err);
    struct job *job = worker->job;
    if (finished == JOBS_DONE && !world_chance(100))
        job->has_source = false; // killed before: the collection of garbage finds it
    if (finished == JOBS_NOT_YOURS && world_below(2))
        job->has_audio[row->attempt] = false;
    answer(worker, finished, "a finish");
}

void worker_step(struct worker *worker)
{
    if (worker->step != WORKER_IDLE && world_chance(60)) {
        die(worker);
        return;
    }
    if (worker->step != WORKER_IDLE && world_chance(50)) { // frozen: it wakes as a zombie, perhaps
        worker->wake_ms = world_now_ms() + world_between(10000, 200000);
        return;
    }
    switch (worker->step) {
    case WORKER_IDLE:
        idle(worker);
        break;
    case WORKER_WORKING:
        work(worker);
        break;
    case WORKER_STORING:
        store(worker);
        break;
    case WORKER_ENDING:
        end(worker);
        break;
    }
}
