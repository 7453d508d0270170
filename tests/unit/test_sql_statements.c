#include "sql/sql_statements.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int closed[SQL_STATEMENTS_KEPT + 2];

static void count_closed(void *prepared)
{
    ++*(int *)prepared;
}

static const char *text_of(int number)
{
    static char text[32];
    snprintf(text, sizeof text, "SELECT %d", number);
    return text;
}

static void the_one_used_longest_ago_makes_room(void **state)
{
    (void)state;
    struct sql_statements statements = {.close = count_closed};
    memset(closed, 0, sizeof closed);
    for (int i = 0; i < SQL_STATEMENTS_KEPT; i++)
        sql_statements_keep(&statements, text_of(i), &closed[i]);
    assert_ptr_equal(sql_statements_find(&statements, text_of(0)), &closed[0]);
    int last = SQL_STATEMENTS_KEPT;
    sql_statements_keep(&statements, text_of(last), &closed[last]);
    assert_null(sql_statements_find(&statements, text_of(1)));
    assert_int_equal(closed[1], 1);
    assert_ptr_equal(sql_statements_find(&statements, text_of(0)), &closed[0]);
    assert_ptr_equal(sql_statements_find(&statements, text_of(last)), &closed[last]);
    sql_statements_clear(&statements);
    for (int i = 0; i <= last; i++)
        assert_int_equal(closed[i], 1);
    assert_null(sql_statements_find(&statements, text_of(0)));
}

static void tokens_are_replaced_and_all_else_is_kept(void **state)
{
    (void)state;
    SCOPED_BUF struct buf out;
    buf_init(&out, 64);
    assert_true(sql_statements_expand("{now}-{now} {x} {table", "N()", "T", &out));
    assert_string_equal(out.bytes, "N()-N() {x} {table");
    buf_clear(&out);
    assert_true(sql_statements_expand("CREATE {table}", "N()", "", &out));
    assert_string_equal(out.bytes, "CREATE ");
    assert_false(sql_statements_expand("{now}{now}{now}{now}", "a text of twenty bytes", "", &out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_one_used_longest_ago_makes_room),
        cmocka_unit_test(tokens_are_replaced_and_all_else_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
