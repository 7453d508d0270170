// Every promise of sql.h and sql_migrate.h, on either kind of database.

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "faulty_sql.h"
#include "sql/sql.h"
#include "sql/sql_driver.h"
#include "sql/sql_migrate.h"
#include "sql_under_test.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static bool take_integer(const struct sql_row *row, void *context)
{
    int64_t *out = context;
    *out = sql_row_integer(row, 0);
    return true;
}

static int start_with_an_empty_table(void **state)
{
    sql_under_test_start();
    struct sql *sql = sql_under_test_open();
    *state = sql;
    struct error err = {0};
    sql_execute(sql, "DROP TABLE IF EXISTS thing", SQL_NO_VALUES, NULL, &err);
    sql_execute(sql, "DROP TABLE IF EXISTS migration", SQL_NO_VALUES, NULL, &err);
    sql_under_test_execute(
        sql,
        "CREATE TABLE thing (id VARCHAR(26) NOT NULL, name VARCHAR(64), number BIGINT,"
        " PRIMARY KEY (id), UNIQUE (name)) {table}",
        SQL_NO_VALUES, 0);
    return 0;
}

static int stop(void **state)
{
    faulty_sql_disarm();
    faulty_sql_remove();
    sql_close(*state);
    sql_under_test_stop();
    return 0;
}

static void insert(struct sql *sql, const char *id, const char *name, int64_t number)
{
    sql_under_test_execute(sql, "INSERT INTO thing (id, name, number) VALUES (?, ?, ?)",
                           SQL_VALUES(SQL_TEXT(id), SQL_TEXT(name), SQL_INTEGER(number)), 1);
}

static void a_url_that_no_driver_knows_is_invalid(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "sqlite",
        "sqlite:",
        "sqlite::memory:",
        "paper:secret",
        "mysql:",
        "mysql://",
        "mysql://127.0.0.1/unreel",
        "mysql://user:secret@127.0.0.1",
        "mysql://user:secret@127.0.0.1/",
        "mysql://user:secret@127.0.0.1/one/two",
        "mysql://user:secret@127.0.0.1:x/unreel",
        "mysql://user:secret@/unreel",
        "mysql://user:secret@127.0.0.1,/unreel",
        "mysql://user:secret@127.0.0.1/unreel?tsl=verify",
        "mysql://user:secret@127.0.0.1/unreel?tls=maybe",
        "mysql://user:secret@127.0.0.1/unreel?tls-ca=/ca.pem",
        "mysql://user:secret@127.0.0.1/unreel?tls=required&tls-ca=/ca.pem",
        "mysql://user:secret@127.0.0.1/unreel?tls=verify&tls-ca=",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct error err = {0};
        assert_null(sql_open(wrong[i], SQL_DURABLE, &err));
        assert_int_equal(err.kind, ERROR_INVALID);
        assert_null(strstr(err.text, "secret"));
        err = (struct error){0};
        assert_false(sql_check_url(wrong[i], &err));
        assert_int_equal(err.kind, ERROR_INVALID);
    }
}

static void a_url_is_checked_without_opening_anything(void **state)
{
    (void)state;
    static const char *const right[] = {
        "sqlite:/nowhere/at/all.db",
        "mysql://user:p%40ss@nowhere.invalid/unreel",
        "mysql://user@[::1]:3307,db2,10.0.0.3:3306/unreel?tls=verify&tls-ca=/nowhere/ca.pem",
    };
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        struct error err = {0};
        if (!sql_check_url(right[i], &err))
            fail_msg("%s: %s", right[i], err.text);
    }
}

static void a_driver_leaves_no_call_out(void **state)
{
    struct sql *sql = *state;
    for (size_t i = 0; i < sizeof *sql->ops / sizeof(void *); i++)
        assert_non_null(((void *const *)sql->ops)[i]);
}

struct seen {
    int rows;
    char text[64];
    bool is_text_null, is_integer_null;
    int64_t integer;
};

