#include "protocol/preset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void the_default_is_vbr_v2_stereo(void **state)
{
    (void)state;
    const struct preset *preset = preset_find(PRESET_DEFAULT);
    assert_non_null(preset);
    assert_false(preset->is_constant);
    assert_int_equal(preset->quality, 2);
    assert_false(preset->is_mono);
}

static void voice_is_mono_and_at_most_24_khz(void **state)
{
    (void)state;
    const struct preset *preset = preset_find("voice");
    assert_non_null(preset);
    assert_true(preset->is_mono);
    assert_int_equal(preset->highest_rate_hz, 24000);
}

static void a_name_that_is_not_in_the_table_finds_nothing(void **state)
{
    (void)state;
    assert_null(preset_find(""));
    assert_null(preset_find("Best"));
    assert_null(preset_find("cbr64"));
}

static void every_preset_is_found_by_its_name_and_has_a_summary(void **state)
{
    (void)state;
    size_t count = 0;
    for (const struct preset *preset; (preset = preset_at(count)) != NULL; count++) {
        assert_ptr_equal(preset_find(preset->name), preset);
        assert_true(strlen(preset->summary) > 0);
        assert_int_equal(preset->is_constant, preset->bitrate_kbps != 0);
    }
    assert_int_equal(count, 8);
    assert_null(preset_at(count + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_is_vbr_v2_stereo),
        cmocka_unit_test(voice_is_mono_and_at_most_24_khz),
        cmocka_unit_test(a_name_that_is_not_in_the_table_finds_nothing),
        cmocka_unit_test(every_preset_is_found_by_its_name_and_has_a_summary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
