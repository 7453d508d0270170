// Thousands of short lives of the whole machinery of claims, each decided by its seed: workers that
// die, freeze and come back as zombies, hints that are lost, doubled and out of order, a database
// whose answers get lost, users who delete and retry. After some chaos the world calms down, and
// then everything must come to an end, and the books must be right.
//
//     simulate_claims [--seed N] [--runs N]     seeds N, N+1, …; a seed replays exactly

#include "jobs_oracle.h"
#include "sql/sql.h"
#include "virtual_sql.h"
#include "world.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { CHAOS_MS = 8 * 60000, CALM_MS = 6 * 3600000, CHECK_MS = 120000 };

struct world world;

// ---- chance, and identifiers that follow from it: these take the place of base/id.c

static uint64_t draw(void)
{
    uint64_t mixed = (world.random += 0x9E3779B97F4A7C15); // splitmix64
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
    return mixed ^ (mixed >> 31);
}

uint64_t id_random_u64(void)
{
    return draw();
}

void random_bytes(void *out, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)out)[i] = (unsigned char)(draw() >> 24);
}

static void encode(char *out, size_t from)
{
    for (size_t i = from; i < ID_SIZE - 1; i++)
        out[i] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[draw() & 31];
    out[ID_SIZE - 1] = '\0';
}

void id_new(char out[ID_SIZE])
{
    snprintf(out, ID_SIZE, "%010lld", (long long)(virtual_sql.now_ms % 10000000000));
    encode(out, 10);
}

void token_new(char out[TOKEN_SIZE])
{
    encode(out, 0);
}

bool id_is_valid(const char *text)
{
    return strlen(text) == ID_SIZE - 1;
}

// ---- the world

int64_t world_now_ms(void)
{
    return virtual_sql.now_ms;
}

uint64_t world_below(uint64_t limit)
{
    return draw() % limit;
}

bool world_chance(uint64_t in_a_thousand)
{
    return !world.is_calm && world_below(1000) < in_a_thousand;
}

int64_t world_between(int64_t from_ms, int64_t to_ms)
{
    return from_ms + (int64_t)world_below((uint64_t)(to_ms - from_ms) + 1);
}

void world_violation(const char *format, ...)
{
    if (world.violation[0])
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(world.violation, sizeof world.violation, format, arguments);
    va_end(arguments);
}

struct job *job_of(const char *id)
{
    for (size_t i = 0; i < world.jobs_wanted; i++)
        if (strcmp(world.job[i].id, id) == 0)
            return &world.job[i];
    world_violation("a row of unknown id %s", id);
    return &world.job[0];
}

void hint_send(struct job *job)
{
    for (size_t copies = world_below(world.is_calm ? 2 : 4); copies > 0; copies--)
        if (world.hints < WORLD_HINTS)
            world.hint[world.hints++] =
                (struct hint){.job = job, .at_ms = world_now_ms() + world_between(0, 30000)};
}

struct job *hint_receive(void)
{
    if (world.hints == 0)
        return NULL;
    size_t i = world_below(world.hints);
    if (world.hint[i].at_ms > world_now_ms())
        return NULL;
    struct job *job = world.hint[i].job;
    world.hint[i] = world.hint[--world.hints];
    return job;
}

static enum virtual_fault fault(void *context)
{
    (void)context;
    if (!world_chance(15))
        return VIRTUAL_NONE;
    if (world_below(2))
        return VIRTUAL_BEFORE;
    world.lost_answers++;
    return VIRTUAL_AFTER;
}

static enum nature any_nature(void)
{
    static const enum nature natures[] = {NATURE_GOOD, NATURE_GOOD,        NATURE_GOOD,
                                          NATURE_GOOD, NATURE_SILENT,      NATURE_CRASHES_DECODER,
                                          NATURE_GOOD, NATURE_KILLS_WORKER};
    return natures[world_below(sizeof natures / sizeof natures[0])];
}

