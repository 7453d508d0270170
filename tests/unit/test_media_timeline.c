// Where decoded frames stand in what is presented: edit lists read from a file, and the timeline
// that counts samples.
#include "media/media_timeline.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { RATE = 48000, FRAME = 1024, SECOND = RATE };

struct given_edit {
    uint32_t duration; // ms
    int32_t media_time;
    uint32_t speed;
};

// A presentation of a track of `total` samples at 48 kHz in a movie that counts milliseconds.
static struct media_presentation present(const struct given_edit *edits, uint32_t count,
                                         int64_t total, bool is_fragmented)
{
    unsigned char bytes[256];
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t fields[] = {edits[i].duration, (uint32_t)edits[i].media_time,
                                   edits[i].speed};
        for (int field = 0; field < 3; field++)
            for (int shift = 24; shift >= 0; shift -= 8)
                bytes[size++] = (unsigned char)(fields[field] >> shift);
    }
    struct error err;
    SCOPED_FD int fd = file_open_scratch("/tmp", &err);
    assert_true(fd >= 0 && file_write_all(fd, bytes, size, &err));
    const struct media_boxes boxes = {.timescale = 1000, .is_fragmented = is_fragmented};
    const struct media_track track = {.timescale = RATE, .edits = {.count = count}};
    struct media_presentation presentation;
    struct media_failure why;
    assert_true(media_presentation_read(fd, &boxes, &track, total, &presentation, &why));
    return presentation;
}

static struct media_timeline start(const struct media_presentation *presentation, int64_t start_ms,
                                   int64_t end_ms)
{
    struct media_timeline timeline;
    media_timeline_init(&timeline, presentation, RATE);
    timeline.start_ms = start_ms;
    timeline.end_ms = end_ms;
    timeline.announced_ms = 60000;
    assert_true(media_timeline_enter(&timeline, 0));
    media_timeline_set_rate(&timeline, RATE);
    return timeline;
}

static void assert_piece(struct media_piece piece, int64_t silence, int skip, int count)
{
    assert_int_equal(piece.silence, silence);
    assert_int_equal(piece.count, count);
    if (count > 0)
        assert_int_equal(piece.skip, skip);
}

// Frames one behind the other up to `until`; how many samples are heard of them, with silence.
static int64_t play(struct media_timeline *timeline, int64_t from, int64_t until)
{
    int64_t heard = 0;
    for (int64_t time = from; time < until; time += FRAME) {
        struct media_piece piece = media_timeline_place(timeline, time, FRAME);
        heard += piece.silence + piece.count;
    }
    return heard;
}

static void an_edit_cuts_priming_and_padding(void **state)
{
    (void)state;
    // The movie's clock cannot tell 2,000 ms from the end of the last sample but one.
    const struct given_edit edit = {.duration = 2000, .media_time = 1024, .speed = 0x10000};
    struct media_presentation presentation = present(&edit, 1, 1024 + 2 * SECOND + 40, false);
    struct media_timeline timeline = start(&presentation, 0, 0);
    assert_piece(media_timeline_place(&timeline, 0, FRAME), 0, 0, 0);
    assert_int_equal(play(&timeline, FRAME, 3 * SECOND), 2 * SECOND + 40);
    media_presentation_finish(&presentation);

    // Padding of more than a tick is cut where the edit says.
    presentation = present(&edit, 1, 1024 + 2 * SECOND + 500, false);
    timeline = start(&presentation, 0, 0);
    assert_int_equal(play(&timeline, 0, 3 * SECOND), 2 * SECOND);
    assert_true(media_timeline_is_behind(&timeline, 1024 + 2 * SECOND));
    assert_false(media_timeline_is_behind(&timeline, 1023 + 2 * SECOND));
    media_presentation_finish(&presentation);
}

static void an_empty_edit_is_silence_of_its_length(void **state)
{
    (void)state;
    const struct given_edit edits[] = {{.duration = 500, .media_time = -1, .speed = 0x10000},
                                       {.duration = 1000, .media_time = 100, .speed = 0x10000}};
    struct media_presentation presentation = present(edits, 2, 10 * SECOND, false);
    struct media_timeline timeline = start(&presentation, 0, 0);
    assert_piece(media_timeline_place(&timeline, 0, FRAME), SECOND / 2, 100, FRAME - 100);
    assert_int_equal(SECOND / 2 + FRAME - 100 + play(&timeline, FRAME, 5 * SECOND), 3 * SECOND / 2);
    assert_int_equal(media_presentation_ms(&presentation), 1500);
    media_presentation_finish(&presentation);
}

