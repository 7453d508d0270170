#include "virtual_sql.h"

#include "base/alloc.h"
#include "base/file.h"
#include "sql/sql_driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VALUES_LIMIT = 64, STATEMENT_SIZE = 4096 };

struct virtual_sql virtual_sql;

struct handle {
    struct sql base;
};

// The durable and the relaxed handle share one connection: nothing here tests the power cut, and
// one connection may keep its lock.
static struct sql *inner;
static int handles;
static char directory[64];

// `{now}` becomes one more bound value, so that the text stays the same and its statement prepared.
static void splice(const char *statement, struct sql_values values, char *out_text,
                   struct sql_value *out_values, size_t *out_count)
{
    size_t size = 0, given = 0, count = 0;
    for (const char *at = statement; *at; at++) {
        if (size + 1 >= STATEMENT_SIZE || count >= VALUES_LIMIT)
            abort();
        if (*at == '?') {
            out_values[count++] = values.items[given++];
            out_text[size++] = '?';
        } else if (strncmp(at, "{now}", 5) == 0) {
            out_values[count++] = SQL_INTEGER(virtual_sql.now_ms);
            out_text[size++] = '?';
            at += 4;
        } else {
            out_text[size++] = *at;
        }
    }
    out_text[size] = '\0';
    *out_count = count;
}

static enum virtual_fault next_fault(struct error *err)
{
    enum virtual_fault fault =
        virtual_sql.fault ? virtual_sql.fault(virtual_sql.context) : VIRTUAL_NONE;
    if (fault == VIRTUAL_BEFORE)
        error_set(err, ERROR_UNAVAILABLE, "the database is away");
    return fault;
}

static bool settle(enum virtual_fault fault, bool is_done, struct error *err)
{
    if (fault == VIRTUAL_AFTER && is_done)
        return error_set(err, ERROR_UNAVAILABLE, "the answer was lost");
    return is_done;
}

static bool virtual_execute(struct sql *sql, const char *statement, struct sql_values values,
                            int64_t *out_matched, struct error *err)
{
    (void)sql;
    enum virtual_fault fault = next_fault(err);
    if (fault == VIRTUAL_BEFORE)
        return false;
    char text[STATEMENT_SIZE];
    struct sql_value all[VALUES_LIMIT];
    size_t count;
    splice(statement, values, text, all, &count);
    return settle(
        fault, inner->ops->execute(inner, text, (struct sql_values){all, count}, out_matched, err),
        err);
}

static bool virtual_query(struct sql *sql, const char *statement, struct sql_values values,
                          bool (*each)(const struct sql_row *row, void *context), void *context,
                          struct error *err)
{
    (void)sql;
    enum virtual_fault fault = next_fault(err);
    if (fault == VIRTUAL_BEFORE)
        return false;
    char text[STATEMENT_SIZE];
    struct sql_value all[VALUES_LIMIT];
    size_t count;
    splice(statement, values, text, all, &count);
    return settle(
        fault, inner->ops->query(inner, text, (struct sql_values){all, count}, each, context, err),
        err);
}

static bool virtual_begin(struct sql *sql, struct error *err)
{
    (void)sql;
    enum virtual_fault fault = next_fault(err);
    return fault != VIRTUAL_BEFORE && settle(fault, inner->ops->begin(inner, err), err);
}

static bool virtual_commit(struct sql *sql, struct error *err)
{
    (void)sql;
    enum virtual_fault fault = next_fault(err);
    return fault != VIRTUAL_BEFORE && settle(fault, inner->ops->commit(inner, err), err);
}

static void virtual_rollback(struct sql *sql)
{
    (void)sql;
    inner->ops->rollback(inner);
}

static bool virtual_is_retryable(struct sql *sql)
{
    (void)sql;
    return false;
}

static bool virtual_lock(struct sql *sql, int timeout_ms, struct error *err)
{
    (void)sql;
    return inner->ops->lock_migrations(inner, timeout_ms, err);
}

static void virtual_unlock(struct sql *sql)
{
    (void)sql;
    inner->ops->unlock_migrations(inner);
}

static void virtual_close(struct sql *sql)
{
    free(sql);
    if (--handles == 0)
        sql_close(TAKE(inner));
}

// Rows come from the driver beneath with its own operations, so these three are never reached.
static int64_t no_integer(const struct sql_row *row, int column)
{
    (void)row, (void)column;
    abort();
}

static const char *no_text(const struct sql_row *row, int column)
{
    (void)row, (void)column;
    abort();
}

static bool no_null(const struct sql_row *row, int column)
{
    (void)row, (void)column;
    abort();
}

static const struct sql_ops virtual_ops = {
    .schemes = (const char *const[]){"virtual", NULL},
    .open = NULL,
    .close = virtual_close,
    .execute = virtual_execute,
    .query = virtual_query,
    .begin = virtual_begin,
    .commit = virtual_commit,
    .rollback = virtual_rollback,
    .is_retryable = virtual_is_retryable,
    .lock_migrations = virtual_lock,
    .unlock_migrations = virtual_unlock,
    .row_integer = no_integer,
    .row_text = no_text,
    .row_is_null = no_null,
};

static struct sql *wrap(struct sql *opened)
{
    if (inner)
        sql_close(opened);
    else
        inner = opened;
    struct handle *handle = alloc_zeroed(1, sizeof *handle);
    handle->base.ops = &virtual_ops;
    handles++;
    return &handle->base;
}

static bool ignore_row(const struct sql_row *row, void *context)
{
    (void)row, (void)context;
    return true;
}

static void give_up(const char *what, const struct error *err)
{
    fprintf(stderr, "%s: %s\n", what, err->text);
    exit(2);
}

struct jobs *virtual_sql_open(void)
{
    struct error err = {0};
    char url[96];
    snprintf(directory, sizeof directory, "%s/unreel-simulation-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(directory))
        give_up("make a directory", &err);
    snprintf(url, sizeof url, "sqlite:%s/jobs.db", directory);
    if (!jobs_migrate(url, &err))
        give_up("migrate", &err);
    sql_wrap_opened(wrap);
    struct jobs *jobs = jobs_open(url, &err);
    sql_wrap_opened(NULL);
    if (!jobs)
        give_up("open", &err);
    static const char *const pragmas[] = {"PRAGMA journal_mode=MEMORY", "PRAGMA synchronous=OFF",
                                          "PRAGMA locking_mode=EXCLUSIVE"};
    for (size_t i = 0; i < sizeof pragmas / sizeof pragmas[0]; i++)
        if (!sql_query(inner, pragmas[i], SQL_NO_VALUES, ignore_row, NULL, &err))
            give_up(pragmas[i], &err);
    return jobs;
}

void virtual_sql_close(struct jobs *jobs)
{
    struct error ignored;
    jobs_close(jobs);
    file_remove_tree(directory, &ignored);
}