static void create_world(struct jobs *jobs, uint64_t seed)
{
    static const char *const tables[] = {"DELETE FROM conversion", "DELETE FROM event",
                                         "DELETE FROM link", "DELETE FROM letter",
                                         "DELETE FROM uploader"};
    world = (struct world){.random = seed * 0x2545F4914F6CDD1D + 1, .jobs = jobs, .is_calm = true};
    virtual_sql.now_ms = INT64_C(1800000000000);
    virtual_sql.fault = fault;
    struct error err = {0};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        if (!sql_execute(jobs_sql(jobs), tables[i], SQL_NO_VALUES, NULL, &err))
            world_violation("%s: %s", tables[i], err.text);
    world.is_calm = false;
    world.jobs_wanted = 1 + world_below(WORLD_JOBS);
    world.workers = 1 + world_below(WORLD_WORKERS);
    for (size_t i = 0; i < world.jobs_wanted; i++) {
        id_new(world.job[i].id);
        snprintf(world.job[i].key, sizeof world.job[i].key, "key-%zu", i);
        world.job[i].nature = any_nature();
    }
    for (size_t i = 0; i < WORLD_WORKERS; i++)
        world.worker[i].wake_ms =
            i < world.workers ? world_now_ms() + world_between(0, 5000) : INT64_MAX;
    for (size_t i = 0; i < WORLD_NOTIFIERS; i++)
        world.notifier[i].wake_ms = world_now_ms() + world_between(0, 20000);
    world.user_wake_ms = world.janitor_wake_ms = world_now_ms();
}

// Moves the clock to whoever wakes next and lets them act.
static void step(void)
{
    int64_t *next = &world.user_wake_ms;
    if (world.janitor_wake_ms < *next)
        next = &world.janitor_wake_ms;
    for (size_t i = 0; i < WORLD_WORKERS; i++)
        if (world.worker[i].wake_ms < *next)
            next = &world.worker[i].wake_ms;
    for (size_t i = 0; i < WORLD_NOTIFIERS; i++)
        if (world.notifier[i].wake_ms < *next)
            next = &world.notifier[i].wake_ms;
    if (*next > virtual_sql.now_ms)
        virtual_sql.now_ms = *next;
    if (next == &world.user_wake_ms) {
        user_step();
    } else if (next == &world.janitor_wake_ms) {
        janitor_step();
    } else {
        for (size_t i = 0; i < WORLD_WORKERS; i++)
            if (next == &world.worker[i].wake_ms)
                worker_step(&world.worker[i]);
        for (size_t i = 0; i < WORLD_NOTIFIERS; i++)
            if (next == &world.notifier[i].wake_ms)
                notifier_step(&world.notifier[i]);
    }
}

// ---- the books

static bool read_count(const struct sql_row *row, void *context)
{
    *(int64_t *)context = sql_row_integer(row, 0);
    return false;
}

static int64_t count_of(const char *query)
{
    struct error err = {0};
    int64_t count = 0;
    if (!sql_query(jobs_sql(world.jobs), query, SQL_NO_VALUES, read_count, &count, &err))
        world_violation("%s: %s", query, err.text);
    return count;
}

static bool is_at_rest(void)
{
    for (size_t i = 0; i < world.workers; i++)
        if (world.worker[i].step != WORKER_IDLE)
            return false;
    return world.jobs_made == world.jobs_wanted &&
           count_of("SELECT COUNT(*) FROM conversion WHERE state IN ('receiving', 'queued',"
                    " 'converting', 'deleting')") == 0 &&
           count_of("SELECT COUNT(*) FROM letter WHERE state IN ('pending', 'sending')") == 0;
}

static bool copy_row(const struct conversion *conversion, void *context)
{
    struct conversion *wanted = context;
    if (strcmp(conversion->id, wanted->id) != 0)
        return true;
    *wanted = *conversion;
    return false;
}

static void check_blobs(const struct job *job, const struct conversion *row)
{
    bool is_ready = strcmp(row->state, "ready") == 0;
    bool is_failed = strcmp(row->state, "failed") == 0;
    int audios = 0;
    for (int i = 0; i < WORLD_ATTEMPTS; i++)
        audios += job->has_audio[i];
    if (is_ready && !job->has_audio[row->attempt])
        world_violation("%s is ready and its audio is gone", job->id);
    if (is_failed && !job->has_source)
        world_violation("%s failed and its source is gone", job->id);
    if (audios != (is_ready ? 1 : 0) || job->has_source != is_failed)
        world_violation("%s is %s and %d audio blobs are left, source %d", job->id, row->state,
                        audios, job->has_source);
}

