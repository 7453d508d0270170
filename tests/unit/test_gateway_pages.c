#include "roles/gateway/gateway_pages.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

static void the_policy_names_the_hash_of_the_style_sheet(void **state)
{
    (void)state;
    unsigned char digest[crypto_hash_sha256_BYTES];
    char base64[64], expected[96];
    crypto_hash_sha256(digest, (const unsigned char *)gateway_page_style,
                       strlen(gateway_page_style));
    sodium_bin2base64(base64, sizeof base64, digest, sizeof digest, sodium_base64_VARIANT_ORIGINAL);
    snprintf(expected, sizeof expected, "style-src 'sha256-%s'", base64);
    assert_non_null(strstr(gateway_page_policy, expected));
    assert_non_null(strstr(gateway_page_policy, "default-src 'none'"));
}

static void the_home_page_shows_commands_with_the_own_address(void **state)
{
    (void)state;
    SCOPED_BUF struct buf page;
    buf_init(&page, 64 * 1024);
    assert_true(gateway_page_write_home("http://unreel.example:8080", &page));
    assert_non_null(strstr(page.bytes, "http://unreel.example:8080/api/v1/conversions"));
    assert_non_null(strstr(page.bytes, "http://unreel.example:8080/login"));
    assert_non_null(strstr(page.bytes, "<code>standard</code>"));
    assert_null(strstr(page.bytes, "<script"));
    assert_non_null(strstr(page.bytes, "</html>"));
}

static void an_address_cannot_bring_markup_in(void **state)
{
    (void)state;
    SCOPED_BUF struct buf page;
    buf_init(&page, 64 * 1024);
    assert_true(gateway_page_write_home("http://<script>alert('1')</script>&\"", &page));
    assert_null(strstr(page.bytes, "<script"));
    assert_non_null(strstr(page.bytes, "http://&lt;script&gt;alert(&#39;1&#39;)"));
}

static void a_page_that_does_not_fit_is_told(void **state)
{
    (void)state;
    SCOPED_BUF struct buf page;
    buf_init(&page, 1024);
    assert_false(gateway_page_write_home("http://a", &page));
    buf_clear(&page);
    assert_false(gateway_page_write_link_over(&page));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_policy_names_the_hash_of_the_style_sheet),
        cmocka_unit_test(the_home_page_shows_commands_with_the_own_address),
        cmocka_unit_test(an_address_cannot_bring_markup_in),
        cmocka_unit_test(a_page_that_does_not_fit_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
