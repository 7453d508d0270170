#include "base/buf.h"
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void appending_past_the_limit_adds_nothing(void **state)
{
    (void)state;
    SCOPED_BUF struct buf buf;
    buf_init(&buf, 8);
    assert_true(buf_append_text(&buf, "12345"));
    assert_false(buf_append_text(&buf, "6789"));
    assert_string_equal(buf.bytes, "12345");
    assert_true(buf_append_text(&buf, "678"));
    assert_string_equal(buf.bytes, "12345678");
}

static void printing_counts_against_the_limit(void **state)
{
    (void)state;
    SCOPED_BUF struct buf buf;
    buf_init(&buf, 4);
    assert_false(buf_printf(&buf, "%d", 12345));
    assert_true(buf_printf(&buf, "%d", 1234));
    assert_string_equal(buf.bytes, "1234");
}

static void dropping_keeps_the_rest(void **state)
{
    (void)state;
    SCOPED_BUF struct buf buf;
    buf_init(&buf, 64);
    buf_append_text(&buf, "headtail");
    buf_drop(&buf, 4);
    assert_string_equal(buf.bytes, "tail");
    assert_int_equal(buf.size, 4);
}

static void an_empty_buffer_is_an_empty_text(void **state)
{
    (void)state;
    SCOPED_BUF struct buf buf;
    buf_init(&buf, 64);
    assert_string_equal(buf.bytes, "");
    buf_clear(&buf);
    buf_drop(&buf, 0);
    assert_string_equal(buf.bytes, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appending_past_the_limit_adds_nothing),
        cmocka_unit_test(printing_counts_against_the_limit),
        cmocka_unit_test(dropping_keeps_the_rest),
        cmocka_unit_test(an_empty_buffer_is_an_empty_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
