#include "protocol/choices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static size_t index_of(const char *name)
{
    for (size_t i = 0; choices_at(i) != NULL; i++)
        if (strcmp(choices_at(i)->name, name) == 0)
            return i;
    fail_msg("no row %s", name);
    return 0;
}

// What the table makes of a text: its canonical form, "-" where that means not chosen, or NULL
// with the sentence in `why`.
static const char *canonical(const char *name, const char *text, struct error *why)
{
    static char out[CHOICES_TEXT_SIZE];
    struct choices choices;
    choices_init(&choices);
    if (!choices_set(&choices, name, text, why))
        return NULL;
    if (!choices_format(&choices, index_of(name), out))
        return "-";
    struct choices again;
    choices_init(&again);
    char twice[CHOICES_TEXT_SIZE];
    assert_true(choices_set(&again, name, out, why));
    assert_true(choices_format(&again, index_of(name), twice));
    assert_string_equal(twice, out);
    return out;
}

static void assert_reads(const char *name, const char *text, const char *expected)
{
    struct error why = {.text = ""};
    const char *got = canonical(name, text, &why);
    if (got == NULL)
        fail_msg("%s \"%s\" was refused: %s", name, text, why.text);
    assert_string_equal(got, expected);
}

static void assert_refuses(const char *name, const char *text)
{
    struct error why = {.text = ""};
    const char *got = canonical(name, text, &why);
    if (got != NULL)
        fail_msg("%s \"%s\" was taken as %s", name, text, got);
    assert_int_equal(why.kind, ERROR_INVALID);
    size_t length = strlen(name);
    assert_int_equal(strncmp(why.text, name, length), 0);
    assert_int_equal(why.text[length], ' ');
    assert_int_equal(why.text[strlen(why.text) - 1], '.');
}

static void times_are_seconds_or_fields_with_colons(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"90", "90"},          {"83.5", "83.5"},        {"1:23.5", "83.5"},
        {"1:2:3.5", "3723.5"}, {"0:01:23.500", "83.5"}, {"00:00:00.001", "0.001"},
        {"90:00", "5400"},     {"0.25", "0.25"},        {"1000:00:00", "3600000"},
        {"007", "7"},          {"100", "100"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_reads("start", rows[i][0], rows[i][1]);
        assert_reads("end", rows[i][0], rows[i][1]);
    }
    assert_reads("start", "0", "-");
}

static void texts_that_are_no_time_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",          "-1",        "+1",         "1e9",        "NaN",
        "inf",       "1:60",      "1:60:00",    "1:2:3:4",    ":30",
        "1:",        "1.",        ".5",         "1.5:00",     "1.2345",
        " 1",        "1 ",        "1,5",        "0x10",       "5s",
        "3600000.1", "999999999", "1000000000", "1000:00:01", "99999999999999999999999",
        "٣",         "１２",      "1\n",        "1:-5",       "-0",
        "1:2:3.5.5",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_refuses("start", texts[i]);
        assert_refuses("end", texts[i]);
    }
    assert_refuses("end", "0");
}

