#include "sql/sql.h"

#include "base/clock.h"
#include "base/text.h"
#include "sql/sql_driver.h"

#include <assert.h>
#include <string.h>

const struct sql_ops *const sql_drivers[] = {
    &sql_sqlite_ops,
    &sql_mysql_ops,
    NULL,
};

enum { TRANSACTION_TRIES = 3 };

static struct sql *(*wrap_opened)(struct sql *opened);

void sql_wrap_opened(struct sql *(*wrap)(struct sql *opened))
{
    wrap_opened = wrap;
}

static const struct sql_ops *find_driver(const char *url, struct error *err)
{
    for (size_t i = 0; sql_drivers[i]; i++)
        if (text_has_scheme_of(url, sql_drivers[i]->schemes))
            return sql_drivers[i];
    error_set(err, ERROR_INVALID, "no database is called '%.*s:'", (int)strcspn(url, ":"), url);
    return NULL;
}

bool sql_check_url(const char *url, struct error *err)
{
    const struct sql_ops *driver = find_driver(url, err);
    return driver && driver->check_url(url, err);
}

struct sql *sql_open(const char *url, enum sql_durability durability, struct error *err)
{
    const struct sql_ops *driver = find_driver(url, err);
    struct sql *sql = driver ? driver->open(url, durability, err) : NULL;
    return sql && wrap_opened ? wrap_opened(sql) : sql;
}

void sql_close(struct sql *sql)
{
    if (sql)
        sql->ops->close(sql);
}

struct sql_value sql_text_value(const char *text)
{
    if (!text)
        return SQL_NULL;
    return (struct sql_value){.kind = SQL_KIND_TEXT, .text = text};
}

bool sql_execute(struct sql *sql, const char *statement, struct sql_values values,
                 int64_t *out_matched, struct error *err)
{
    return sql->ops->execute(sql, statement, values, out_matched, err);
}

bool sql_query(struct sql *sql, const char *statement, struct sql_values values,
               bool (*each)(const struct sql_row *row, void *context), void *context,
               struct error *err)
{
    assert(each);
    return sql->ops->query(sql, statement, values, each, context, err);
}

int64_t sql_row_integer(const struct sql_row *row, int column)
{
    return row->ops->row_integer(row, column);
}

const char *sql_row_text(const struct sql_row *row, int column)
{
    return row->ops->row_text(row, column);
}

bool sql_row_is_null(const struct sql_row *row, int column)
{
    return row->ops->row_is_null(row, column);
}

void sql_row_copy(const struct sql_row *row, int column, char *out, size_t out_size)
{
    const char *text = sql_row_text(row, column);
    text_copy(out, out_size, text ? text : "");
}

// One try. A rollback follows every failure, also one of BEGIN or COMMIT: either may have taken
// effect although its answer did not come back.
static bool try_transaction(struct sql *sql,
                            bool (*body)(struct sql *sql, void *context, struct error *err),
                            void *context, bool *out_again, struct error *err)
{
    if (!sql->ops->begin(sql, err)) {
        *out_again = false; // the driver has waited for the lock already
        sql->ops->rollback(sql);
        return false;
    }
    if (body(sql, context, err) && sql->ops->commit(sql, err))
        return true;
    *out_again = sql->ops->is_retryable(sql);
    sql->ops->rollback(sql);
    return false;
}

bool sql_transaction(struct sql *sql,
                     bool (*body)(struct sql *sql, void *context, struct error *err), void *context,
                     struct error *err)
{
    for (int number = 1;; number++) {
        bool again;
        if (try_transaction(sql, body, context, &again, err))
            return true;
        if (!again || number == TRANSACTION_TRIES)
            return false;
        clock_sleep_ms(clock_backoff_ms(number, 10, 100));
        *err = (struct error){0};
    }
}

static bool take_integer(const struct sql_row *row, void *context)
{
    int64_t *out = context;
    *out = sql_row_integer(row, 0);
    return false;
}

bool sql_now_ms(struct sql *sql, int64_t *out_ms, struct error *err)
{
    return sql_query(sql, "SELECT {now}", SQL_NO_VALUES, take_integer, out_ms, err);
}
