// How long the database works for one claim with many conversions queued.
//
// Usage: claim-bench URL ROWS ROUNDS. Makes ROWS queued conversions of one user and a few of
// another in the database of that URL, which should be empty, then measures ROUNDS times what a
// converter and a page ask for. Prints a line each: what, then the medians and 99th percentiles in
// ms of the time in statements, and of the time in COMMIT, where the disk is waited for.

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/text.h"
#include "jobs/jobs.h"
#include "sql/sql_driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { STATEMENT_ROWS = 50, STATEMENT_LIMIT_BYTES = 60000, OTHERS = 10, PAGE = 20 };

static const char alice[] = "01ARZ3NDEKTSV4RRFFQ69G5FAA", bob[] = "01ARZ3NDEKTSV4RRFFQ69G5FAB";

// ---- a handle that measures

struct timed {
    struct sql base;
    struct sql *inner;
};

static struct {
    double statements_ms, commit_ms;
} spent;

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static struct sql *inner_of(struct sql *sql)
{
    return ((struct timed *)sql)->inner;
}

static void timed_close(struct sql *sql)
{
    sql_close(inner_of(sql));
    free(sql);
}

static bool timed_execute(struct sql *sql, const char *statement, struct sql_values values,
                          int64_t *out_matched, struct error *err)
{
    double start_ms = now_ms();
    bool is_done = sql_execute(inner_of(sql), statement, values, out_matched, err);
    spent.statements_ms += now_ms() - start_ms;
    return is_done;
}

static bool timed_query(struct sql *sql, const char *statement, struct sql_values values,
                        bool (*each)(const struct sql_row *row, void *context), void *context,
                        struct error *err)
{
    double start_ms = now_ms();
    bool is_done = sql_query(inner_of(sql), statement, values, each, context, err);
    spent.statements_ms += now_ms() - start_ms;
    return is_done;
}

static bool timed_begin(struct sql *sql, struct error *err)
{
    double start_ms = now_ms();
    bool is_done = inner_of(sql)->ops->begin(inner_of(sql), err);
    spent.statements_ms += now_ms() - start_ms;
    return is_done;
}

static bool timed_commit(struct sql *sql, struct error *err)
{
    double start_ms = now_ms();
    bool is_done = inner_of(sql)->ops->commit(inner_of(sql), err);
    spent.commit_ms += now_ms() - start_ms;
    return is_done;
}

static void timed_rollback(struct sql *sql)
{
    inner_of(sql)->ops->rollback(inner_of(sql));
}

static bool timed_is_retryable(struct sql *sql)
{
    return inner_of(sql)->ops->is_retryable(inner_of(sql));
}

// Rows and all else are the inner handle's own.
static const struct sql_ops timed_ops = {
    .close = timed_close,
    .execute = timed_execute,
    .query = timed_query,
    .begin = timed_begin,
    .commit = timed_commit,
    .rollback = timed_rollback,
    .is_retryable = timed_is_retryable,
};

static struct sql *wrap(struct sql *opened)
{
    struct timed *timed = alloc_zeroed(1, sizeof *timed);
    timed->base.ops = &timed_ops;
    timed->inner = opened;
    return &timed->base;
}

// ---- rows

static void require(bool is_true, const char *what, const struct error *err)
{
    if (is_true)
        return;
    fprintf(stderr, "claim-bench: %s: %s\n", what, err->text);
    exit(1);
}

static void append_row(struct buf *statement, const char *owner)
{
    char id[ID_SIZE];
    id_new(id);
    buf_printf(statement,
               "%s('%s', '%s', 'alice@example.org', 'talk.mp4', '{\"preset\":\"standard\"}',"
               " 'queued', 'receiving', {now}-%d, '', 0, 0, 0, 0, 'source/%s', 2400000,"
               " 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', '', 0, '', 0,"
               " '', '', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', {now}, {now},"
               " 0, 2)",
               statement->bytes[statement->size - 1] == ')' ? ", " : "", id, owner,
               1 + rand() % 1000000, id);
}

struct filling {
    const char *owner;
    int rows;
};

static bool insert_rows(struct sql *sql, void *context, struct error *err)
{
    const struct filling *filling = context;
    SCOPED_BUF struct buf statement;
    buf_init(&statement, STATEMENT_LIMIT_BYTES);
    buf_append_text(
        &statement,
        "INSERT INTO conversion (id, owner, owner_email, name, options, state,"
        " previous_state, wake_at, worker, attempt, failures, crashes, progress_permille,"
        " source_key, source_bytes, source_sha256, audio_key, audio_bytes, audio_sha256,"
        " duration_ms, error_code, error_detail, traceparent, created_at, updated_at, expires_at,"
        " revision) VALUES ");
    for (int i = 0; i < filling->rows; i++)
        append_row(&statement, filling->owner);
    return sql_execute(sql, statement.bytes, SQL_NO_VALUES, NULL, err);
}

