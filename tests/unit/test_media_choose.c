#include "media/media_boxes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const uint32_t SOUN = MEDIA_FOURCC('s', 'o', 'u', 'n');
static const uint32_t VIDE = MEDIA_FOURCC('v', 'i', 'd', 'e');

// A picture, then sound in English, German (once for Switzerland), English again, and unknown.
static const struct media_boxes film = {
    .track_count = 6,
    .tracks = {{.handler = VIDE, .is_enabled = true, .language = "fra"},
               {.handler = SOUN, .language = "eng"},
               {.handler = SOUN, .is_enabled = true, .language = "deu"},
               {.handler = SOUN, .language = "de-CH"},
               {.handler = SOUN, .is_enabled = true, .language = "eng"},
               {.handler = SOUN}},
};

static long chosen(const char *wanted)
{
    struct media_failure why;
    const struct media_track *track = media_boxes_choose_audio(&film, wanted, &why);
    return track != NULL ? track - film.tracks : -1;
}

static void without_a_wish_the_first_enabled_track_is_taken(void **state)
{
    (void)state;
    assert_int_equal(chosen(""), 2);
    assert_int_equal(chosen(NULL), 2);
}

static void a_number_counts_the_audio_tracks_from_one(void **state)
{
    (void)state;
    assert_int_equal(chosen("1"), 1);
    assert_int_equal(chosen("5"), 5);
    assert_int_equal(chosen("0"), -1);
    assert_int_equal(chosen("6"), -1);
    assert_int_equal(chosen("99999999999999999999"), -1);
}

static void a_language_is_found_by_each_of_its_codes(void **state)
{
    (void)state;
    static const char *const german[] = {"deu", "ger", "de", "DE", "Ger"};
    for (size_t i = 0; i < sizeof german / sizeof german[0]; i++)
        assert_int_equal(chosen(german[i]), 2);
    assert_int_equal(chosen("de-CH"), 3);
    assert_int_equal(chosen("ger-ch"), 3);
    assert_int_equal(chosen("de-C"), -1);
    assert_int_equal(chosen("de-AT"), -1);
    assert_int_equal(chosen("fra"), -1);
    assert_int_equal(chosen("d"), -1);
}

static void of_two_tracks_of_a_language_the_enabled_one_is_taken(void **state)
{
    (void)state;
    assert_int_equal(chosen("en"), 4);
}

static void who_chose_in_vain_is_told_what_there_is(void **state)
{
    (void)state;
    struct media_failure why;
    assert_null(media_boxes_choose_audio(&film, "fra", &why));
    assert_string_equal(why.code, "no_such_track");
    assert_string_equal(why.detail, "There is no track \"fra\". This file has: 1 English (eng), "
                                    "2 German (deu), 3 German (de-CH), 4 English (eng), "
                                    "5 without a language.");
}

static void a_long_list_of_tracks_ends_where_the_sentence_does(void **state)
{
    (void)state;
    struct media_failure why;
    struct media_boxes many = {.track_count = MEDIA_TRACKS};
    for (unsigned i = 0; i < MEDIA_TRACKS; i++)
        many.tracks[i] = (struct media_track){.handler = SOUN, .language = "zh-Hant-TW"};
    assert_null(media_boxes_choose_audio(&many, "fra", &why));
    assert_non_null(strstr(why.detail, "1 Chinese (zh-Hant-TW), 2 Chinese"));
    assert_non_null(strstr(why.detail, ", …."));
}

static void only_a_file_with_sound_has_no_such_track(void **state)
{
    (void)state;
    struct media_failure why;
    struct media_boxes silent = {.track_count = 1, .tracks = {{.handler = VIDE}}};
    assert_null(media_boxes_choose_audio(&silent, "deu", &why));
    assert_string_equal(why.code, "no_audio");
}

static void a_locked_track_is_not_replaced_by_another(void **state)
{
    (void)state;
    struct media_failure why;
    struct media_boxes locked = {
        .track_count = 2,
        .tracks = {{.handler = SOUN, .language = "eng", .is_enabled = true, .is_encrypted = true},
                   {.handler = SOUN, .language = "deu"}}};
    assert_null(media_boxes_choose_audio(&locked, "eng", &why));
    assert_string_equal(why.code, "encrypted");
    assert_ptr_equal(media_boxes_choose_audio(&locked, "deu", &why), &locked.tracks[1]);
}

static void packed_languages_are_read_also_those_of_old_quicktime(void **state)
{
    (void)state;
    static const struct {
        uint16_t packed;
        const char *language;
    } cases[] = {{0x15c7, "eng"}, {0x10b5, "deu"}, {0x55c4, ""}, {0x7fff, ""},
                 {0, "eng"},      {2, "deu"},      {11, "jpn"},  {94, "epo"},
                 {95, ""},        {0x3ff, ""},     {0xffff, ""}, {0x400, ""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char language[4];
        media_language_unpack(cases[i].packed, language);
        assert_string_equal(language, cases[i].language);
    }
}

static void a_language_tag_is_words_joined_by_hyphens(void **state)
{
    (void)state;
    static const char *const fine[] = {"de", "zh-Hant-TW", "sl-rozaj-biske-1994", "x-1"};
    static const char *const wrong[] = {"",
                                        "-de",
                                        "de-",
                                        "de--CH",
                                        "de_CH",
                                        "d e",
                                        "1-de",
                                        "d\xc3",
                                        "ninelette",
                                        "de-ninelette",
                                        "aa-bb-cc-dd-ee-ff-gg-hh-ii-jj-kk-ll-mm"};
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++)
        assert_true(media_language_is_tag(fine[i]));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(media_language_is_tag(wrong[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_wish_the_first_enabled_track_is_taken),
        cmocka_unit_test(a_number_counts_the_audio_tracks_from_one),
        cmocka_unit_test(a_language_is_found_by_each_of_its_codes),
        cmocka_unit_test(of_two_tracks_of_a_language_the_enabled_one_is_taken),
        cmocka_unit_test(who_chose_in_vain_is_told_what_there_is),
        cmocka_unit_test(a_long_list_of_tracks_ends_where_the_sentence_does),
        cmocka_unit_test(only_a_file_with_sound_has_no_such_track),
        cmocka_unit_test(a_locked_track_is_not_replaced_by_another),
        cmocka_unit_test(packed_languages_are_read_also_those_of_old_quicktime),
        cmocka_unit_test(a_language_tag_is_words_joined_by_hyphens),
    };
    return cmocka_run_group_tests_name("media_choose", tests, NULL, NULL);
}