static void check_job(const struct job *job)
{
    struct error err = {0};
    struct conversion row = {0};
    memcpy(row.id, job->id, ID_SIZE);
    if (!jobs_changed(world.jobs, NULL, 0, copy_row, &row, &err))
        world_violation("read %s: %s", job->id, err.text);
    if (row.state[0] == '\0') {
        if (job->is_accepted)
            world_violation("%s was accepted and is not there", job->id);
        return;
    }
    const char *complaint = jobs_oracle_complaint(world.jobs, job->id);
    if (complaint)
        world_violation("%s: %s", job->id, complaint);
    bool is_deleted = strcmp(row.state, "deleted") == 0;
    if (is_deleted && job->is_accepted && !job->is_delete_asked)
        world_violation("%s was accepted, not deleted by its owner, and is gone", job->id);
    if (strcmp(row.state, "failed") == 0 && (!row.error_code[0] || !row.error_detail[0]))
        world_violation("%s failed without a reason", job->id);
    if (strcmp(row.state, "ready") == 0 && job->nature != NATURE_GOOD)
        world_violation("%s cannot be ready", job->id);
    check_blobs(job, &row);
}

static bool check_letter(const struct sql_row *row, void *context)
{
    (void)context;
    bool is_mailed = false;
    for (size_t i = 0; i < world.letters; i++)
        is_mailed |= strcmp(world.letter[i].id, sql_row_text(row, 0)) == 0;
    if (strcmp(sql_row_text(row, 1), "sent") == 0 && !is_mailed)
        world_violation("letter %s counts as sent and never was", sql_row_text(row, 0));
    if (sql_row_text(row, 2)[0])
        world_violation("letter %s has ended and still has its text", sql_row_text(row, 0));
    return true;
}

static void live(void)
{
    int64_t start_ms = virtual_sql.now_ms;
    while (virtual_sql.now_ms < start_ms + CHAOS_MS && !world.violation[0])
        step();
    world.is_calm = true;
    int64_t check_ms = virtual_sql.now_ms;
    bool is_over = false;
    while (!is_over && !world.violation[0]) {
        if (virtual_sql.now_ms >= check_ms) {
            is_over = is_at_rest();
            check_ms = virtual_sql.now_ms + CHECK_MS;
        }
        if (virtual_sql.now_ms > start_ms + CHAOS_MS + CALM_MS)
            world_violation("something never came to its end");
        if (!is_over)
            step();
    }
    janitor_step(); // once more, for what the last finish left behind
    for (size_t i = 0; i < world.jobs_wanted && !world.violation[0]; i++)
        check_job(&world.job[i]);
    struct error err = {0};
    if (!sql_query(jobs_sql(world.jobs), "SELECT id, state, params FROM letter", SQL_NO_VALUES,
                   check_letter, NULL, &err))
        world_violation("read letters: %s", err.text);
}

static bool read_arguments(int count, char **arguments, int64_t *out_seed, int64_t *out_runs)
{
    for (int i = 1; i < count; i += 2) {
        int64_t *out = strcmp(arguments[i], "--seed") == 0   ? out_seed
                       : strcmp(arguments[i], "--runs") == 0 ? out_runs
                                                             : NULL;
        if (!out || i + 1 == count || !text_parse_integer(arguments[i + 1], 0, INT32_MAX, out))
            return false;
    }
    return true;
}

int main(int count, char **arguments)
{
    int64_t seed = 1, runs = 2000;
    if (!read_arguments(count, arguments, &seed, &runs)) {
        fprintf(stderr, "usage: simulate_claims [--seed N] [--runs N]\n");
        return 2;
    }
    struct jobs *jobs = virtual_sql_open();
    struct world sums = {0};
    int64_t broken = 0;
    for (int64_t run = 0; run < runs && broken < 5; run++) {
        create_world(jobs, (uint64_t)(seed + run));
        live();
        if (world.violation[0]) {
            printf("seed %lld: %s\n", (long long)(seed + run), world.violation);
            broken++;
        }
        sums.jobs_made += world.jobs_made;
        sums.claims += world.claims;
        sums.takeovers += world.takeovers;
        sums.kills += world.kills;
        sums.lost_answers += world.lost_answers;
    }
    printf("seeds %lld to %lld: %zu conversions, %lld claims, %lld of them after failures, "
           "%lld workers killed, %lld answers lost; %lld runs broken\n",
           (long long)seed, (long long)(seed + runs - 1), sums.jobs_made, (long long)sums.claims,
           (long long)sums.takeovers, (long long)sums.kills, (long long)sums.lost_answers,
           (long long)broken);
    world.is_calm = true;
    virtual_sql_close(jobs);
    return broken > 0;
}