static void loudness_is_from_minus_70_to_minus_5(void **state)
{
    (void)state;
    assert_reads("loudness", "-16", "-16");
    assert_reads("loudness", "-16.5", "-16.5");
    assert_reads("loudness", "-16.50", "-16.5");
    assert_reads("loudness", "-23.05", "-23.05");
    assert_reads("loudness", "-70", "-70");
    assert_reads("loudness", "-5.00", "-5");
    static const char *const texts[] = {
        "",    "16",   "0",    "-70.01", "-4.99", "-16.555", "-16 LUFS", "--16", "-",
        "NaN", "-inf", "-1e1", "-16,5",  "−16",   "-.5",     "-16.",     "- 16", "-9999999999",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_refuses("loudness", texts[i]);
}

static void a_track_is_a_number_or_a_language(void **state)
{
    (void)state;
    assert_reads("track", "1", "1");
    assert_reads("track", "02", "2");
    assert_reads("track", "999", "999");
    assert_reads("track", "deu", "deu");
    assert_reads("track", "DE", "de");
    assert_reads("track", "pt-BR", "pt-br");
    assert_reads("track", "zh-Hant-TW", "zh-hant-tw");
    static const char *const texts[] = {
        "",      "0",      "-1",    "1000",         "1.5",
        "d",     "german", "de_DE", "de-",          "-de",
        "de--x", "de DE",  "dé",    "日本",         "٣",
        "de\n",  "1a",     "a1",    "de-ninechars", "de-12345678-12345678-12345678-12345678",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_refuses("track", texts[i]);
}

static void mono_is_true_or_false(void **state)
{
    (void)state;
    assert_reads("mono", "true", "true");
    assert_reads("mono", "false", "-");
    assert_refuses("mono", "");
    assert_refuses("mono", "yes");
    assert_refuses("mono", "TRUE");
    assert_refuses("mono", "1");
}

static void a_preset_is_a_row_of_the_presets(void **state)
{
    (void)state;
    assert_reads("preset", "voice", "voice");
    assert_refuses("preset", "");
    assert_refuses("preset", "Best");
    struct error why;
    assert_null(canonical("preset", "hifi", &why));
    assert_string_equal(why.text, "preset is one of best, standard, small, voice, cbr128, cbr192, "
                                  "cbr256, cbr320, not \"hifi\".");
}

static void an_overlong_text_is_refused_and_shown_in_part(void **state)
{
    (void)state;
    char text[1000];
    memset(text, '1', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (size_t i = 0; choices_at(i) != NULL; i++)
        assert_refuses(choices_at(i)->name, text);
}

static void control_characters_are_not_repeated_in_a_sentence(void **state)
{
    (void)state;
    struct error why;
    assert_null(canonical("start", "1\033[2J\n", &why));
    assert_null(strpbrk(why.text, "\033\n"));
}

static void a_name_that_is_not_in_the_table_is_not_found(void **state)
{
    (void)state;
    struct error why;
    assert_null(canonical("volume", "11", &why));
    assert_int_equal(why.kind, ERROR_NOT_FOUND);
    assert_string_equal(why.text, "volume is nothing that can be chosen.");
    assert_null(canonical("", "11", &why));
}

static void a_refused_text_leaves_the_choices_as_they_were(void **state)
{
    (void)state;
    struct choices choices;
    struct error why;
    choices_init(&choices);
    static const char *const good[][2] = {{"preset", "voice"}, {"track", "2"}, {"mono", "true"},
                                          {"start", "5"},      {"end", "9"},   {"loudness", "-20"}};
    for (size_t i = 0; i < 6; i++)
        assert_true(choices_set(&choices, good[i][0], good[i][1], &why));
    for (size_t i = 0; i < 6; i++)
        assert_false(choices_set(&choices, good[i][0], "-1", &why));
    for (size_t i = 0; i < 6; i++) {
        char text[CHOICES_TEXT_SIZE];
        assert_true(choices_format(&choices, index_of(good[i][0]), text));
        assert_string_equal(text, good[i][1]);
    }
}

static void the_end_comes_after_the_start(void **state)
{
    (void)state;
    struct choices choices;
    struct error why;
    choices_init(&choices);
    assert_true(choices_check(&choices, &why));
    assert_true(choices_set(&choices, "start", "10", &why));
    assert_true(choices_check(&choices, &why));
    assert_true(choices_set(&choices, "end", "10.001", &why));
    assert_true(choices_check(&choices, &why));
    assert_true(choices_set(&choices, "end", "10", &why));
    assert_false(choices_check(&choices, &why));
    assert_int_equal(why.kind, ERROR_INVALID);
    assert_string_equal(why.text, "end must be later than start.");
}

static void nothing_is_chosen_at_first_but_the_default_preset(void **state)
{
    (void)state;
    struct choices choices;
    choices_init(&choices);
    assert_string_equal(choices.preset->name, PRESET_DEFAULT);
    char text[CHOICES_TEXT_SIZE];
    for (size_t i = 0; choices_at(i) != NULL; i++)
        assert_int_equal(choices_format(&choices, i, text), i == index_of("preset"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_seconds_or_fields_with_colons),
        cmocka_unit_test(texts_that_are_no_time_are_refused),
        cmocka_unit_test(loudness_is_from_minus_70_to_minus_5),
        cmocka_unit_test(a_track_is_a_number_or_a_language),
        cmocka_unit_test(mono_is_true_or_false),
        cmocka_unit_test(a_preset_is_a_row_of_the_presets),
        cmocka_unit_test(an_overlong_text_is_refused_and_shown_in_part),
        cmocka_unit_test(control_characters_are_not_repeated_in_a_sentence),
        cmocka_unit_test(a_name_that_is_not_in_the_table_is_not_found),
        cmocka_unit_test(a_refused_text_leaves_the_choices_as_they_were),
        cmocka_unit_test(the_end_comes_after_the_start),
        cmocka_unit_test(nothing_is_chosen_at_first_but_the_default_preset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