static void edits_may_jump_in_the_middle_of_frames_and_repeat(void **state)
{
    (void)state;
    const struct given_edit edits[] = {
        {.duration = 100, .media_time = 5000, .speed = 0x10000},
        {.duration = 250, .media_time = -1, .speed = 0x10000},
        {.duration = 100, .media_time = 1500, .speed = 0x10000},
    };
    struct media_presentation presentation = present(edits, 3, 10 * SECOND, false);
    struct media_timeline timeline = start(&presentation, 0, 0);
    assert_int_equal(media_timeline_entry(&timeline), 5000);
    assert_piece(media_timeline_place(&timeline, 4096, FRAME), 0, 904, 120);
    assert_int_equal(120 + play(&timeline, 5120, SECOND), SECOND / 10);
    assert_true(media_timeline_enter(&timeline, 1));
    assert_int_equal(media_timeline_entry(&timeline), 1500);
    assert_piece(media_timeline_place(&timeline, 1024, FRAME), SECOND / 4, 476, 548);
    assert_int_equal(548 + play(&timeline, 2048, SECOND), SECOND / 10);
    assert_false(media_timeline_enter(&timeline, 2));
    media_presentation_finish(&presentation);
}

static void edits_that_present_nothing_present_everything(void **state)
{
    (void)state;
    const struct given_edit nonsense[] = {
        {.duration = 1000, .media_time = SECOND, .speed = 0x10000}, // at the end
        {.duration = 1000, .media_time = -1, .speed = 0x10000},
        {.duration = UINT32_MAX, .media_time = INT32_MAX, .speed = 0x10000},
    };
    for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++) {
        struct media_presentation presentation = present(&nonsense[i], 1, SECOND, false);
        assert_int_equal(presentation.count, 1);
        assert_int_equal(media_presentation_ms(&presentation), 1000);
        media_presentation_finish(&presentation);
    }
}

static void a_jump_forward_is_silence_and_rounding_is_not(void **state)
{
    (void)state;
    struct media_presentation presentation = present(NULL, 0, 60 * SECOND, false);
    struct media_timeline timeline = start(&presentation, 0, 0);
    assert_piece(media_timeline_place(&timeline, 0, FRAME), 0, 0, FRAME);
    assert_piece(media_timeline_place(&timeline, FRAME + 3, FRAME), 0, 0, FRAME);
    assert_piece(media_timeline_place(&timeline, 2 * FRAME - 3, FRAME), 0, 0, FRAME);
    assert_piece(media_timeline_place(&timeline, 3 * FRAME, FRAME), 0, 0, FRAME);
    assert_piece(media_timeline_place(&timeline, 4 * FRAME + 777, FRAME), 777, 0, FRAME);
    assert_piece(media_timeline_place(&timeline, 5 * FRAME + 777, FRAME), 0, 0, FRAME);
    media_presentation_finish(&presentation);
}

static void stamps_that_tremble_make_no_more_silence_than_their_furthest(void **state)
{
    (void)state;
    struct media_presentation presentation = present(NULL, 0, 60 * SECOND, false);
    struct media_timeline timeline = start(&presentation, 0, 0);
    int64_t silence = 0, heard = 0;
    for (int i = 0; i < 200; i++) {
        int64_t tremble = i % 3 == 1 ? 700 : 0;
        struct media_piece piece = media_timeline_place(&timeline, i * FRAME + tremble, FRAME);
        silence += piece.silence;
        heard += piece.count;
    }
    assert_int_equal(heard, 200 * FRAME);
    assert_int_equal(silence, 700);
    media_presentation_finish(&presentation);
}

static void sound_that_was_there_already_is_left_out(void **state)
{
    (void)state;
    struct media_presentation presentation = present(NULL, 0, 60 * SECOND, false);
    struct media_timeline timeline = start(&presentation, 0, 0);
    assert_int_equal(play(&timeline, 0, 100 * FRAME), 100 * FRAME);
    assert_int_equal(play(&timeline, 50 * FRAME, 120 * FRAME), 20 * FRAME);
    media_presentation_finish(&presentation);
}

static void a_gap_of_hours_is_damage(void **state)
{
    (void)state;
    struct media_presentation presentation = present(NULL, 0, 0, true);
    struct media_timeline timeline = start(&presentation, 0, 0);
    assert_piece(media_timeline_place(&timeline, 0, FRAME), 0, 0, FRAME);
    int64_t hours = (int64_t)SECOND * 3600 * 5;
    assert_piece(media_timeline_place(&timeline, hours, FRAME), 0, 0, FRAME);
    assert_piece(media_timeline_place(&timeline, hours + FRAME, FRAME), 0, 0, FRAME);
    // What follows stays in place to what was there.
    assert_piece(media_timeline_place(&timeline, hours + 2 * FRAME + 500, FRAME), 500, 0, FRAME);
    media_presentation_finish(&presentation);
}

static void what_failed_is_silence_also_at_the_end(void **state)
{
    (void)state;
    struct media_presentation presentation = present(NULL, 0, 4 * FRAME - 24, false);
    struct media_timeline timeline = start(&presentation, 0, 0);
    assert_piece(media_timeline_place(&timeline, 0, FRAME), 0, 0, FRAME);
    media_timeline_lose(&timeline, FRAME, FRAME);
    assert_piece(media_timeline_place(&timeline, 2 * FRAME, FRAME), FRAME, 0, FRAME);
    assert_int_equal(media_timeline_rest(&timeline), 0);
    media_timeline_lose(&timeline, 3 * FRAME, FRAME);
    assert_int_equal(media_timeline_rest(&timeline), FRAME - 24);
    assert_int_equal(media_timeline_rest(&timeline), 0);
    media_presentation_finish(&presentation);
}

