#include "media/media_loudness.h"
#include "media/media_true_peak.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { RATE_HZ = 48000, PIECE = 4800 };

// A tone, alike on all channels.
static struct media_level level_of_tone(int channels, double hz, double amplitude, double seconds)
{
    struct media_failure why;
    const struct media_format format = {.rate_hz = RATE_HZ, .channels = channels};
    SCOPED(media_loudness_destroy)
    struct media_loudness *loudness = media_loudness_create(format, &why);
    assert_non_null(loudness);
    static float samples[PIECE];
    int total = (int)(seconds * RATE_HZ);
    for (int done = 0; done < total; done += PIECE) {
        int count = total - done < PIECE ? total - done : PIECE;
        for (int i = 0; i < count; i++)
            samples[i] = (float)(amplitude * sin(2 * M_PI * hz * (done + i) / RATE_HZ));
        assert_true(media_loudness_add(loudness, samples, samples, (size_t)count, &why));
    }
    struct media_level level;
    assert_true(media_loudness_level(loudness, &level, &why));
    return level;
}

static void assert_near(double got, double expected, double tolerance)
{
    if (fabs(got - expected) > tolerance)
        fail_msg("%f is not %f", got, expected);
}

// EBU Tech 3341, test 1: a stereo tone of 1 kHz at -23 dBFS is -23 LUFS.
static void a_stereo_tone_has_the_loudness_of_the_standard(void **state)
{
    (void)state;
    struct media_level level = level_of_tone(2, 1000, pow(10, -23.0 / 20), 5);
    assert_true(level.has_loudness);
    assert_near(level.loudness_lufs, -23, 0.1);
    assert_near(level.true_peak_dbtp, -23, 0.1);
    level = level_of_tone(1, 1000, pow(10, -23.0 / 20), 5);
    assert_near(level.loudness_lufs, -26, 0.1);
}

// EBU Tech 3341, test 15: between the samples this tone is 3 dB above them.
static void peaks_between_samples_are_seen(void **state)
{
    (void)state;
    struct media_level level = level_of_tone(2, RATE_HZ / 4.0, 0.5, 1);
    assert_near(level.true_peak_dbtp, 20 * log10(0.5), 0.2);
    struct media_failure why;
    const struct media_format format = {.rate_hz = RATE_HZ, .channels = 1};
    SCOPED(media_loudness_destroy)
    struct media_loudness *loudness = media_loudness_create(format, &why);
    static float samples[RATE_HZ];
    for (int i = 0; i < RATE_HZ; i++)
        samples[i] = (float)(0.5 * sin(M_PI / 2 * i + M_PI / 4));
    assert_true(media_loudness_add(loudness, samples, samples, RATE_HZ, &why));
    assert_true(media_loudness_level(loudness, &level, &why));
    assert_near(level.true_peak_dbtp, 20 * log10(0.5), 0.4);
}

// Two samples beside each other stand for a higher point between them, wherever they come.
static void a_peak_is_seen_at_every_place(void **state)
{
    (void)state;
    float first = 0;
    for (size_t before = 0; before < 300; before++) {
        struct media_true_peak peak = {0};
        float samples[302] = {0};
        samples[before] = samples[before + 1] = -0.5f;
        media_true_peak_add(&peak, samples, before / 2);
        media_true_peak_add(&peak, samples + before / 2, before + 2 - before / 2);
        float got = media_true_peak_finish(&peak);
        first = before == 0 ? got : first;
        assert_true(got == first);
    }
    assert_true(first > 0.6f && first < 0.65f);
}

// What is left out because it cannot be higher must not be what is highest.
static void a_quiet_peak_between_loud_samples_counts(void **state)
{
    (void)state;
    struct media_true_peak peak = {0};
    float samples[1000];
    for (int i = 0; i < 500; i++)
        samples[i] = (i & 1) != 0 ? 0.5f : 0.0f;
    for (int i = 500; i < 1000; i++)
        samples[i] = (float)(0.45 * sin(M_PI / 2 * i + M_PI / 4) * M_SQRT2);
    media_true_peak_add(&peak, samples, 1000);
    float got = media_true_peak_finish(&peak);
    assert_true(got > 0.6f);
}

static void silence_and_a_blink_have_no_loudness_and_no_gain(void **state)
{
    (void)state;
    struct media_level level = level_of_tone(2, 1000, 0, 2);
    assert_false(level.has_loudness);
    assert_true(media_loudness_gain_db(&level, -16) == 0);
    level = level_of_tone(2, 1000, 0.1, 0.2);
    assert_false(level.has_loudness);
    assert_true(media_loudness_gain_db(&level, -16) == 0);
    level = level_of_tone(2, 1000, 0.1, 0);
    assert_false(level.has_loudness);
}

static void the_gain_stops_where_peaks_would_pass_minus_1_dbtp(void **state)
{
    (void)state;
    struct media_level level = {.has_loudness = true, .loudness_lufs = -23, .true_peak_dbtp = -10};
    assert_near(media_loudness_gain_db(&level, -16), 7, 1e-9);
    assert_near(media_loudness_gain_db(&level, -13), 9, 1e-9);
    assert_near(media_loudness_gain_db(&level, -30), -7, 1e-9);
    level.true_peak_dbtp = 0.5;
    assert_near(media_loudness_gain_db(&level, -23), -1.5, 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stereo_tone_has_the_loudness_of_the_standard),
        cmocka_unit_test(peaks_between_samples_are_seen),
        cmocka_unit_test(a_peak_is_seen_at_every_place),
        cmocka_unit_test(a_quiet_peak_between_loud_samples_counts),
        cmocka_unit_test(silence_and_a_blink_have_no_loudness_and_no_gain),
        cmocka_unit_test(the_gain_stops_where_peaks_would_pass_minus_1_dbtp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
