#include "media/media_layout.h"

#include "base/file.h"
#include "lame_stream.h"
#include "mp3/mp3_frames.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

// Keeps what the layout writes, and sees that each call is one frame.
static bool keep_frame(void *context, const unsigned char *bytes, size_t size,
                       struct media_failure *why)
{
    (void)why;
    struct mp3_frame shape;
    assert_true(mp3_frame_parse(bytes, &shape));
    assert_int_equal(shape.size_bytes, size);
    assert_true(buf_append(context, bytes, size));
    return true;
}

static struct media_layout *create_layout(struct buf *out)
{
    buf_init(out, 64 << 20);
    return media_layout_create((struct media_layout_output){keep_frame, out});
}

static void add(struct media_layout *layout, const struct media_frame *frame)
{
    struct media_failure why;
    if (!media_layout_add(layout, frame, &why))
        fail_msg("%s", why.detail);
}

static void finish(struct media_layout *layout)
{
    struct media_failure why;
    assert_true(media_layout_finish(layout, &why));
}

static void assert_valid_mp3(const struct buf *bytes, int64_t frames)
{
    struct error err = {0};
    SCOPED_FD int fd = file_open_scratch("/tmp", &err);
    assert_true(fd >= 0 && file_write_all(fd, bytes->bytes, bytes->size, &err));
    struct mp3_summary summary;
    if (!mp3_check_file(fd, &summary, &err))
        fail_msg("%s", err.text);
    assert_int_equal(summary.frames, frames);
}

static void assert_sounds_the_same(const struct buf *a, const struct buf *b)
{
    SCOPED_BUF struct buf heard_a, heard_b;
    lame_stream_decode((unsigned char *)a->bytes, a->size, &heard_a);
    lame_stream_decode((unsigned char *)b->bytes, b->size, &heard_b);
    assert_true(heard_a.size > 0);
    assert_int_equal(heard_a.size, heard_b.size);
    assert_memory_equal(heard_a.bytes, heard_b.bytes, heard_a.size);
}

static void one_encoders_stream_laid_anew_sounds_the_same(void **state)
{
    (void)state;
    struct lame_setting setting;
    for (size_t i = 0; lame_stream_setting(i, &setting); i++) {
        print_message("# %s\n", lame_stream_name(&setting));
        SCOPED_BUF struct buf before, after;
        lame_stream_encode(&setting, 0, setting.rate_hz * 6 / 5, &before, NULL);
        SCOPED(media_frames_destroy) struct media_frames *frames = lame_stream_split(&before, 777);
        int64_t count = media_frames_next(frames);
        SCOPED(media_layout_destroy) struct media_layout *layout = create_layout(&after);
        for (int64_t n = 0; n < count; n++) {
            const struct media_frame *frame = media_frames_at(frames, n);
            assert_in_range(media_layout_reservoir(layout), frame->main_data_begin, 511);
            add(layout, frame);
            assert_in_range(media_layout_left_by(frame), 0, media_layout_reservoir(layout));
            if (n + 1 < count)
                assert_in_range(media_layout_left_by(frame),
                                media_frames_at(frames, n + 1)->main_data_begin, 511);
        }
        finish(layout);
        assert_int_equal(media_layout_raised(layout), 0);
        assert_int_equal(after.size, before.size);
        assert_valid_mp3(&after, count);
        assert_sounds_the_same(&before, &after);
    }
}

struct side {
    const struct media_frames *frames;
    int64_t first; // number of its first frame in the file
};

static const struct media_frame *frame_at(struct side side, int64_t n)
{
    return media_frames_at(side.frames, n - side.first);
}

// The left one's frames up to `join`, from there on the right one's. False if these have less
// reservoir there than they counted on.
static bool join_at(struct side left, struct side right, int64_t join)
{
    SCOPED_BUF struct buf out;
    SCOPED(media_layout_destroy) struct media_layout *layout = create_layout(&out);
    int64_t count = right.first + media_frames_next(right.frames);
    for (int64_t n = 0; n < join; n++)
        add(layout, frame_at(left, n));
    if (media_layout_reservoir(layout) < frame_at(right, join)->main_data_begin)
        return false;
    for (int64_t n = join; n < count; n++)
        add(layout, frame_at(right, n));
    finish(layout);
    assert_int_equal(media_layout_raised(layout), 0);
    assert_valid_mp3(&out, count);
    SCOPED(media_frames_destroy) struct media_frames *again = lame_stream_split(&out, 1000);
    for (int64_t n = 0; n < count; n++)
        assert_true(
            media_frame_is_same(media_frames_at(again, n), frame_at(n < join ? left : right, n)));
    return true;
}

