#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void integers_are_read_strictly(void **state)
{
    (void)state;
    int64_t value = 7;
    assert_true(text_parse_integer("-12", -20, 20, &value));
    assert_int_equal(value, -12);
    assert_true(text_parse_integer("9223372036854775807", 0, INT64_MAX, &value));
    static const char *const wrong[] = {
        "", "-", " 1", "1 ", "+1", "0x1", "1.0", "9223372036854775808", "21"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(text_parse_integer(wrong[i], -20, i == 7 ? INT64_MAX : 20, &value));
}

static void sizes_and_durations_survive_a_round_trip(void **state)
{
    (void)state;
    static const char *const sizes[] = {"0B", "1B", "1023B", "1KiB", "4GiB", "20TiB"};
    static const char *const durations[] = {"0ms", "250ms", "15s", "20min", "12h", "7d"};
    char text[32];
    int64_t value;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_true(text_parse_size(sizes[i], &value));
        text_format_size(value, text);
        assert_string_equal(text, sizes[i]);
        assert_true(text_parse_duration(durations[i], &value));
        text_format_duration(value, text);
        assert_string_equal(text, durations[i]);
    }
    assert_true(text_parse_size("512 KiB", &value));
    assert_int_equal(value, 524288);
    assert_false(text_parse_duration("15", &value));
    assert_false(text_parse_size("99999999999999999 TiB", &value));
}

static void malformed_utf8_is_seen(void **state)
{
    (void)state;
    assert_true(text_is_utf8("gr\xC3\xBC\xC3\x9F", 6));
    static const char *const wrong[] = {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                                        "\xE2\x82", "\x80",         "\xFF"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(text_is_utf8(wrong[i], strlen(wrong[i])));
}

static void copies_never_cut_a_code_point(void **state)
{
    (void)state;
    char out[4];
    assert_false(text_copy(out, sizeof out, "ab\xC3\xBC"));
    assert_string_equal(out, "ab");
    assert_true(text_copy(out, sizeof out, "a\xC3\xBC"));
    assert_string_equal(out, "a\xC3\xBC");
}

static void cleaning_makes_any_bytes_a_line(void **state)
{
    (void)state;
    char out[32];
    text_clean(out, sizeof out,
               "a\r\nb\xFF\xC2\x85"
               "c",
               8);
    assert_string_equal(out, "a  b\xEF\xBF\xBD c");
    assert_true(text_is_utf8(out, strlen(out)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_read_strictly),
        cmocka_unit_test(sizes_and_durations_survive_a_round_trip),
        cmocka_unit_test(malformed_utf8_is_seen),
        cmocka_unit_test(copies_never_cut_a_code_point),
        cmocka_unit_test(cleaning_makes_any_bytes_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
