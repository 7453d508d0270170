#include "roles/gateway/gateway_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void expect_name(const char *given, const char *expected)
{
    char name[GATEWAY_NAME_SIZE];
    gateway_file_name(given, name);
    assert_string_equal(name, expected);
}

static void a_file_name_is_one_clean_component(void **state)
{
    (void)state;
    expect_name("talk.mp4", "talk.mp4");
    expect_name("C:\\fakepath\\talk.mp4", "talk.mp4");
    expect_name("../../etc/passwd", "passwd");
    expect_name("  a b.mp4  ", "a b.mp4");
    expect_name("a\r\nSet-Cookie: x.mp4", "a  Set-Cookie: x.mp4");
    expect_name("gr\xC3\xBC\xC3\x9F.mp4", "gr\xC3\xBC\xC3\x9F.mp4");
    expect_name("\xFF.mp4", "\xEF\xBF\xBD.mp4");
}

static void a_file_without_a_name_gets_one(void **state)
{
    (void)state;
    static const char *const nameless[] = {NULL, "", "/", "dir/", ".", "..", " ", "\x01", "a\\.."};
    for (size_t i = 0; i < sizeof nameless / sizeof nameless[0]; i++)
        expect_name(nameless[i], "video.mp4");
}

static void a_long_file_name_is_cut_between_code_points(void **state)
{
    (void)state;
    char given[1000], name[GATEWAY_NAME_SIZE];
    for (size_t i = 0; i < 333; i++)
        memcpy(given + 3 * i, "\xE2\x82\xAC", 3);
    given[999] = '\0';
    gateway_file_name(given, name);
    assert_int_equal(strlen(name), 198);
}

static void an_mp3_is_named_after_its_video(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"talk.mp4", "talk.mp3"},
        {"talk", "talk.mp3"},
        {".mp4", ".mp4.mp3"},
        {"a.b.m4v", "a.b.mp3"},
        {"Vol. 2 end", "Vol. 2 end.mp3"},
        {"x.", "x.mp3"},
        {"x.webinar", "x.webinar.mp3"},
    };
    char name[JOBS_NAME_SIZE + 4];
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        gateway_audio_name(pairs[i][0], name);
        assert_string_equal(name, pairs[i][1]);
    }
    char longest[JOBS_NAME_SIZE];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    gateway_audio_name(longest, name);
    assert_int_equal(strlen(name), JOBS_NAME_SIZE + 3);
}

static void a_valid_traceparent_is_kept(void **state)
{
    (void)state;
    static const char given[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    char out[JOBS_TRACE_SIZE];
    gateway_traceparent(given, out);
    assert_string_equal(out, given);
}

static void anything_else_than_a_traceparent_is_replaced_by_a_valid_one(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        NULL,
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
        "00-4bf92f3577b34da6a3ce929d0e0e4736x00f067aa0ba902b7-01",
    };
    char out[JOBS_TRACE_SIZE], again[JOBS_TRACE_SIZE];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        gateway_traceparent(wrong[i], out);
        assert_true(wrong[i] == NULL || strcmp(out, wrong[i]) != 0);
        gateway_traceparent(out, again);
        assert_string_equal(out, again);
    }
}

static void only_the_own_origin_counts(void **state)
{
    (void)state;
    assert_true(gateway_origin_is_own("http://a.org:8080", "http", "a.org:8080"));
    assert_true(gateway_origin_is_own("https://a.org", "https", "A.ORG"));
    assert_true(gateway_origin_is_own("https://a.org", "https", "a.org:443"));
    assert_true(gateway_origin_is_own("http://a.org:80", "http", "a.org"));
    assert_true(gateway_origin_is_own("http://[::1]:8080", "http", "[::1]:8080"));
    static const char *const foreign[] = {
        NULL,
        "",
        "null",
        "http://b.org",
        "https://a.org",
        "http://a.org:8080",
        "http://a.or",
        "http://a.org.b.org",
        "http://a.org/",
        "a.org",
        "http://x@a.org",
        "http:/a.org",
    };
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        assert_false(gateway_origin_is_own(foreign[i], "http", "a.org"));
    assert_false(gateway_origin_is_own("http://", "http", ""));
    assert_false(gateway_origin_is_own("http://a.org", "http", NULL));
}

static void idempotency_keys_are_short_printable_text(void **state)
{
    (void)state;
    char longest[JOBS_IDEMPOTENCY_SIZE + 1];
    memset(longest, 'k', sizeof longest);
    longest[JOBS_IDEMPOTENCY_SIZE - 1] = '\0';
    assert_true(gateway_is_idempotency_key(longest));
    longest[JOBS_IDEMPOTENCY_SIZE - 1] = 'k';
    longest[JOBS_IDEMPOTENCY_SIZE] = '\0';
    assert_false(gateway_is_idempotency_key(longest));
    assert_true(gateway_is_idempotency_key("a b~"));
    assert_false(gateway_is_idempotency_key(""));
    assert_false(gateway_is_idempotency_key("a\tb"));
    assert_false(gateway_is_idempotency_key("\xC3\xBC"));
}

static void only_bearer_credentials_are_tokens(void **state)
{
    (void)state;
    assert_string_equal(gateway_bearer("Bearer abc"), "abc");
    assert_string_equal(gateway_bearer("bearer  abc"), "abc");
    assert_null(gateway_bearer(NULL));
    assert_null(gateway_bearer("Basic YTpi"));
    assert_null(gateway_bearer("Bearer"));
    assert_null(gateway_bearer("Bearerabc"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_name_is_one_clean_component),
        cmocka_unit_test(a_file_without_a_name_gets_one),
        cmocka_unit_test(a_long_file_name_is_cut_between_code_points),
        cmocka_unit_test(an_mp3_is_named_after_its_video),
        cmocka_unit_test(a_valid_traceparent_is_kept),
        cmocka_unit_test(anything_else_than_a_traceparent_is_replaced_by_a_valid_one),
        cmocka_unit_test(only_the_own_origin_counts),
        cmocka_unit_test(idempotency_keys_are_short_printable_text),
        cmocka_unit_test(only_bearer_credentials_are_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