static bool note(const struct sql_row *row, void *context)
{
    struct seen *seen = context;
    seen->rows++;
    sql_row_copy(row, 0, seen->text, sizeof seen->text);
    seen->is_text_null = sql_row_is_null(row, 0) && !sql_row_text(row, 0);
    seen->is_integer_null = sql_row_is_null(row, 1);
    seen->integer = sql_row_integer(row, 1);
    return true;
}

static void values_come_back_as_they_went_in(void **state)
{
    struct sql *sql = *state;
    struct error err = {0};
    struct seen seen = {0};
    insert(sql, "a", "Gr\xC3\xBC\xC3\x9F' --;?{x}", INT64_MIN);
    assert_true(sql_query(sql, "SELECT name, number FROM thing WHERE id=?",
                          SQL_VALUES(SQL_TEXT("a")), note, &seen, &err));
    assert_string_equal(seen.text, "Gr\xC3\xBC\xC3\x9F' --;?{x}");
    assert_true(seen.integer == INT64_MIN);
    assert_false(seen.is_text_null || seen.is_integer_null);
}

static void null_is_null_both_ways(void **state)
{
    struct sql *sql = *state;
    struct error err = {0};
    struct seen seen = {.text = "x", .integer = 7};
    sql_under_test_execute(sql, "INSERT INTO thing (id, name, number) VALUES (?, ?, ?)",
                           SQL_VALUES(SQL_TEXT("a"), SQL_TEXT(NULL), SQL_NULL), 1);
    assert_true(sql_query(sql, "SELECT name, number FROM thing", SQL_NO_VALUES, note, &seen, &err));
    assert_true(seen.is_text_null && seen.is_integer_null);
    assert_string_equal(seen.text, "");
    assert_int_equal(seen.integer, 0);
    // UNIQUE lets any number of them in.
    sql_under_test_execute(sql, "INSERT INTO thing (id, name, number) VALUES (?, ?, ?)",
                           SQL_VALUES(SQL_TEXT("b"), SQL_TEXT(NULL), SQL_NULL), 1);
}

static void texts_differ_by_case_and_trailing_space(void **state)
{
    struct sql *sql = *state;
    insert(sql, "a", "bob", 1);
    insert(sql, "A", "Bob", 2);
    insert(sql, "a ", "bob ", 3);
    assert_int_equal(sql_under_test_integer(sql, "SELECT number FROM thing WHERE name='Bob'"), 2);
    assert_int_equal(sql_under_test_integer(sql, "SELECT COUNT(*) FROM thing WHERE id='a'"), 1);
}

static void matched_rows_count_also_where_nothing_changes(void **state)
{
    struct sql *sql = *state;
    insert(sql, "a", "a", 1);
    insert(sql, "b", "b", 1);
    sql_under_test_execute(sql, "UPDATE thing SET number=1", SQL_NO_VALUES, 2);
    sql_under_test_execute(sql, "UPDATE thing SET number=2 WHERE id='none'", SQL_NO_VALUES, 0);
    sql_under_test_execute(sql, "DELETE FROM thing WHERE id='a'", SQL_NO_VALUES, 1);
}

static void a_second_row_of_the_same_key_is_a_conflict(void **state)
{
    struct sql *sql = *state;
    insert(sql, "a", "a", 1);
    static const char *const names[][2] = {{"a", "other"}, {"other", "a"}};
    for (size_t i = 0; i < 2; i++) {
        struct error err = {0};
        assert_false(sql_execute(sql, "INSERT INTO thing (id, name) VALUES (?, ?)",
                                 SQL_VALUES(SQL_TEXT(names[i][0]), SQL_TEXT(names[i][1])), NULL,
                                 &err));
        assert_int_equal(err.kind, ERROR_CONFLICT);
    }
    assert_int_equal(sql_under_test_integer(sql, "SELECT COUNT(*) FROM thing"), 1);
}

static void a_mistake_in_a_statement_is_internal(void **state)
{
    struct sql *sql = *state;
    static const char *const wrong[] = {"SELEKT 1", "SELECT 1; SELECT 2", "",
                                        "INSERT INTO thing (number) VALUES (1)",
                                        "SELECT * FROM thing WHERE id=?"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct error err = {0};
        assert_false(sql_execute(sql, wrong[i], SQL_NO_VALUES, NULL, &err));
        assert_int_equal(err.kind, ERROR_INTERNAL);
    }
    struct error err = {0};
    assert_false(sql_execute(sql, "SELECT * FROM absent", SQL_NO_VALUES, NULL, &err));
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
}

