#include "security/basic_credentials.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

static bool parse_bytes(const char *bytes, size_t size, struct credentials *out)
{
    char header[4096] = "Basic ";
    sodium_bin2base64(header + 6, sizeof header - 6, (const unsigned char *)bytes, size,
                      sodium_base64_VARIANT_ORIGINAL);
    return basic_credentials_parse(header, out);
}

static void name_and_password_are_split_at_the_first_colon(void **state)
{
    (void)state;
    struct credentials read;
    assert_true(basic_credentials_parse("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", &read));
    assert_string_equal(read.name, "Aladdin");
    assert_string_equal(read.password, "open sesame");
    assert_true(parse_bytes("a@b.c:p:q::", 11, &read));
    assert_string_equal(read.name, "a@b.c");
    assert_string_equal(read.password, "p:q::");
    assert_true(parse_bytes("a:", 2, &read));
    assert_string_equal(read.password, "");
    assert_true(parse_bytes("a:\xC3\xBC", 4, &read));
    assert_string_equal(read.password, "\xC3\xBC");
}

static void the_scheme_may_be_written_in_any_case(void **state)
{
    (void)state;
    struct credentials read;
    assert_true(basic_credentials_parse("bASIC   QWxhZGRpbjpvcGVuIHNlc2FtZQ==", &read));
}

static void garbled_headers_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "Basic",
        "Basic ",
        "BasicQWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ",    // no padding
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZR==",  // unused bits set
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ== ", // something behind it
        "Basic QWxhZGRpbjpv cGVuIHNlc2FtZQ==",
        "Basic ****",
        "Basic QWxhZGRpbg==", // no colon
        "Basic OnBhc3N3b3Jk", // no name
    };
    struct credentials read;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(basic_credentials_parse(wrong[i], &read));
}

static void nul_and_malformed_utf8_are_refused(void **state)
{
    (void)state;
    struct credentials read;
    assert_false(parse_bytes("a\0b:c", 5, &read));
    assert_false(parse_bytes("a:b\0c", 5, &read));
    assert_false(parse_bytes("a:\xFF", 3, &read));
    assert_false(parse_bytes("\xC3:x", 3, &read));
}

static void parts_that_are_too_long_are_refused(void **state)
{
    (void)state;
    struct credentials read;
    char bytes[CREDENTIALS_NAME_SIZE + CREDENTIALS_PASSWORD_SIZE + 2];
    memset(bytes, 'x', sizeof bytes);
    bytes[CREDENTIALS_NAME_SIZE - 1] = ':';
    assert_true(parse_bytes(bytes, CREDENTIALS_NAME_SIZE + CREDENTIALS_PASSWORD_SIZE - 1, &read));
    assert_false(parse_bytes(bytes, CREDENTIALS_NAME_SIZE + CREDENTIALS_PASSWORD_SIZE, &read));
    bytes[CREDENTIALS_NAME_SIZE - 1] = 'x';
    bytes[CREDENTIALS_NAME_SIZE] = ':';
    assert_false(parse_bytes(bytes, CREDENTIALS_NAME_SIZE + 10, &read));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(name_and_password_are_split_at_the_first_colon),
        cmocka_unit_test(the_scheme_may_be_written_in_any_case),
        cmocka_unit_test(garbled_headers_are_refused),
        cmocka_unit_test(nul_and_malformed_utf8_are_refused),
        cmocka_unit_test(parts_that_are_too_long_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
