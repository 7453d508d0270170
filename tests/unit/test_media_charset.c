#include "media/media_charset.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void check(enum media_charset charset, const char *bytes, size_t size, const char *text)
{
    SCOPED(free) char *decoded = media_charset_decode(charset, bytes, size, false, 64);
    if (text == NULL)
        assert_null(decoded);
    else
        assert_string_equal(decoded, text);
}

#define CHECK(charset, literal, text) check(charset, literal, sizeof(literal) - 1, text)

static void utf8_stays_and_what_is_none_becomes_a_mark(void **state)
{
    (void)state;
    CHECK(MEDIA_CHARSET_UTF8,
          "Gr\xc3\xbc\xc3\x9f"
          "e",
          "Grüße");
    CHECK(MEDIA_CHARSET_UTF8, "\xef\xbb\xbfmark", "mark");
    CHECK(MEDIA_CHARSET_UTF8,
          "a\xff"
          "b",
          "a\ufffd"
          "b");
    CHECK(MEDIA_CHARSET_UTF8, "ends here\0not here", "ends here");
}

static void utf16_is_read_by_its_mark(void **state)
{
    (void)state;
    CHECK(MEDIA_CHARSET_UTF16, "\0A\0B", "AB");
    CHECK(MEDIA_CHARSET_UTF16,
          "\xff\xfe"
          "A\0B\0",
          "AB");
    CHECK(MEDIA_CHARSET_GUESSED, "\xfe\xff\0A\xd8\x3c\xdf\xb5", "A\xf0\x9f\x8e\xb5");
    CHECK(MEDIA_CHARSET_UTF16, "\0A\0", "A");
    CHECK(MEDIA_CHARSET_UTF16, "\0A\0\0\0B", "A");
}

static void halves_of_pairs_become_marks(void **state)
{
    (void)state;
    CHECK(MEDIA_CHARSET_UTF16, "\xdc\x00\0A",
          "\ufffd"
          "A");
    CHECK(MEDIA_CHARSET_UTF16, "\xd8\x00\0A",
          "\ufffd"
          "A");
    CHECK(MEDIA_CHARSET_UTF16, "\xd8\x00\xd8\x3c\xdf\xb5", "\ufffd\xf0\x9f\x8e\xb5");
}

static void what_is_no_utf8_is_taken_for_mac_roman(void **state)
{
    (void)state;
    CHECK(MEDIA_CHARSET_GUESSED,
          "Gr\x9f\xa7"
          "e",
          "Grüße");
    CHECK(MEDIA_CHARSET_GUESSED, "\xdb", "\u20ac");
    CHECK(MEDIA_CHARSET_GUESSED, "plain", "plain");
}

static void control_characters_and_the_space_around_go(void **state)
{
    (void)state;
    CHECK(MEDIA_CHARSET_UTF8, "  a\tb\x7f ", "a b");
    CHECK(MEDIA_CHARSET_UTF8, " \n ", NULL);
    check(MEDIA_CHARSET_UTF8, "", 0, NULL);
    CHECK(MEDIA_CHARSET_UTF16, "\xfe\xff", NULL);
    CHECK(MEDIA_CHARSET_UTF16, "\xff", NULL);
}

static void lines_stay_only_where_they_are_wanted(void **state)
{
    (void)state;
    static const char text[] = "one\r\ntwo\rthree\n\nfive\n";
    SCOPED(free)
    char *lines = media_charset_decode(MEDIA_CHARSET_UTF8, text, sizeof text, true, 64);
    assert_string_equal(lines, "one\ntwo\nthree\n\nfive");
    CHECK(MEDIA_CHARSET_UTF8, "one\ntwo", "one two");
}

static void a_limit_cuts_no_letter_in_two(void **state)
{
    (void)state;
    static const char text[] = "\xc3\xa4\xc3\xa4\xe2\x82\xac\xf0\x9f\x8e\xb5";
    static const size_t whole[] = {0, 0, 2, 2, 4, 4, 4, 7, 7, 7, 7, 11};
    for (size_t size = 0; size < sizeof text; size++) {
        // Cut before it was read, and afterwards.
        SCOPED(free)
        char *read = media_charset_decode(MEDIA_CHARSET_GUESSED, text, size, false, size);
        SCOPED(free)
        char *kept = media_charset_decode(MEDIA_CHARSET_UTF8, text, sizeof text - 1, true, size);
        assert_int_equal(read != NULL ? strlen(read) : 0, whole[size]);
        assert_int_equal(kept != NULL ? strlen(kept) : 0, whole[size]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_stays_and_what_is_none_becomes_a_mark),
        cmocka_unit_test(utf16_is_read_by_its_mark),
        cmocka_unit_test(halves_of_pairs_become_marks),
        cmocka_unit_test(what_is_no_utf8_is_taken_for_mac_roman),
        cmocka_unit_test(control_characters_and_the_space_around_go),
        cmocka_unit_test(lines_stay_only_where_they_are_wanted),
        cmocka_unit_test(a_limit_cuts_no_letter_in_two),
    };
    return cmocka_run_group_tests_name("media_charset", tests, NULL, NULL);
}