static void now_is_the_clock_in_ms_and_one_within_a_statement(void **state)
{
    struct sql *sql = *state;
    struct error err = {0};
    int64_t now_ms;
    for (int i = 0; i < 50; i++) {
        int64_t before_ms = clock_now_ms();
        assert_true(sql_now_ms(sql, &now_ms, &err));
        int64_t after_ms = clock_now_ms();
        // A server's clock is another one.
        int64_t apart_ms = sql_under_test_is_local() ? 0 : 60000;
        assert_in_range(now_ms, before_ms - apart_ms, after_ms + apart_ms);
    }
    assert_int_equal(sql_under_test_integer(sql, "SELECT {now}-{now}"), 0);
}

static bool stop_at_once(const struct sql_row *row, void *context)
{
    (void)row;
    int *rows = context;
    *rows += 1;
    return false;
}

static void a_query_stops_where_the_caller_has_enough(void **state)
{
    struct sql *sql = *state;
    struct error err = {0};
    int rows = 0;
    insert(sql, "a", "a", 1);
    insert(sql, "b", "b", 2);
    assert_true(sql_query(sql, "SELECT id FROM thing", SQL_NO_VALUES, stop_at_once, &rows, &err));
    assert_int_equal(rows, 1);
    // Nothing of it stays open: another handle may write.
    SCOPED(sql_close) struct sql *other = sql_under_test_open();
    insert(other, "c", "c", 3);
    assert_int_equal(sql_under_test_integer(sql, "SELECT COUNT(*) FROM thing"), 3);
}

static void a_copy_that_does_not_fit_is_cut_at_a_code_point(void **state)
{
    struct sql *sql = *state;
    struct error err = {0};
    struct seen seen = {0};
    char name[65];
    for (size_t i = 0; i < 64; i += 2)
        memcpy(name + i, "\xC3\xBC", 3);
    insert(sql, "a", name, 1);
    assert_true(sql_query(sql, "SELECT name, number FROM thing", SQL_NO_VALUES, note, &seen, &err));
    assert_int_equal(strlen(seen.text), sizeof seen.text - 2);
}

enum { LONG_BYTES = 60000 };

static bool compare_with_long(const struct sql_row *row, void *context)
{
    int *rows = context;
    const char *text = sql_row_text(row, 1);
    const char letter = (char)('a' + *rows % 2);
    size_t size = *rows == 1 ? 3 : LONG_BYTES;
    assert_int_equal(strlen(text), size);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(text[i], letter);
    assert_int_equal(sql_row_integer(row, 0), *rows);
    assert_string_equal(sql_row_text(row, 2), "end");
    *rows += 1;
    return true;
}

static void a_long_text_comes_back_whole_between_short_ones(void **state)
{
    struct sql *sql = *state;
    struct error err = {0};
    SCOPED(free) char *text = alloc_zeroed(1, LONG_BYTES + 1);
    sql_under_test_execute(sql, "CREATE TABLE essay (number BIGINT NOT NULL, body TEXT) {table}",
                           SQL_NO_VALUES, -1);
    for (int i = 0; i < 3; i++) {
        memset(text, 'a' + i % 2, LONG_BYTES);
        text[i == 1 ? 3 : LONG_BYTES] = '\0';
        sql_under_test_execute(sql, "INSERT INTO essay (number, body) VALUES (?, ?)",
                               SQL_VALUES(SQL_INTEGER(i), SQL_TEXT(text)), 1);
    }
    for (int round = 0; round < 2; round++) {
        int rows = 0;
        assert_true(sql_query(sql, "SELECT number, body, 'end' FROM essay ORDER BY number",
                              SQL_NO_VALUES, compare_with_long, &rows, &err));
        assert_int_equal(rows, 3);
    }
}

