#include "faulty_sql.h"

#include "base/alloc.h"
#include "base/text.h"
#include "sql/sql_driver.h"

#include <assert.h>
#include <limits.h>

struct faulty {
    struct sql base;
    struct sql *inner;
    bool was_busy;
};

static struct {
    int first, last; // numbers of the calls to fail; 0: none
    int calls;
    const char *beginning; // of statements to fail; NULL: none
    enum faulty_sql_when when;
    bool is_hit;
} plan;

static struct sql *inner_of(struct sql *sql)
{
    return ((struct faulty *)sql)->inner;
}

enum fate { FATE_FAIL, FATE_DO, FATE_DO_AND_FAIL };

static bool is_planned(const char *statement)
{
    if (plan.beginning && text_starts_with(statement, plan.beginning))
        return true;
    return plan.first && plan.calls >= plan.first && plan.calls <= plan.last;
}

static enum fate next_fate(struct sql *sql, const char *statement, struct error *err)
{
    struct faulty *self = (struct faulty *)sql;
    self->was_busy = false;
    plan.calls++;
    if (!is_planned(statement))
        return FATE_DO;
    plan.is_hit = true;
    if (plan.when == FAULTY_SQL_AFTER)
        return FATE_DO_AND_FAIL;
    self->was_busy = plan.when == FAULTY_SQL_BUSY;
    error_set(err, ERROR_UNAVAILABLE, "fault at call %d", plan.calls);
    return FATE_FAIL;
}

static bool settle(enum fate fate, bool is_done, struct error *err)
{
    if (fate == FATE_DO || !is_done)
        return is_done;
    return error_set(err, ERROR_UNAVAILABLE, "fault behind call %d", plan.calls);
}

static bool faulty_execute(struct sql *sql, const char *statement, struct sql_values values,
                           int64_t *out_matched, struct error *err)
{
    enum fate fate = next_fate(sql, statement, err);
    if (fate == FATE_FAIL)
        return false;
    struct sql *inner = inner_of(sql);
    return settle(fate, inner->ops->execute(inner, statement, values, out_matched, err), err);
}

static bool faulty_query(struct sql *sql, const char *statement, struct sql_values values,
                         bool (*each)(const struct sql_row *row, void *context), void *context,
                         struct error *err)
{
    enum fate fate = next_fate(sql, statement, err);
    if (fate == FATE_FAIL)
        return false;
    struct sql *inner = inner_of(sql);
    return settle(fate, inner->ops->query(inner, statement, values, each, context, err), err);
}

static bool faulty_begin(struct sql *sql, struct error *err)
{
    enum fate fate = next_fate(sql, "BEGIN", err);
    if (fate == FATE_FAIL)
        return false;
    return settle(fate, inner_of(sql)->ops->begin(inner_of(sql), err), err);
}

static bool faulty_commit(struct sql *sql, struct error *err)
{
    enum fate fate = next_fate(sql, "COMMIT", err);
    if (fate == FATE_FAIL)
        return false;
    return settle(fate, inner_of(sql)->ops->commit(inner_of(sql), err), err);
}

static void faulty_rollback(struct sql *sql)
{
    inner_of(sql)->ops->rollback(inner_of(sql));
}

static bool faulty_is_retryable(struct sql *sql)
{
    return ((struct faulty *)sql)->was_busy || inner_of(sql)->ops->is_retryable(inner_of(sql));
}

static bool faulty_lock_migrations(struct sql *sql, int timeout_ms, struct error *err)
{
    return inner_of(sql)->ops->lock_migrations(inner_of(sql), timeout_ms, err);
}

static void faulty_unlock_migrations(struct sql *sql)
{
    inner_of(sql)->ops->unlock_migrations(inner_of(sql));
}

static void faulty_close(struct sql *sql)
{
    sql_close(inner_of(sql));
    free(sql);
}

// Handles come from wrapping, and rows are the inner handle's own: these are never called.
static bool faulty_check_url(const char *url, struct error *err)
{
    (void)url;
    return error_set(err, ERROR_INTERNAL, "not to be opened");
}

static struct sql *faulty_open(const char *url, enum sql_durability durability, struct error *err)
{
    (void)url, (void)durability;
    error_set(err, ERROR_INTERNAL, "not to be opened");
    return NULL;
}

static int64_t faulty_row_integer(const struct sql_row *row, int column)
{
    return sql_row_integer(row, column);
}

static const char *faulty_row_text(const struct sql_row *row, int column)
{
    return sql_row_text(row, column);
}

static bool faulty_row_is_null(const struct sql_row *row, int column)
{
    return sql_row_is_null(row, column);
}

static const struct sql_ops faulty_ops = {
    .schemes = (const char *const[]){"faulty", NULL},
    .check_url = faulty_check_url,
    .open = faulty_open,
    .close = faulty_close,
    .execute = faulty_execute,
    .query = faulty_query,
    .begin = faulty_begin,
    .commit = faulty_commit,
    .rollback = faulty_rollback,
    .is_retryable = faulty_is_retryable,
    .lock_migrations = faulty_lock_migrations,
    .unlock_migrations = faulty_unlock_migrations,
    .row_integer = faulty_row_integer,
    .row_text = faulty_row_text,
    .row_is_null = faulty_row_is_null,
};

static struct sql *wrap(struct sql *opened)
{
    struct faulty *self = alloc_zeroed(1, sizeof *self);
    self->base.ops = &faulty_ops;
    self->inner = opened;
    return &self->base;
}

void faulty_sql_install(void)
{
    sql_wrap_opened(wrap);
}

void faulty_sql_remove(void)
{
    sql_wrap_opened(NULL);
}

void faulty_sql_fail(int number, int times, enum faulty_sql_when when)
{
    assert(number > 0 && times > 0);
    plan.calls = 0;
    plan.first = number;
    plan.last = times < INT_MAX - number ? number + times - 1 : INT_MAX;
    plan.when = when;
    plan.is_hit = false;
}

void faulty_sql_fail_statements(const char *beginning, enum faulty_sql_when when)
{
    plan.beginning = beginning;
    plan.when = when;
    plan.is_hit = false;
}

bool faulty_sql_disarm(void)
{
    plan.first = plan.last = 0;
    plan.beginning = NULL;
    return plan.is_hit;
}
