#include "http/http_address.h"
#include "http/http_guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct field {
    const char *name;
    const char *value;
};

static const char *guard(const char *version, const struct field *fields, size_t count)
{
    struct http_guard guard;
    http_guard_init(&guard);
    for (size_t i = 0; i < count; i++)
        http_guard_field(&guard, fields[i].name, strlen(fields[i].name), fields[i].value,
                         strlen(fields[i].value));
    return http_guard_request(&guard, version) ? NULL : guard.reason;
}

#define FINE(...)                                                                                  \
    assert_null(guard("HTTP/1.1", (struct field[]){__VA_ARGS__},                                   \
                      sizeof((struct field[]){__VA_ARGS__}) / sizeof(struct field)))
#define WRONG(...)                                                                                 \
    assert_non_null(guard("HTTP/1.1", (struct field[]){__VA_ARGS__},                               \
                          sizeof((struct field[]){__VA_ARGS__}) / sizeof(struct field)))

static void ordinary_requests_pass(void **state)
{
    (void)state;
    FINE({"Host", "example.org:8080"}, {"Content-Length", "12"}, {"X-Any", "a\tb \xC3\xBC"});
    FINE({"hOsT", "[::1]"}, {"transfer-encoding", "Chunked"});
    assert_null(guard("HTTP/1.0", NULL, 0));
}