static void sums_are_integers(void **state)
{
    struct sql *sql = *state;
    insert(sql, "a", "a", INT64_C(4000000000000000000));
    insert(sql, "b", "b", INT64_C(4000000000000000007));
    assert_true(sql_under_test_integer(sql, "SELECT SUM(number) FROM thing") ==
                INT64_C(8000000000000000007));
    assert_int_equal(sql_under_test_integer(sql, "SELECT COALESCE(SUM(number), 0) FROM thing"
                                                 " WHERE id='none'"),
                     0);
}

static void a_relaxed_handle_sees_and_does_the_same(void **state)
{
    struct error err = {0};
    SCOPED(sql_close) struct sql *relaxed = sql_open(sql_under_test_url(), SQL_RELAXED, &err);
    assert_non_null(relaxed);
    insert(relaxed, "a", "a", 1);
    assert_int_equal(sql_under_test_integer(*state, "SELECT COUNT(*) FROM thing"), 1);
}

static void any_number_of_statements_leaves_a_bounded_number_prepared(void **state)
{
    struct sql *sql = *state;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 500; i++) {
            char statement[64];
            snprintf(statement, sizeof statement, "SELECT %d", i);
            assert_int_equal(sql_under_test_integer(sql, statement), i);
        }
    }
    // SQLite can count them where it was built so (Debian's is).
    struct error err = {0};
    int64_t prepared = 0;
    if (sql_under_test_is_local() && sql_query(sql, "SELECT COUNT(*) FROM sqlite_stmt",
                                               SQL_NO_VALUES, take_integer, &prepared, &err))
        assert_in_range(prepared, 2, 64);
}

static void a_prepared_statement_outlives_a_change_of_its_table(void **state)
{
    struct sql *sql = *state;
    SCOPED(sql_close) struct sql *other = sql_under_test_open();
    insert(sql, "a", "a", 1);
    assert_int_equal(sql_under_test_integer(sql, "SELECT number FROM thing WHERE id='a'"), 1);
    sql_under_test_execute(other, "ALTER TABLE thing ADD COLUMN more BIGINT", SQL_NO_VALUES, -1);
    sql_under_test_execute(other, "CREATE INDEX thing_number ON thing (number)", SQL_NO_VALUES, -1);
    assert_int_equal(sql_under_test_integer(sql, "SELECT number FROM thing WHERE id='a'"), 1);
    insert(sql, "b", "b", 2);
}

static void a_new_file_is_its_owners_only(void **state)
{
    (void)state;
    if (!sql_under_test_is_local())
        return;
    struct error err = {0};
    struct stat found;
    const char *path = strchr(sql_under_test_url(), ':') + 1;
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    insert(*state, "a", "a", 1);
    for (size_t i = 0; i < 3; i++) {
        char name[600];
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        assert_int_equal(stat(name, &found), 0);
        assert_int_equal(found.st_mode & 0777, 0600);
    }
    char url[600];
    snprintf(url, sizeof url, "%s-none/x.db", sql_under_test_url());
    assert_null(sql_open(url, SQL_DURABLE, &err));
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start_with_an_empty_table, stop)
    const struct CMUnitTest tests[] = {
        TEST(a_url_that_no_driver_knows_is_invalid),
        TEST(a_url_is_checked_without_opening_anything),
        TEST(a_driver_leaves_no_call_out),
        TEST(values_come_back_as_they_went_in),
        TEST(null_is_null_both_ways),
        TEST(texts_differ_by_case_and_trailing_space),
        TEST(matched_rows_count_also_where_nothing_changes),
        TEST(a_second_row_of_the_same_key_is_a_conflict),
        TEST(a_mistake_in_a_statement_is_internal),
        TEST(now_is_the_clock_in_ms_and_one_within_a_statement),
        TEST(a_query_stops_where_the_caller_has_enough),
        TEST(a_copy_that_does_not_fit_is_cut_at_a_code_point),
        TEST(a_long_text_comes_back_whole_between_short_ones),
        TEST(sums_are_integers),
        TEST(a_relaxed_handle_sees_and_does_the_same),
        TEST(any_number_of_statements_leaves_a_bounded_number_prepared),
        TEST(a_prepared_statement_outlives_a_change_of_its_table),
        TEST(a_new_file_is_its_owners_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
