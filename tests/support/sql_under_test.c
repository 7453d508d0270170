#include "sql_under_test.h"

#include "base/file.h"
#include "base/id.h"
#include "faulty_sql.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char directory[64];
static char url[512];
static char server_url[512], database[64]; // "": SQLite

static bool is_mysql(void)
{
    const char *wanted = getenv("UNREEL_TEST_BACKEND");
    return wanted && strcmp(wanted, "mysql") == 0;
}

// Before main: once a group of tests has begun, it is too late to say that there are none.
__attribute__((constructor)) static void skip_without_server(void)
{
    const char *server = getenv("UNREEL_TEST_MYSQL");
    if (is_mysql() && (!server || !server[0])) {
        puts("1..0 # SKIP UNREEL_TEST_MYSQL names no server");
        exit(0);
    }
}

// A database of this program's own; a server has many.
static void make_database(void)
{
    const char *server = getenv("UNREEL_TEST_MYSQL");
    char id[ID_SIZE], statement[128];
    id_new(id);
    snprintf(server_url, sizeof server_url, "%s/mysql", server);
    snprintf(database, sizeof database, "unreel_test_%s", id);
    snprintf(url, sizeof url, "%s/%s", server, database);
    snprintf(statement, sizeof statement, "CREATE DATABASE %s", database);
    sql_under_test_serve(statement);
}

void sql_under_test_start(void)
{
    if (is_mysql()) {
        make_database();
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
    char statement[128];
    if (directory[0])
        file_remove_tree(directory, &ignored);
    if (database[0]) {
        snprintf(statement, sizeof statement, "DROP DATABASE %s", database);
        sql_under_test_serve(statement);
        snprintf(statement, sizeof statement, "DROP DATABASE IF EXISTS %s_empty", database);
        sql_under_test_serve(statement);
    }
    directory[0] = database[0] = '\0';
}

const char *sql_under_test_empty_url(void)
{
    static char empty_url[600];
    char statement[128];
    snprintf(empty_url, sizeof empty_url, "%s_empty", url);
    snprintf(statement, sizeof statement, "CREATE DATABASE %s_empty", database);
    if (database[0])
        sql_under_test_serve(statement);
    return empty_url;
}

void sql_under_test_serve(const char *statement)
{
    struct error err = {0};
    SCOPED(sql_close) struct sql *sql = sql_open(server_url, SQL_DURABLE, &err);
    if (!sql || !sql_execute(sql, statement, SQL_NO_VALUES, NULL, &err)) {
        printf("Bail out! %s: %s\n", statement, err.text);
        fflush(stdout);
        abort();
    }
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
