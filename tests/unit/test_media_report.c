#include "protocol/media_report.h"

#include "protocol/confinement.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct media_report parse(const char *line)
{
    struct media_report report;
    media_report_parse(line, strlen(line), &report);
    return report;
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    char line[512];
    struct media_report progress = {.kind = MEDIA_PROGRESS, .progress_permille = 137};
    assert_int_equal(media_report_format(&progress, line, sizeof line), 13);
    assert_string_equal(line, "progress 137\n");
    assert_int_equal(parse(line).progress_permille, 137);

    struct media_report done = {.kind = MEDIA_DONE, .duration_ms = 180021};
    media_report_format(&done, line, sizeof line);
    assert_int_equal(parse(line).kind, MEDIA_DONE);
    assert_int_equal(parse(line).duration_ms, 180021);

    struct media_report fail = {.kind = MEDIA_FAIL, .code = "no_audio", .detail = "No track."};
    media_report_format(&fail, line, sizeof line);
    assert_string_equal(line, "fail no_audio No track.\n");
    assert_string_equal(parse(line).code, "no_audio");
    assert_string_equal(parse(line).detail, "No track.");
}

static void done_carries_what_was_measured(void **state)
{
    (void)state;
    char line[512];
    struct media_report done = {.kind = MEDIA_DONE,
                                .duration_ms = 5,
                                .has_loudness = true,
                                .has_gain = true,
                                .loudness_centi_lufs = -2305,
                                .gain_centi_db = 705};
    media_report_format(&done, line, sizeof line);
    assert_string_equal(line, "done duration_ms=5 loudness_centi_lufs=-2305 gain_centi_db=705\n");
    struct media_report report = parse(line);
    assert_int_equal(report.kind, MEDIA_DONE);
    assert_true(report.has_loudness && report.has_gain);
    assert_int_equal(report.loudness_centi_lufs, -2305);
    assert_int_equal(report.gain_centi_db, 705);
    report = parse("done duration_ms=5 samples=3 gain_centi_db=0\n");
    assert_true(!report.has_loudness && report.has_gain);
    report = parse("done duration_ms=5 gain_centi_db=x loudness_centi_lufs= gain_centi_dbs=1\n");
    assert_int_equal(report.kind, MEDIA_DONE);
    assert_false(report.has_loudness || report.has_gain);
}

// Who reads them adds them up.
static void what_cannot_have_been_measured_is_passed_over(void **state)
{
    (void)state;
    struct media_report report =
        parse("done duration_ms=5 loudness_centi_lufs=-9223372036854775808 "
              "gain_centi_db=9223372036854775807\n");
    assert_int_equal(report.kind, MEDIA_DONE);
    assert_false(report.has_loudness || report.has_gain);
}

static void the_layers_of_the_confinement_are_read_back(void **state)
{
    (void)state;
    char line[512];
    for (unsigned layers = 0; layers < 1u << CONFINEMENT_LAYERS; layers++) {
        struct media_report report = {.kind = MEDIA_CONFINED, .layers = layers};
        assert_true(media_report_format(&report, line, sizeof line) > 0);
        assert_int_equal(parse(line).kind, MEDIA_CONFINED);
        assert_int_equal(parse(line).layers, layers);
    }
    assert_int_equal(parse("confined seccomp prison\n").kind, MEDIA_MALFORMED);
    assert_int_equal(parse("confined \n").kind, MEDIA_MALFORMED);
    unsigned required =
        1u << CONFINEMENT_SECCOMP | 1u << CONFINEMENT_NO_PRIVILEGE | 1u << CONFINEMENT_RLIMITS;
    assert_true(confinement_is_enough(required));
    assert_false(confinement_is_enough(~(1u << CONFINEMENT_SECCOMP)));
}

static void done_may_carry_words_of_a_later_version(void **state)
{
    (void)state;
    struct media_report report = parse("done duration_ms=1500 samples=66150\n");
    assert_int_equal(report.kind, MEDIA_DONE);
    assert_int_equal(report.duration_ms, 1500);
}

static void a_malformed_line_is_malformed(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        "\n",
        "progress",
        "progress ",
        "progress 1001\n",
        "progress -1",
        "progress 5x",
        "done",
        "done duration_ms=",
        "done duration_ms=-4\n",
        "done samples=5",
        "fail",
        "fail ",
        "fail no_audio\n",
        "fail no_audio \n",
        "fail NO audio\n",
        "fail a_code_that_is_far_too_long_to_be_one x\n",
        "hello\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_int_equal(parse(lines[i]).kind, MEDIA_MALFORMED);
    struct media_report report;
    media_report_parse("progress 5\0\n", 12, &report);
    assert_int_equal(report.kind, MEDIA_MALFORMED);
}

static void a_line_over_the_limit_is_malformed(void **state)
{
    (void)state;
    char line[600];
    memset(line, 'x', sizeof line);
    memcpy(line, "fail internal ", 14);
    struct media_report report;
    media_report_parse(line, sizeof line, &report);
    assert_int_equal(report.kind, MEDIA_MALFORMED);
}

static void control_bytes_of_a_detail_never_reach_the_reader(void **state)
{
    (void)state;
    struct media_report report = parse("fail internal one\r\033[2Jtwo\n");
    assert_string_equal(report.detail, "one  [2Jtwo");
    char line[512];
    struct media_report fail = {.kind = MEDIA_FAIL, .code = "internal", .detail = "a\nb"};
    media_report_format(&fail, line, sizeof line);
    assert_string_equal(line, "fail internal a b\n");
}

static void a_line_that_does_not_fit_is_not_written(void **state)
{
    (void)state;
    char line[8];
    struct media_report progress = {.kind = MEDIA_PROGRESS, .progress_permille = 137};
    assert_int_equal(media_report_format(&progress, line, sizeof line), 0);
}

static void only_codes_that_blame_the_file_are_permanent(void **state)
{
    (void)state;
    static const char *const permanent[] = {
        "empty",       "not_media",         "no_audio",      "no_such_track",
        "encrypted",   "truncated",         "too_long",      "empty_selection",
        "too_complex", "unsupported_codec", "decoder_crash",
    };
    static const char *const passing[] = {"no_space", "timed_out", "cancelled",
                                          "gave_up",  "internal",  "something_else"};
    for (size_t i = 0; i < sizeof permanent / sizeof permanent[0]; i++)
        assert_true(media_code_is_permanent(permanent[i]));
    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++)
        assert_false(media_code_is_permanent(passing[i]));
}

static void every_code_has_a_sentence_even_an_unknown_one(void **state)
{
    (void)state;
    assert_string_equal(media_code_sentence("no_audio"), "This video has no audio track.");
    assert_string_equal(media_code_sentence("something_else"), "The conversion failed.");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(done_carries_what_was_measured),
        cmocka_unit_test(what_cannot_have_been_measured_is_passed_over),
        cmocka_unit_test(the_layers_of_the_confinement_are_read_back),
        cmocka_unit_test(done_may_carry_words_of_a_later_version),
        cmocka_unit_test(a_malformed_line_is_malformed),
        cmocka_unit_test(a_line_over_the_limit_is_malformed),
        cmocka_unit_test(control_bytes_of_a_detail_never_reach_the_reader),
        cmocka_unit_test(a_line_that_does_not_fit_is_not_written),
        cmocka_unit_test(only_codes_that_blame_the_file_are_permanent),
        cmocka_unit_test(every_code_has_a_sentence_even_an_unknown_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
