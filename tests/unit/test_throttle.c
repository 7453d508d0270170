#include "roles/auth/auth_throttle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static const char client[] = "192.0.2.7";

static void an_account_waits_longer_after_each_failure(void **state)
{
    (void)state;
    static const int64_t waits_s[] = {0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900};
    SCOPED(auth_throttle_destroy) struct auth_throttle *throttle = auth_throttle_create();
    int64_t now_ms = 1000000;
    for (size_t i = 0; i < sizeof waits_s / sizeof waits_s[0]; i++) {
        int64_t wait_ms = auth_throttle_wait_ms(throttle, "ann@example.org", "", now_ms);
        assert_int_equal(wait_ms, waits_s[i] * 1000);
        now_ms += wait_ms;
        assert_int_equal(auth_throttle_wait_ms(throttle, "ann@example.org", "", now_ms), 0);
        auth_throttle_failed(throttle, "ann@example.org", "", now_ms);
    }
    assert_int_equal(auth_throttle_wait_ms(throttle, "bob@example.org", "", now_ms), 0);
}

static void upper_case_is_the_same_account(void **state)
{
    (void)state;
    SCOPED(auth_throttle_destroy) struct auth_throttle *throttle = auth_throttle_create();
    for (int i = 0; i < 3; i++)
        auth_throttle_failed(throttle, i == 1 ? "ANN@example.org" : "ann@Example.org", "", 0);
    assert_int_equal(auth_throttle_wait_ms(throttle, "ann@example.ORG", "", 0), 1000);
}

static void a_success_forgets_the_account_but_not_the_client(void **state)
{
    (void)state;
    SCOPED(auth_throttle_destroy) struct auth_throttle *throttle = auth_throttle_create();
    for (int i = 0; i < 20; i++)
        auth_throttle_failed(throttle, "ann@example.org", client, 0);
    auth_throttle_succeeded(throttle, "ann@example.org");
    assert_int_equal(auth_throttle_wait_ms(throttle, "ann@example.org", "", 0), 0);
    assert_int_equal(auth_throttle_wait_ms(throttle, "ann@example.org", client, 0), 60000);
}

static void a_client_has_twenty_failures_a_minute(void **state)
{
    (void)state;
    SCOPED(auth_throttle_destroy) struct auth_throttle *throttle = auth_throttle_create();
    char email[32];
    for (int i = 0; i < 20; i++) {
        assert_int_equal(auth_throttle_wait_ms(throttle, "other@example.org", client, 500), 0);
        snprintf(email, sizeof email, "user%d@example.org", i);
        auth_throttle_failed(throttle, email, client, 500);
    }
    assert_int_equal(auth_throttle_wait_ms(throttle, "other@example.org", client, 500), 60000);
    assert_int_equal(auth_throttle_wait_ms(throttle, "other@example.org", client, 60499), 1);
    assert_int_equal(auth_throttle_wait_ms(throttle, "other@example.org", client, 60500), 0);
    assert_int_equal(auth_throttle_wait_ms(throttle, "other@example.org", "192.0.2.8", 500), 0);
    auth_throttle_failed(throttle, "user@example.org", client, 60500);
    assert_int_equal(auth_throttle_wait_ms(throttle, "other@example.org", client, 60500), 0);
}

static void an_ipv6_network_is_one_client(void **state)
{
    (void)state;
    SCOPED(auth_throttle_destroy) struct auth_throttle *throttle = auth_throttle_create();
    char address[64], email[32];
    for (int i = 0; i < 20; i++) {
        snprintf(address, sizeof address, "2001:db8:1:2::%x", i);
        snprintf(email, sizeof email, "user%d@example.org", i);
        auth_throttle_failed(throttle, email, address, 0);
    }
    assert_int_equal(auth_throttle_wait_ms(throttle, "a@b.c", "2001:db8:1:2:ffff::1", 0), 60000);
    assert_int_equal(auth_throttle_wait_ms(throttle, "a@b.c", "2001:db8:1:3::1", 0), 0);
}

static void a_mapped_address_is_the_ipv4_client(void **state)
{
    (void)state;
    SCOPED(auth_throttle_destroy) struct auth_throttle *throttle = auth_throttle_create();
    for (int i = 0; i < 20; i++)
        auth_throttle_failed(throttle, "ann@example.org", "::ffff:192.0.2.7", 0);
    assert_int_equal(auth_throttle_wait_ms(throttle, "a@b.c", client, 0), 60000);
}

static void what_is_no_address_is_no_client(void **state)
{
    (void)state;
    SCOPED(auth_throttle_destroy) struct auth_throttle *throttle = auth_throttle_create();
    for (int i = 0; i < 100; i++)
        auth_throttle_failed(throttle, "ann@example.org", "unix", 0);
    assert_int_equal(auth_throttle_wait_ms(throttle, "a@b.c", "unix", 0), 0);
    assert_int_equal(auth_throttle_wait_ms(throttle, "a@b.c", NULL, 0), 0);
}

// Four times as many invented accounts as there is room for do not push out one that is guessed at.
static void a_flood_of_names_does_not_free_an_account(void **state)
{
    (void)state;
    SCOPED(auth_throttle_destroy) struct auth_throttle *throttle = auth_throttle_create();
    for (int i = 0; i < 8; i++)
        auth_throttle_failed(throttle, "ann@example.org", "", 0);
    char email[32];
    for (int i = 0; i < 4 * 65536; i++) {
        snprintf(email, sizeof email, "user%d@example.org", i);
        auth_throttle_failed(throttle, email, "", 1);
    }
    assert_int_equal(auth_throttle_wait_ms(throttle, "ann@example.org", "", 0), 32000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_account_waits_longer_after_each_failure),
        cmocka_unit_test(upper_case_is_the_same_account),
        cmocka_unit_test(a_success_forgets_the_account_but_not_the_client),
        cmocka_unit_test(a_client_has_twenty_failures_a_minute),
        cmocka_unit_test(an_ipv6_network_is_one_client),
        cmocka_unit_test(a_mapped_address_is_the_ipv4_client),
        cmocka_unit_test(what_is_no_address_is_no_client),
        cmocka_unit_test(a_flood_of_names_does_not_free_an_account),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
