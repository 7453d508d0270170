#include "roles/options.h"

#include "jobs/jobs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void what_was_chosen_is_written_in_canonical_form_and_read_back(void **state)
{
    (void)state;
    struct options options, again;
    struct error why;
    char text[JOBS_OPTIONS_SIZE];
    options_init(&options);
    assert_true(options_write(&options, text, sizeof text));
    assert_string_equal(text, "{\"preset\":\"standard\"}");
    static const char *const chosen[][2] = {{"preset", "voice"}, {"track", "DE"},
                                            {"mono", "true"},    {"start", "1:23.500"},
                                            {"end", "90"},       {"loudness", "-16.0"}};
    for (size_t i = 0; i < sizeof chosen / sizeof chosen[0]; i++)
        assert_true(choices_set(&options.choices, chosen[i][0], chosen[i][1], &why));
    snprintf(options.title, sizeof options.title, "A \"talk\"");
    assert_true(options_write(&options, text, sizeof text));
    assert_string_equal(text, "{\"preset\":\"voice\",\"track\":\"de\",\"mono\":\"true\","
                              "\"start\":\"83.5\",\"end\":\"90\",\"loudness\":\"-16\","
                              "\"title\":\"A \\\"talk\\\"\"}");
    assert_true(options_read(text, &again, &why));
    char twice[JOBS_OPTIONS_SIZE];
    assert_true(options_write(&again, twice, sizeof twice));
    assert_string_equal(twice, text);
}

static void the_longest_options_fit_into_a_row(void **state)
{
    (void)state;
    struct options options;
    struct error why;
    char text[JOBS_OPTIONS_SIZE];
    options_init(&options);
    assert_true(
        choices_set(&options.choices, "track", "zh-abcdefgh-abcdefgh-abcdefgh-abcde", &why));
    assert_true(choices_set(&options.choices, "mono", "true", &why));
    assert_true(choices_set(&options.choices, "start", "3599999.998", &why));
    assert_true(choices_set(&options.choices, "end", "3599999.999", &why));
    assert_true(choices_set(&options.choices, "loudness", "-16.05", &why));
    memset(options.title, '"', sizeof options.title - 1);
    assert_true(options_write(&options, text, sizeof text));
}

static void a_row_without_options_means_the_defaults(void **state)
{
    (void)state;
    struct options options;
    struct error why;
    assert_true(options_read("{}", &options, &why));
    assert_string_equal(options.choices.preset->name, PRESET_DEFAULT);
    assert_string_equal(options.title, "");
}

static void what_another_release_wrote_is_refused_as_a_whole(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "null",
        "[]",
        "{\"preset\":\"standard\"",
        "{\"preset\":\"hifi\"}",
        "{\"preset\":\"standard\",\"karaoke\":\"true\"}",
        "{\"mono\":true}",
        "{\"start\":83.5}",
        "{\"start\":\"9\",\"end\":\"8\"}",
        "{\"title\":7}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct options options;
        struct error why = {0};
        assert_false(options_read(texts[i], &options, &why));
        assert_int_equal(why.kind, ERROR_INVALID);
        assert_true(why.text[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_chosen_is_written_in_canonical_form_and_read_back),
        cmocka_unit_test(the_longest_options_fit_into_a_row),
        cmocka_unit_test(a_row_without_options_means_the_defaults),
        cmocka_unit_test(what_another_release_wrote_is_refused_as_a_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