static void fill(const char *url, int rows)
{
    struct error err = {0};
    SCOPED(sql_close) struct sql *sql = sql_open(url, SQL_DURABLE, &err);
    require(sql != NULL, "open", &err);
    struct filling filling = {alice, STATEMENT_ROWS}, others = {bob, OTHERS};
    for (int i = 0; i < rows; i += STATEMENT_ROWS)
        require(sql_transaction(sql, insert_rows, &filling, &err), "fill", &err);
    require(sql_transaction(sql, insert_rows, &others, &err), "fill", &err);
}

// ---- measuring

struct task {
    const char *name;
    void (*run)(struct jobs *jobs);
    double *statements_ms, *commit_ms;
};

static struct jobs_claimed claimed;
static struct conversion page[PAGE];
static char due_id[1][ID_SIZE];
static struct error err;

static void run_due(struct jobs *jobs)
{
    size_t count = 0;
    require(jobs_due(jobs, due_id, 1, &count, &err) && count == 1, "due", &err);
}

static void run_claim(struct jobs *jobs)
{
    require(jobs_claim(jobs, due_id[0], "bench", &claimed, &err) == JOBS_DONE, "claim", &err);
}

static void run_renew(struct jobs *jobs)
{
    require(jobs_renew(jobs, due_id[0], claimed.claim, 500, &err) == JOBS_DONE, "renew", &err);
}

static void run_finish(struct jobs *jobs)
{
    struct jobs_result result = {
        .audio_key = "audio/x/1",
        .audio_bytes = 300,
        .audio_sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        .duration_ms = 61000,
        .retention_ms = 3600000,
    };
    require(jobs_finish(jobs, &claimed, &result, &err) == JOBS_DONE, "finish", &err);
}

static void run_list_of(struct jobs *jobs, const char *owner, const char *name)
{
    size_t count = 0;
    int64_t as_of_ms;
    require(jobs_list(jobs, owner, NULL, PAGE, page, &count, &as_of_ms, &err) && count > 0, name,
            &err);
}

static void run_list(struct jobs *jobs)
{
    run_list_of(jobs, alice, "list");
}

static void run_short_list(struct jobs *jobs)
{
    run_list_of(jobs, bob, "short list");
}

static int compare(const void *a, const void *b)
{
    double one = *(const double *)a, other = *(const double *)b;
    return (one > other) - (one < other);
}

static void print(struct task *task, size_t rounds)
{
    qsort(task->statements_ms, rounds, sizeof(double), compare);
    qsort(task->commit_ms, rounds, sizeof(double), compare);
    size_t most = (rounds - 1) * 99 / 100;
    printf("%s %.3f %.3f %.3f %.3f\n", task->name, task->statements_ms[rounds / 2],
           task->statements_ms[most], task->commit_ms[rounds / 2], task->commit_ms[most]);
}

static void measure(struct jobs *jobs, size_t rounds)
{
    struct task tasks[] = {
        {"due", run_due, NULL, NULL},     {"claim", run_claim, NULL, NULL},
        {"renew", run_renew, NULL, NULL}, {"finish", run_finish, NULL, NULL},
        {"list", run_list, NULL, NULL},   {"short-list", run_short_list, NULL, NULL},
    };
    enum { COUNT = sizeof tasks / sizeof tasks[0] };
    for (size_t i = 0; i < COUNT; i++) {
        tasks[i].statements_ms = alloc_zeroed(rounds, sizeof(double));
        tasks[i].commit_ms = alloc_zeroed(rounds, sizeof(double));
    }
    for (size_t round = 0; round < rounds + 20; round++) // the first ones only prepare
        for (size_t i = 0; i < COUNT; i++) {
            spent.statements_ms = spent.commit_ms = 0;
            tasks[i].run(jobs);
            if (round < 20)
                continue;
            tasks[i].statements_ms[round - 20] = spent.statements_ms;
            tasks[i].commit_ms[round - 20] = spent.commit_ms;
        }
    for (size_t i = 0; i < COUNT; i++) {
        print(&tasks[i], rounds);
        free(tasks[i].statements_ms);
        free(tasks[i].commit_ms);
    }
}

int main(int count, char **arguments)
{
    int64_t rows, rounds;
    if (count != 4 || !text_parse_integer(arguments[2], 1, 10000000, &rows) ||
        !text_parse_integer(arguments[3], 1, 1000000, &rounds)) {
        fprintf(stderr, "Usage: claim-bench URL ROWS ROUNDS\n");
        return 2;
    }
    require(jobs_migrate(arguments[1], &err), "migrate", &err);
    fill(arguments[1], (int)rows);
    sql_wrap_opened(wrap);
    struct jobs *jobs = jobs_open(arguments[1], &err);
    require(jobs != NULL, "open", &err);
    measure(jobs, (size_t)rounds);
    jobs_close(jobs);
    return 0;
}
