#include "http/http_router.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct http_route routes[] = {
    {.method = "GET", .pattern = "/"},
    {.method = "GET", .pattern = "/items/{id}"},
    {.method = "GET", .pattern = "/items/special"},
    {.method = "DELETE", .pattern = "/items/{id}"},
    {.method = "GET", .pattern = "/items/{id}/parts/{part}"},
    {.method = "HEAD", .pattern = "/uploads/{id}"},
    {.method = "GET", .pattern = "/uploads/{id}"},
    {.method = "OPTIONS", .pattern = "/uploads/{id}"},
};

static void find(const char *method, const char *path, const char *pattern, const char *allow)
{
    struct http_target target;
    struct http_match match;
    assert_null(http_target_parse(&target, path, "h"));
    http_router_find(routes, sizeof routes / sizeof routes[0], method, &target, &match);
    if (pattern == NULL)
        assert_null(match.route);
    else
        assert_string_equal(match.route->pattern, pattern);
    if (allow != NULL)
        assert_string_equal(match.allow, allow);
    http_target_finish(&target);
}

static void a_literal_segment_beats_a_parameter(void **state)
{
    (void)state;
    find("GET", "/", "/", "GET, HEAD, OPTIONS");
    find("GET", "/items/special", "/items/special", NULL);
    find("GET", "/items/other", "/items/{id}", NULL);
    find("DELETE", "/items/special", "/items/{id}", NULL);
}

static void paths_match_whole_and_exactly(void **state)
{
    (void)state;
    find("GET", "/items", NULL, "");
    find("GET", "/items/", NULL, "");
    find("GET", "/items/a/", NULL, "");
    find("GET", "/items/a/parts", NULL, "");
    find("GET", "/items/a/parts/b/c", NULL, "");
    find("GET", "//items/a", NULL, "");
    find("GET", "/Items/a", NULL, "");
}

static void other_methods_of_a_known_path_are_listed(void **state)
{
    (void)state;
    find("POST", "/items/a", NULL, "GET, HEAD, DELETE, OPTIONS");
    find("get", "/items/a", NULL, "GET, HEAD, DELETE, OPTIONS");
    find("PUT", "/uploads/a", NULL, "HEAD, GET, OPTIONS");
}

static void get_answers_head_unless_head_has_a_route(void **state)
{
    (void)state;
    struct http_target target;
    struct http_match match;
    find("HEAD", "/items/a", "/items/{id}", NULL);
    assert_null(http_target_parse(&target, "/uploads/a", "h"));
    http_router_find(routes, sizeof routes / sizeof routes[0], "HEAD", &target, &match);
    assert_string_equal(match.route->method, "HEAD");
    http_router_find(routes, sizeof routes / sizeof routes[0], "OPTIONS", &target, &match);
    assert_string_equal(match.route->method, "OPTIONS");
    http_target_finish(&target);
}

static void parameters_are_decoded_segments(void **state)
{
    (void)state;
    struct http_target target;
    struct http_match match;
    assert_null(http_target_parse(&target, "/items/a%20b/parts/%C3%BC?x=1", "h"));
    http_router_find(routes, sizeof routes / sizeof routes[0], "GET", &target, &match);
    assert_int_equal(match.parameters_count, 2);
    assert_memory_equal(match.parameters[0].name, "id", match.parameters[0].name_size);
    assert_string_equal(match.parameters[0].value, "a b");
    assert_memory_equal(match.parameters[1].name, "part", match.parameters[1].name_size);
    assert_string_equal(match.parameters[1].value, "\xC3\xBC");
    http_target_finish(&target);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_literal_segment_beats_a_parameter),
        cmocka_unit_test(paths_match_whole_and_exactly),
        cmocka_unit_test(other_methods_of_a_known_path_are_listed),
        cmocka_unit_test(get_answers_head_unless_head_has_a_route),
        cmocka_unit_test(parameters_are_decoded_segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