static void two_encoders_frames_make_one_stream_wherever_there_is_room(void **state)
{
    (void)state;
    enum { FRAMES = 80, START = 20 };
    static const struct lame_setting settings[] = {
        {.rate_hz = 44100, .channels = 2, .quality = 0},
        {.rate_hz = 44100, .channels = 2, .bitrate_kbps = 128},
        {.rate_hz = 32000, .channels = 2, .bitrate_kbps = 320},
        {.rate_hz = 24000, .channels = 2, .bitrate_kbps = 8},
        {.rate_hz = 22050, .channels = 1, .quality = 5},
        {.rate_hz = 8000, .channels = 1, .quality = 2},
    };
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        print_message("# %s\n", lame_stream_name(&settings[i]));
        int samples = settings[i].rate_hz < 32000 ? 576 : 1152;
        SCOPED_BUF struct buf left, right;
        lame_stream_encode(&settings[i], 0, FRAMES * samples, &left, NULL);
        lame_stream_encode(&settings[i], START * samples, (FRAMES - START) * samples, &right, NULL);
        SCOPED(media_frames_destroy)
        struct media_frames *from_left = lame_stream_split(&left, 1000);
        SCOPED(media_frames_destroy)
        struct media_frames *from_right = lame_stream_split(&right, 1000);
        int joins = 0;
        for (int64_t join = START + 1; join < FRAMES; join += 3)
            joins += join_at((struct side){from_left, 0}, (struct side){from_right, START}, join);
        assert_in_range(joins, 5, 20);
    }
}

static void frames_that_counted_on_a_reservoir_can_do_without(void **state)
{
    (void)state;
    static const struct lame_setting setting = {44100, 2, .bitrate_kbps = 128};
    SCOPED_BUF struct buf bytes;
    lame_stream_encode(&setting, 0, 60 * 1152, &bytes, NULL);
    SCOPED(media_frames_destroy) struct media_frames *frames = lame_stream_split(&bytes, 1000);
    int64_t raised = 0;
    for (int64_t start = 0; start < 50; start++) {
        SCOPED_BUF struct buf out;
        SCOPED(media_layout_destroy) struct media_layout *layout = create_layout(&out);
        for (int64_t n = start; n < start + 10; n++)
            add(layout, media_frames_at(frames, n));
        finish(layout);
        raised += media_layout_raised(layout);
        assert_valid_mp3(&out, 10);
    }
    assert_in_range(raised, 1, 100);
}

static void what_the_reservoir_cannot_hold_is_zeros(void **state)
{
    (void)state;
    // Silence leaves more room than a reservoir has; the first scene of the sound is silence.
    const struct lame_setting setting = {.rate_hz = 48000, .channels = 1, .bitrate_kbps = 320};
    SCOPED_BUF struct buf before, after;
    lame_stream_encode(&setting, 0, 4800, &before, NULL);
    SCOPED(media_frames_destroy) struct media_frames *frames = lame_stream_split(&before, 1000);
    SCOPED(media_layout_destroy) struct media_layout *layout = create_layout(&after);
    for (int64_t n = 0; n < 3; n++) {
        add(layout, media_frames_at(frames, n));
        assert_int_equal(media_layout_reservoir(layout), 511);
        assert_int_equal(after.size, 960 * n); // the last frame waits for data
    }
    finish(layout);
    assert_int_equal(after.size, 960 * 3);
    size_t used = 21 + (size_t)media_frames_at(frames, 0)->main_size;
    for (size_t at = used; at < 960 - 511; at++)
        assert_int_equal(after.bytes[at], 0);
}