static void a_selection_is_cut_to_the_sample(void **state)
{
    (void)state;
    const struct given_edit edits[] = {{.duration = 500, .media_time = -1, .speed = 0x10000},
                                       {.duration = 0, .media_time = 1024, .speed = 0x10000}};
    struct media_presentation presentation = present(edits, 2, 20 * SECOND, false);
    struct media_timeline timeline = start(&presentation, 2001, 3503);
    assert_in_range(media_timeline_entry(&timeline), 1024 + 1501 * 48 - 96, 1024 + 1501 * 48);
    assert_int_equal(play(&timeline, SECOND, 20 * SECOND), (3503 - 2001) * 48);
    assert_true(media_timeline_is_behind(&timeline, 5 * SECOND));

    // Half of the silence in front, and a second of the sound.
    timeline = start(&presentation, 250, 1500);
    assert_piece(media_timeline_place(&timeline, 1024, FRAME), 250 * 48, 0, FRAME);

    // Where no sound is, nothing is selected.
    media_timeline_init(&timeline, &presentation, RATE);
    timeline.end_ms = 500;
    assert_false(media_timeline_enter(&timeline, 0));
    timeline.end_ms = 0;
    timeline.start_ms = 21000;
    assert_false(media_timeline_enter(&timeline, 0));
    media_presentation_finish(&presentation);
}

static void the_clock_goes_on_when_the_rate_changes(void **state)
{
    (void)state;
    struct media_presentation presentation = present(NULL, 0, 60 * SECOND, false);
    struct media_timeline timeline = start(&presentation, 0, 0);
    assert_int_equal(play(&timeline, 0, 100 * FRAME), 100 * FRAME);
    media_timeline_set_rate(&timeline, 24000);
    assert_int_equal(timeline.given, 50 * FRAME);
    assert_piece(media_timeline_place(&timeline, 100 * FRAME, 512), 0, 0, 512);
    assert_piece(media_timeline_place(&timeline, 101 * FRAME + 2000, 512), 1000, 0, 512);
    media_presentation_finish(&presentation);
}

static void itunes_comment_counts_at_the_rate_that_fits_the_length(void **state)
{
    (void)state;
    const char *text = " 00000000 00000840 000001C0 0000000000017700 00000000 00000000"; // 2 s
    const int64_t sum = 0x840 + 0x1C0 + 2 * SECOND;
    const struct {
        int rate_hz;
        int64_t total;
        uint32_t clock;
    } cases[] = {
        {48000, sum, 48000},     // plain AAC
        {24000, sum, 48000},     // HE-AAC, named after its core
        {48000, sum * 2, 24000}, // the comment counts the core's samples
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct media_presentation presentation = present(NULL, 0, cases[i].total, false);
        assert_true(
            media_presentation_cut_itunes(&presentation, text, cases[i].rate_hz, cases[i].total));
        assert_int_equal(presentation.media_clock, cases[i].clock);
        assert_int_equal(presentation.stretches[0].media_start, 0x840);
        assert_int_equal(presentation.stretches[0].media_end, 0x840 + 2 * SECOND);
        media_presentation_finish(&presentation);
    }
    struct media_presentation presentation = present(NULL, 0, sum, false);
    assert_false(media_presentation_cut_itunes(&presentation, " 00000000 00000840", 48000, sum));
    assert_false(media_presentation_cut_itunes(&presentation, "nonsense", 48000, sum));
    assert_false(media_presentation_cut_itunes(&presentation, text, 48000, 60 * SECOND));
    assert_int_equal(presentation.stretches[0].media_start, 0);
    media_presentation_finish(&presentation);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_edit_cuts_priming_and_padding),
        cmocka_unit_test(an_empty_edit_is_silence_of_its_length),
        cmocka_unit_test(edits_may_jump_in_the_middle_of_frames_and_repeat),
        cmocka_unit_test(edits_that_present_nothing_present_everything),
        cmocka_unit_test(a_jump_forward_is_silence_and_rounding_is_not),
        cmocka_unit_test(stamps_that_tremble_make_no_more_silence_than_their_furthest),
        cmocka_unit_test(sound_that_was_there_already_is_left_out),
        cmocka_unit_test(a_gap_of_hours_is_damage),
        cmocka_unit_test(what_failed_is_silence_also_at_the_end),
        cmocka_unit_test(a_selection_is_cut_to_the_sample),
        cmocka_unit_test(the_clock_goes_on_when_the_rate_changes),
        cmocka_unit_test(itunes_comment_counts_at_the_rate_that_fits_the_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
