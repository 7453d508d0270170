#include "accounts/accounts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void accept(const char *email)
{
    struct error err = {0};
    if (!accounts_check_email(email, &err))
        fail_msg("refused <%s>: %s", email, err.text);
    assert_int_equal(err.kind, ERROR_NONE);
}

static void refuse(const char *email)
{
    struct error err = {0};
    if (accounts_check_email(email, &err))
        fail_msg("accepted <%s>", email);
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_true(strlen(err.text) > 0);
}

static void plain_addresses_are_accepted(void **state)
{
    (void)state;
    accept("bob@example.org");
    accept("Bob.O'Neil+tag@mail.example.co.uk");
    accept("!#$%&'*+-/=?^_`{|}~@x.org");
    accept("a@b");
    accept("0@0a.x1");
    accept("x@xn--bcher-kva.example");
}

static void what_is_no_dot_atom_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "bob",
                                        "@x.org",
                                        "bob@",
                                        "a@b@c.org",
                                        ".a@x.org",
                                        "a.@x.org",
                                        "a..b@x.org",
                                        "\"a b\"@x.org",
                                        "a b@x.org",
                                        "a(c)@x.org",
                                        "<a@x.org>",
                                        "a@x.org, b@x.org",
                                        "a;b@x.org",
                                        "a\\b@x.org",
                                        "a@[1.2.3.4]",
                                        "a@1.2.3.4",
                                        "a@x..org",
                                        "a@.x.org",
                                        "a@x.org.",
                                        "a@-x.org",
                                        "a@x-.org",
                                        "a@x_y.org",
                                        "a@x.123",
                                        "b\xC3\xBC@x.org",
                                        "a@b\xC3\xBC.org"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        refuse(wrong[i]);
}

static void no_control_byte_gets_in_anywhere(void **state)
{
    (void)state;
    for (int c = 1; c < 256; c++) {
        if (c >= 0x20 && c < 0x7f)
            continue;
        char email[32];
        snprintf(email, sizeof email, "a%cb@x.org", c);
        refuse(email);
        snprintf(email, sizeof email, "a@x%cy.org", c);
        refuse(email);
        snprintf(email, sizeof email, "a@x.org%c", c);
        refuse(email);
        snprintf(email, sizeof email, "%ca@x.org", c);
        refuse(email);
    }
}

static void the_lengths_are_those_of_smtp(void **state)
{
    (void)state;
    char local[66], label[65], email[400];
    memset(local, 'a', sizeof local);
    memset(label, 'b', sizeof label);
    snprintf(email, sizeof email, "%.64s@x.org", local);
    accept(email);
    snprintf(email, sizeof email, "%.65s@x.org", local);
    refuse(email);
    snprintf(email, sizeof email, "a@%.63s.org", label);
    accept(email);
    snprintf(email, sizeof email, "a@%.64s.org", label);
    refuse(email);
    // 64 + 1 + 63 + 1 + 63 + 1 + 61 = 254
    snprintf(email, sizeof email, "%.64s@%.63s.%.63s.%.61s", local, label, label, label);
    assert_int_equal(strlen(email), 254);
    accept(email);
    snprintf(email, sizeof email, "%.64s@%.63s.%.63s.%.62s", local, label, label, label);
    refuse(email);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_addresses_are_accepted),
        cmocka_unit_test(what_is_no_dot_atom_is_refused),
        cmocka_unit_test(no_control_byte_gets_in_anywhere),
        cmocka_unit_test(the_lengths_are_those_of_smtp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