// A frame of stereo at 44.1 kHz with so much main data.
static struct media_frame *make_frame(const unsigned char header[4], int main_size)
{
    const int overhead = 36;
    struct media_frame *frame = calloc(1, sizeof *frame + (size_t)(overhead + main_size));
    frame->overhead_size = (unsigned char)overhead;
    frame->main_size = (uint16_t)main_size;
    frame->parts = 4;
    memcpy(frame->bytes, header, 4);
    return frame;
}

static const unsigned char kbps_32[4] = {0xff, 0xfb, 0x10, 0x64}; // 104 bytes at 44.1 kHz

static void a_frame_without_room_gets_the_lowest_bit_rate_that_fits(void **state)
{
    (void)state;
    SCOPED_BUF struct buf out;
    SCOPED(media_layout_destroy) struct media_layout *layout = create_layout(&out);
    struct media_frame *fits = make_frame(kbps_32, 68);
    struct media_frame *larger = make_frame(kbps_32, 69);
    struct media_frame *largest = make_frame(kbps_32, 1044 - 36);
    add(layout, fits);
    assert_int_equal(media_layout_raised(layout), 0);
    assert_int_equal(media_layout_reservoir(layout), 0);
    add(layout, larger);
    assert_int_equal(media_layout_raised(layout), 1);
    assert_int_equal(media_layout_reservoir(layout), 130 - 36 - 69); // 40 kbit/s
    add(layout, larger);
    assert_int_equal(media_layout_raised(layout), 1); // the reservoir has the byte
    add(layout, largest);
    assert_int_equal(media_layout_raised(layout), 2);
    finish(layout);
    assert_int_equal(out.size, 104 + 130 + 104 + 1044);
    free(fits);
    free(larger);
    free(largest);
}

static void assert_refused(struct media_layout *layout, const struct media_frame *frame,
                           const char *text)
{
    struct media_failure why = {0};
    assert_false(media_layout_add(layout, frame, &why));
    assert_string_equal(why.code, "internal");
    if (strstr(why.detail, text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", why.detail, text);
}

static void what_cannot_be_laid_is_a_failure(void **state)
{
    (void)state;
    SCOPED_BUF struct buf out;
    SCOPED(media_layout_destroy) struct media_layout *layout = create_layout(&out);
    struct media_frame *frame = make_frame(kbps_32, 1044 - 35);
    assert_refused(layout, frame, "Frame 0 of the MP3 has more data than fits");
    frame->main_size = 10;
    frame->bytes[1] &= 0xfe;
    assert_refused(layout, frame, "no valid header"); // a CRC word
    frame->bytes[1] |= 1;
    frame->overhead_size = 21;
    assert_refused(layout, frame, "no valid header"); // that of mono
    frame->overhead_size = 36;
    add(layout, frame);
    frame->bytes[2] |= 0x04; // 48 kHz
    assert_refused(layout, frame, "another stream");
    assert_int_equal(media_layout_raised(layout), 0);
    free(frame);
}

static bool fail_to_write(void *context, const unsigned char *bytes, size_t size,
                          struct media_failure *why)
{
    (void)context, (void)bytes, (void)size;
    return media_fail(why, "no_space", NULL);
}

static void a_failed_write_is_handed_on(void **state)
{
    (void)state;
    SCOPED(media_layout_destroy)
    struct media_layout *layout =
        media_layout_create((struct media_layout_output){fail_to_write, NULL});
    struct media_frame *full = make_frame(kbps_32, 68);
    struct media_failure why = {0};
    assert_false(media_layout_add(layout, full, &why));
    assert_string_equal(why.code, "no_space");
    free(full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_encoders_stream_laid_anew_sounds_the_same),
        cmocka_unit_test(two_encoders_frames_make_one_stream_wherever_there_is_room),
        cmocka_unit_test(frames_that_counted_on_a_reservoir_can_do_without),
        cmocka_unit_test(what_the_reservoir_cannot_hold_is_zeros),
        cmocka_unit_test(a_frame_without_room_gets_the_lowest_bit_rate_that_fits),
        cmocka_unit_test(what_cannot_be_laid_is_a_failure),
        cmocka_unit_test(a_failed_write_is_handed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
