#include "sql_under_test.h"

#include "base/file.h"
#include "faulty_sql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static char directory[64];
static char url[512];

void sql_under_test_start(void)
{
    const char *given = getenv("UNREEL_TEST_SQL");
    if (given && given[0]) {
        snprintf(url, sizeof url, "%s", given);
        return;
    }
    snprintf(directory, sizeof directory, "/tmp/unreel-sql-XXXXXX");
    if (!mkdtemp(directory))
        abort();
    snprintf(url, sizeof url, "sqlite:%s/test.db", directory);
}

const char *sql_under_test_url(void)
{
    return url;
}

bool sql_under_test_is_local(void)
{
    return directory[0] != '\0';
}

void sql_under_test_stop(void)
{
    struct error ignored;
    if (directory[0])
        file_remove_tree(directory, &ignored);
    directory[0] = '\0';
}

struct sql *sql_under_test_open(void)
{
    struct error err = {0};
    struct sql *sql = sql_open(url, SQL_DURABLE, &err);
    if (!sql)
        fail_msg("open: %s", err.text);
    return sql;
}

struct sql *sql_under_test_open_faulty(void)
{
    faulty_sql_install();
    struct sql *sql = sql_under_test_open();
    faulty_sql_remove();
    return sql;
}

void sql_under_test_execute(struct sql *sql, const char *statement, struct sql_values values,
                            int64_t matched)
{
    struct error err = {0};
    int64_t got = -1;
    if (!sql_execute(sql, statement, values, &got, &err))
        fail_msg("%s: %s", statement, err.text);
    if (matched >= 0)
        assert_int_equal(got, matched);
    assert_int_equal(err.kind, ERROR_NONE);
}

static bool take_integer(const struct sql_row *row, void *context)
{
    int64_t *out = context;
    *out = sql_row_integer(row, 0);
    return true;
}

int64_t sql_under_test_integer(struct sql *sql, const char *statement)
{
    struct error err = {0};
    int64_t value = -1;
    if (!sql_query(sql, statement, SQL_NO_VALUES, take_integer, &value, &err))
        fail_msg("%s: %s", statement, err.text);
    return value;
}

void sql_under_test_change(const char *statement)
{
    SCOPED(sql_close) struct sql *sql = sql_under_test_open();
    sql_under_test_execute(sql, statement, SQL_NO_VALUES, -1);
}

int64_t sql_under_test_count(const char *statement)
{
    SCOPED(sql_close) struct sql *sql = sql_under_test_open();
    return sql_under_test_integer(sql, statement);
}