static void lengths_and_codings_are_said_once_and_plainly(void **state)
{
    (void)state;
    static const char *const lengths[] = {"",     "+3", "-1", "0x3",
                                          "3, 3", "3 ", "3a", "1234567890123456789"};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        WRONG({"Host", "h"}, {"Content-Length", lengths[i]});
    WRONG({"Host", "h"}, {"Content-Length", "3"}, {"Content-Length", "3"});
    WRONG({"Host", "h"}, {"Content-Length", "3"}, {"Transfer-Encoding", "chunked"});
    WRONG({"Host", "h"}, {"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "chunked"});
    static const char *const codings[] = {"",         "foo",      "chunked, identity", "identity",
                                          "xchunked", "chunked ", "gzip, chunked"};
    for (size_t i = 0; i < sizeof codings / sizeof codings[0]; i++)
        WRONG({"Host", "h"}, {"Transfer-Encoding", codings[i]});
    const struct field chunked[] = {{"Host", "h"}, {"Transfer-Encoding", "chunked"}};
    assert_non_null(guard("HTTP/1.0", chunked, 2));
}

static void there_is_one_host(void **state)
{
    (void)state;
    WRONG({"X", "y"});
    WRONG({"Host", "a"}, {"Host", "a"});
    static const char *const hosts[] = {"a b", "a/b", "a@b", "a,b", "a?b", "a#b"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
        WRONG({"Host", hosts[i]});
}

static void names_are_tokens_and_values_hold_no_controls(void **state)
{
    (void)state;
    static const char *const names[] = {"", "A B", "A:", "A(", "\xC3\xBC", "Content-Length "};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        WRONG({"Host", "h"}, {names[i], "1"});
    static const char *const values[] = {"a\rb", "a\nb", "a\x01", "\x7f"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        WRONG({"Host", "h"}, {"X", values[i]});
    struct http_guard nul;
    http_guard_init(&nul);
    http_guard_field(&nul, "X", 1, "a\0b", 3);
    assert_non_null(nul.reason);
}

static void versions_and_numbers_of_fields_are_limited(void **state)
{
    (void)state;
    static const char *const versions[] = {"HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "http/1.1", ""};
    const struct field host[] = {{"Host", "h"}};
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++)
        assert_non_null(guard(versions[i], host, 1));
    struct field fields[HTTP_GUARD_FIELDS_LIMIT + 1] = {{"Host", "h"}};
    for (size_t i = 1; i <= HTTP_GUARD_FIELDS_LIMIT; i++)
        fields[i] = (struct field){"X", "y"};
    assert_null(guard("HTTP/1.1", fields, HTTP_GUARD_FIELDS_LIMIT));
    assert_non_null(guard("HTTP/1.1", fields, HTTP_GUARD_FIELDS_LIMIT + 1));
}

static const char *parse(const char *raw)
{
    struct http_target target;
    const char *reason = http_target_parse(&target, raw, "example.org");
    http_target_finish(&target);
    return reason;
}

static void doubtful_targets_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "*",
                                        "a",
                                        "/a b",
                                        "/a#b",
                                        "/%",
                                        "/%4",
                                        "/%zz",
                                        "/%00",
                                        "/a%00b",
                                        "/a%0ab",
                                        "/..",
                                        "/a/..",
                                        "/a/../b",
                                        "/./a",
                                        "/%2e%2e/a",
                                        "/%2E/a",
                                        "/a%2fb",
                                        "/a%5cb",
                                        "/a\\b",
                                        "/\xC3\xBC",
                                        "/%C3",
                                        "/%ff",
                                        "/a?%",
                                        "/a?x=%00",
                                        "/a?%zz=1",
                                        "/a?x=%C3",
                                        "//../a",
                                        "http://evil.org/a",
                                        "ftp://example.org/",
                                        "example.org:80",
                                        "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (parse(wrong[i]) == NULL)
            fail_msg("taken: %s", wrong[i]);
    char query[512] = "/?";
    for (int i = 0; i <= HTTP_QUERY_LIMIT; i++)
        memcpy(query + 2 + 4 * i, "a=b&", 4);
    assert_non_null(parse(query));
}

static void targets_are_cut_and_decoded(void **state)
{
    (void)state;
    struct http_target target;
    assert_null(http_target_parse(
        &target, "http://Example.ORG/a%20b/..c/?x=1+2&&y&z=a%3Db%26%0A=", "example.org"));
    assert_string_equal(target.path, "/a%20b/..c/");
    assert_int_equal(target.segments_count, 3);
    assert_string_equal(target.segments[0], "a b");
    assert_string_equal(target.segments[1], "..c");
    assert_string_equal(target.segments[2], "");
    assert_int_equal(target.query_count, 3);
    assert_string_equal(target.query[0].value, "1 2");
    assert_string_equal(target.query[1].name, "y");
    assert_string_equal(target.query[1].value, "");
    assert_string_equal(target.query[2].value, "a=b&\n=");
    http_target_finish(&target);
}

static void forwarded_addresses_count_only_behind_trusted_proxies(void **state)
{
    (void)state;
    struct http_network *networks;
    size_t count;
    struct error err = {0};
    assert_true(
        http_address_parse_networks("127.0.0.1, 10.0.0.0/8,fd00::/8", &networks, &count, &err));
    assert_int_equal(count, 3);
    assert_true(http_address_is_trusted(networks, count, false, "10.255.1.2"));
    assert_true(http_address_is_trusted(networks, count, false, "::ffff:127.0.0.1"));
    assert_true(http_address_is_trusted(networks, count, false, "fd12::1"));
    assert_true(http_address_is_trusted(networks, count, true, "unix"));
    assert_false(http_address_is_trusted(networks, count, false, "11.0.0.1"));
    assert_false(http_address_is_trusted(networks, count, false, "127.0.0.2"));
    static const struct {
        const char *list;
        const char *expected;
    } cases[] = {{"1.2.3.4", "1.2.3.4"},
                 {"6.6.6.6, 1.2.3.4, 10.0.0.1", "1.2.3.4"},
                 {"10.0.0.2,10.0.0.1", "10.0.0.2"},
                 {"2001:db8::1", "2001:db8::1"},
                 {"nonsense, 10.0.0.1", "10.0.0.1"},
                 {"nonsense", NULL},
                 {"", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *found = http_address_forwarded(networks, count, cases[i].list);
        if (cases[i].expected == NULL)
            assert_null(found);
        else
            assert_string_equal(found, cases[i].expected);
        free(found);
    }
    free(networks);
    assert_false(http_address_parse_networks("10.0.0.0/33", &networks, &count, &err));
    assert_false(http_address_parse_networks("localhost", &networks, &count, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_requests_pass),
        cmocka_unit_test(lengths_and_codings_are_said_once_and_plainly),
        cmocka_unit_test(there_is_one_host),
        cmocka_unit_test(names_are_tokens_and_values_hold_no_controls),
        cmocka_unit_test(versions_and_numbers_of_fields_are_limited),
        cmocka_unit_test(doubtful_targets_are_refused),
        cmocka_unit_test(targets_are_cut_and_decoded),
        cmocka_unit_test(forwarded_addresses_count_only_behind_trusted_proxies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
