#include "base/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct url parsed(const char *text)
{
    struct url url;
    struct error err = {0};
    if (!url_parse(text, &url, &err))
        fail_msg("%s: %s", text, err.text);
    return url;
}

static void a_full_url_is_taken_apart(void **state)
{
    (void)state;
    struct url url = parsed(
        "MySQL://un%40reel:p%3Ass%2F%23@db-1.example:3307,[::1],db_2/jo%20bs?tls=verify&tls-ca=/a");
    assert_string_equal(url.scheme, "mysql");
    assert_string_equal(url.user, "un@reel");
    assert_string_equal(url.password, "p:ss/#");
    assert_int_equal(url.host_count, 3);
    assert_string_equal(url.hosts[0].name, "db-1.example");
    assert_int_equal(url.hosts[0].port, 3307);
    assert_string_equal(url.hosts[1].name, "::1");
    assert_int_equal(url.hosts[1].port, 0);
    assert_string_equal(url.hosts[2].name, "db_2");
    assert_string_equal(url.path, "jo bs");
    assert_string_equal(url_parameter(&url, "tls"), "verify");
    assert_string_equal(url_parameter(&url, "tls-ca"), "/a");
    assert_null(url_parameter(&url, "tl"));
}

static void what_is_not_given_is_empty(void **state)
{
    (void)state;
    struct url url = parsed("smtp://mail");
    assert_string_equal(url.user, "");
    assert_string_equal(url.password, "");
    assert_false(url.has_path);
    assert_int_equal(url.hosts[0].port, 0);
    assert_int_equal(url.parameter_count, 0);
    url = parsed("amqp://user@host/");
    assert_true(url.has_path);
    assert_string_equal(url.path, "");
    assert_string_equal(url.user, "user");
    assert_string_equal(parsed("amqp://host/%2F").path, "/");
    assert_string_equal(parsed("amqp://host?a=b").parameters[0].value, "b");
}

static void a_password_may_have_an_at_sign_and_colons(void **state)
{
    (void)state;
    struct url url = parsed("mysql://user:a@b:c@host/db");
    assert_string_equal(url.password, "a@b:c");
    assert_string_equal(url.hosts[0].name, "host");
}

static void what_is_no_url_is_refused_without_telling_the_password(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "host",
        "mysql:host",
        "://host",
        "my sql://host",
        "averyveryverylongscheme://host",
        "mysql://",
        "mysql:///db",
        "mysql://@host",
        "mysql://:hunter2@host",
        "mysql://user:hunter2@",
        "mysql://user:hunter2@host:0",
        "mysql://user:hunter2@host:65536",
        "mysql://user:hunter2@host:",
        "mysql://user:hunter2@host:33a",
        "mysql://user:hunter2@host,",
        "mysql://user:hunter2@a,b,c,d,e,f,g,h,i",
        "mysql://user:hunter2@ho st",
        "mysql://user:hunter2/x@host",
        "mysql://user:hunter2%2@host",
        "mysql://user:hunter2%@host",
        "mysql://user:hunter2%0g@host",
        "mysql://user:hunter2%00@host",
        "mysql://user:hunter2\n@host",
        "mysql://user:hunter2@[::1",
        "mysql://user:hunter2@[::g]",
        "mysql://user:hunter2@[::1]3306",
        "mysql://user:hunter2@host/db?tls",
        "mysql://user:hunter2@host/db?=off",
        "mysql://user:hunter2@host/db#part",
        "smtp://user:25/hunter2@host",
        "smtp://user:25?hunter2=x@host",
        "mysql://host/db?a=1&b=2&c=3&d=4&e=5&f=6&g=7&h=8&i=9",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct url url;
        struct error err = {0};
        if (url_parse(wrong[i], &url, &err))
            fail_msg("taken: %s", wrong[i]);
        assert_int_equal(err.kind, ERROR_INVALID);
        assert_null(strstr(err.text, "hunter2"));
    }
    char text[1024] = "mysql://user:";
    memset(text + strlen(text), 'x', 900);
    memcpy(text + 913, "@host/db", sizeof "@host/db");
    struct url url;
    struct error err = {0};
    assert_false(url_parse(text, &url, &err));
}

static void unknown_and_double_parameters_are_refused(void **state)
{
    (void)state;
    static const char *const known[] = {"tls", "tls-ca", NULL};
    struct error err = {0};
    struct url url = parsed("smtp://h?tls=off&tls-ca=x");
    assert_true(url_check_parameters(&url, known, &err));
    url = parsed("smtp://h?tsl=off");
    assert_false(url_check_parameters(&url, known, &err));
    assert_string_equal(err.text, "there is no parameter 'tsl'");
    url = parsed("smtp://h?tls=off&tls=required");
    assert_false(url_check_parameters(&url, known, &err));
    assert_string_equal(err.text, "the parameter 'tls' is given twice");
}

static void loopback_is_known_by_name_and_address(void **state)
{
    (void)state;
    assert_true(url_is_loopback("localhost"));
    assert_true(url_is_loopback("127.0.0.1"));
    assert_true(url_is_loopback("127.8.9.10"));
    assert_true(url_is_loopback("::1"));
    assert_false(url_is_loopback("127.0.0.1.example.org"));
    assert_false(url_is_loopback("localhost.example.org"));
    assert_false(url_is_loopback("10.0.0.1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_url_is_taken_apart),
        cmocka_unit_test(what_is_not_given_is_empty),
        cmocka_unit_test(a_password_may_have_an_at_sign_and_colons),
        cmocka_unit_test(what_is_no_url_is_refused_without_telling_the_password),
        cmocka_unit_test(unknown_and_double_parameters_are_refused),
        cmocka_unit_test(loopback_is_known_by_name_and_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
