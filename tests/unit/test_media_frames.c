#include "media/media_frames.h"

#include "lame_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct lame_setting stereo = {.rate_hz = 44100, .channels = 2, .quality = 2};
static const struct lame_setting mono = {.rate_hz = 16000, .channels = 1, .quality = 5};
static const struct lame_setting constant = {.rate_hz = 44100, .channels = 2, .bitrate_kbps = 128};

static bool add(struct media_frames *frames, const void *bytes, size_t size,
                struct media_failure *why)
{
    *why = (struct media_failure){0};
    return media_frames_add(frames, bytes, size, why);
}

static void assert_broken(const void *bytes, size_t size, const char *text)
{
    SCOPED(media_frames_destroy) struct media_frames *frames = media_frames_create(1000);
    struct media_failure why = {0};
    assert_false(add(frames, bytes, size, &why) && media_frames_finish(frames, &why));
    assert_string_equal(why.code, "internal");
    if (strstr(why.detail, text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", why.detail, text);
}

static void the_size_of_the_pieces_makes_no_difference(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 3, 417, 1441, 100000};
    SCOPED_BUF struct buf bytes;
    lame_stream_encode(&stereo, 0, 44100, &bytes, NULL);
    SCOPED(media_frames_destroy) struct media_frames *whole = lame_stream_split(&bytes, bytes.size);
    assert_true(media_frames_next(whole) > 38);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        SCOPED(media_frames_destroy)
        struct media_frames *cut = lame_stream_split(&bytes, pieces[i]);
        assert_int_equal(media_frames_next(cut), media_frames_next(whole));
        for (int64_t n = 0; n < media_frames_next(cut); n++) {
            const struct media_frame *a = media_frames_at(cut, n);
            const struct media_frame *b = media_frames_at(whole, n);
            assert_int_equal(a->main_data_begin, b->main_data_begin);
            assert_true(media_frame_is_same(a, b));
            assert_true(media_frame_has_same_blocks(a, b));
        }
    }
}

static void a_frame_can_be_read_as_soon_as_its_last_byte_is_there(void **state)
{
    (void)state;
    SCOPED_BUF struct buf bytes;
    lame_stream_encode(&constant, 0, 4000, &bytes, NULL);
    SCOPED(media_frames_destroy) struct media_frames *frames = media_frames_create(10);
    struct media_failure why;
    assert_true(add(frames, bytes.bytes, 416, &why));
    assert_int_equal(media_frames_next(frames), 0);
    assert_false(media_frames_finish(frames, &why));
    SCOPED(media_frames_destroy) struct media_frames *others = media_frames_create(10);
    assert_true(add(others, bytes.bytes, 417, &why));
    assert_int_equal(media_frames_next(others), 1);
    assert_true(media_frames_finish(others, &why));
}

static void dropped_frames_keep_their_numbers(void **state)
{
    (void)state;
    SCOPED_BUF struct buf bytes;
    lame_stream_encode(&mono, 0, 16000, &bytes, NULL);
    SCOPED(media_frames_destroy) struct media_frames *whole = lame_stream_split(&bytes, 1000);
    int64_t count = media_frames_next(whole);
    SCOPED(media_frames_destroy) struct media_frames *few = media_frames_create(12);
    struct media_failure why;
    const char *at = bytes.bytes;
    for (size_t left = bytes.size; left > 0;) { // 400 bytes are at most 12 frames here
        size_t piece = left < 200 ? left : 200;
        assert_true(add(few, at, piece, &why));
        at += piece;
        left -= piece;
        media_frames_drop(few, media_frames_next(few) - 1);
        if (media_frames_next(few) > 0)
            assert_true(media_frame_is_same(media_frames_at(few, media_frames_next(few) - 1),
                                            media_frames_at(whole, media_frames_next(few) - 1)));
    }
    assert_int_equal(media_frames_next(few), count);
    assert_int_equal(media_frames_first(few), count - 1);
    media_frames_drop(few, count + 100);
    assert_int_equal(media_frames_first(few), count);
    media_frames_drop(few, 0);
    assert_int_equal(media_frames_first(few), count);
}

static void more_frames_than_the_limit_are_a_failure(void **state)
{
    (void)state;
    SCOPED_BUF struct buf bytes;
    lame_stream_encode(&stereo, 0, 20000, &bytes, NULL);
    SCOPED(media_frames_destroy) struct media_frames *frames = media_frames_create(5);
    struct media_failure why;
    assert_false(add(frames, bytes.bytes, bytes.size, &why));
    assert_string_equal(why.code, "internal");
    assert_string_equal(why.detail, "The MP3 encoder's frame 5 is one too many.");
    assert_int_equal(media_frames_next(frames), 5);
    media_frames_drop(frames, 5);
    assert_false(add(frames, bytes.bytes, 1, &why)); // it stays broken
    assert_false(media_frames_finish(frames, &why));
}

static void the_same_sound_is_the_same_wherever_its_data_lies(void **state)
{
    (void)state;
    SCOPED_BUF struct buf bytes;
    lame_stream_encode(&stereo, 0, 20000, &bytes, NULL);
    SCOPED(media_frames_destroy) struct media_frames *frames = lame_stream_split(&bytes, 999);
    const struct media_frame *frame = media_frames_at(frames, 12);
    size_t size = sizeof *frame + frame->overhead_size + frame->main_size;
    struct media_frame *other = malloc(size);
    memcpy(other, frame, size);
    other->bytes[2] ^= 0xf2; // bit rate and padding
    other->bytes[4] ^= 0xff; // main_data_begin
    other->bytes[5] ^= 0x80;
    other->main_data_begin ^= 0x1ff;
    assert_true(media_frame_is_same(frame, other));
    for (size_t bit = 0; bit < 8 * (size_t)(frame->overhead_size + frame->main_size); bit++) {
        bool is_free = (bit >= 16 && bit < 20) || bit == 22 || (bit >= 32 && bit < 41);
        other->bytes[bit / 8] ^= (unsigned char)(0x80 >> bit % 8);
        if (media_frame_is_same(frame, other) != is_free)
            fail_msg("bit %zu", bit);
        other->bytes[bit / 8] ^= (unsigned char)(0x80 >> bit % 8);
    }
    other->main_size--;
    assert_false(media_frame_is_same(frame, other));
    other->blocks[3] ^= 1;
    assert_false(media_frame_has_same_blocks(frame, other));
    free(other);
}

static void mpeg_2_has_eight_bits_that_do_not_count(void **state)
{
    (void)state;
    SCOPED_BUF struct buf bytes;
    lame_stream_encode(&mono, 0, 8000, &bytes, NULL);
    SCOPED(media_frames_destroy) struct media_frames *frames = lame_stream_split(&bytes, 999);
    const struct media_frame *frame = media_frames_at(frames, 5);
    size_t size = sizeof *frame + frame->overhead_size + frame->main_size;
    struct media_frame *other = malloc(size);
    memcpy(other, frame, size);
    other->bytes[4] ^= 0xff;
    assert_true(media_frame_is_same(frame, other));
    other->bytes[5] ^= 0x80;
    assert_false(media_frame_is_same(frame, other));
    free(other);
}

static void damage_is_a_failure_that_names_the_frame(void **state)
{
    (void)state;
    SCOPED_BUF struct buf bytes;
    lame_stream_encode(&constant, 0, 8000, &bytes, NULL);
    unsigned char *at = (unsigned char *)bytes.bytes;
    assert_broken(at, bytes.size - 1, "is cut");
    assert_broken(at, 417 + 3, "frame 1 is cut");
    at[417] = 0;
    assert_broken(at, bytes.size, "frame 1 has no valid header");
    at[417] = 0xff;
    at[1] ^= 1;
    assert_broken(at, bytes.size, "frame 0 has a CRC word");
    at[1] ^= 1;
    at[417 + 3] ^= 0x80;
    assert_broken(at, bytes.size, "frame 1 is of another stream");
    at[417 + 3] ^= 0x80;
    at[4] = 1;
    assert_broken(at, bytes.size, "frame 0 uses data of an earlier one");
    at[4] = 0;
    memset(at + 4 + 2, 0xff, 2); // part2_3_length
    memset(at + 4 + 4, 0, 28);
    at[4 + 2 + 7] = 0xff;
    at[4 + 2 + 8] = 0xff;
    assert_broken(at, bytes.size, "frame 0 is too small for its data");
    at[4 + 4] = 0xff; // big_values
    at[4 + 5] = 0xff;
    assert_broken(at, bytes.size, "frame 0 has damaged side information");
}

enum { FRAME_BYTES = 417, OVERHEAD = 36, ROOM = FRAME_BYTES - OVERHEAD };

// A frame at 128 kbit/s with so much main data, whose bytes are all `fill`.
static void put_frame(unsigned char *at, int begin, int bits, unsigned char fill)
{
    memset(at, 0, OVERHEAD);
    memset(at + OVERHEAD, fill, ROOM);
    memcpy(at, "\xff\xfb\x90\x64", 4);
    at[4] = (unsigned char)(begin >> 1);
    at[5] = (unsigned char)(begin << 7);
    at[6] = (unsigned char)(bits >> 8);
    at[7] = (unsigned char)bits;
}

static void data_is_gathered_from_where_it_begins(void **state)
{
    (void)state;
    unsigned char bytes[3 * FRAME_BYTES];
    put_frame(bytes, 0, 8, 0x11);
    put_frame(bytes + FRAME_BYTES, 380, 100 * 8, 0x22); // all that the first left
    put_frame(bytes + 2 * FRAME_BYTES, 100, 103 * 8, 0x33);
    SCOPED(media_frames_destroy) struct media_frames *frames = media_frames_create(10);
    struct media_failure why;
    assert_true(add(frames, bytes, sizeof bytes, &why));
    static const int sizes[] = {1, 100, 103};
    for (int n = 0; n < 3; n++)
        assert_int_equal(media_frames_at(frames, n)->main_size, sizes[n]);
    const unsigned char *second = media_frames_at(frames, 1)->bytes + OVERHEAD;
    const unsigned char *third = media_frames_at(frames, 2)->bytes + OVERHEAD;
    assert_true(second[0] == 0x11 && second[99] == 0x11);
    assert_true(third[0] == 0x22 && third[99] == 0x22 && third[100] == 0x33 && third[102] == 0x33);
}

// What lies in front of a frame's data is lost when it does not begin there.
static void data_inside_that_of_the_frame_before_is_refused(void **state)
{
    (void)state;
    unsigned char bytes[3 * FRAME_BYTES];
    put_frame(bytes, 0, 8, 0);
    put_frame(bytes + FRAME_BYTES, 100, 200 * 8, 0); // of its own room 281 bytes are left
    put_frame(bytes + 2 * FRAME_BYTES, 281, 8, 0);
    SCOPED(media_frames_destroy) struct media_frames *frames = media_frames_create(10);
    struct media_failure why;
    assert_true(add(frames, bytes, sizeof bytes, &why));
    put_frame(bytes + 2 * FRAME_BYTES, 282, 8, 0);
    assert_broken(bytes, sizeof bytes, "frame 2 uses data of an earlier one");
}

static void bits_behind_the_data_do_not_count(void **state)
{
    (void)state;
    unsigned char bytes[FRAME_BYTES], others[FRAME_BYTES];
    put_frame(bytes, 0, 13, 0xff);
    put_frame(others, 0, 13, 0xff);
    others[OVERHEAD + 1] = 0xf8;
    SCOPED(media_frames_destroy) struct media_frames *one = media_frames_create(1);
    SCOPED(media_frames_destroy) struct media_frames *other = media_frames_create(1);
    struct media_failure why;
    assert_true(add(one, bytes, sizeof bytes, &why) && add(other, others, sizeof others, &why));
    assert_true(media_frame_is_same(media_frames_at(one, 0), media_frames_at(other, 0)));
    assert_memory_equal(media_frames_at(one, 0)->bytes + OVERHEAD, "\xff\xf8", 2);
}

static void a_lone_broken_header_stays_broken(void **state)
{
    (void)state;
    SCOPED(media_frames_destroy) struct media_frames *frames = media_frames_create(10);
    struct media_failure why;
    assert_false(add(frames, "\0\0\0\0", 4, &why));
    unsigned char more[3000] = {0};
    for (int i = 0; i < 3; i++)
        assert_false(add(frames, more, sizeof more, &why));
    assert_string_equal(why.detail, "The MP3 encoder's frame 0 follows a broken one.");
    assert_false(media_frames_finish(frames, &why));
}

// One wrong byte anywhere: an answer, and never more than was there.
static void flipped_bytes_give_an_answer(void **state)
{
    (void)state;
    SCOPED_BUF struct buf bytes;
    lame_stream_encode(&stereo, 5000, 9000, &bytes, NULL);
    uint32_t seed = 7;
    int broken = 0;
    for (int round = 0; round < 3000; round++) {
        seed = seed * 1664525 + 1013904223;
        size_t at = (seed >> 8) % bytes.size;
        char old = bytes.bytes[at];
        bytes.bytes[at] = (char)(seed >> 3);
        SCOPED(media_frames_destroy) struct media_frames *frames = media_frames_create(40);
        struct media_failure why;
        if (!add(frames, bytes.bytes, bytes.size, &why)) {
            assert_string_equal(why.code, "internal");
            broken++;
        }
        bytes.bytes[at] = old;
    }
    assert_in_range(broken, 30, 2970);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_size_of_the_pieces_makes_no_difference),
        cmocka_unit_test(a_frame_can_be_read_as_soon_as_its_last_byte_is_there),
        cmocka_unit_test(dropped_frames_keep_their_numbers),
        cmocka_unit_test(more_frames_than_the_limit_are_a_failure),
        cmocka_unit_test(the_same_sound_is_the_same_wherever_its_data_lies),
        cmocka_unit_test(mpeg_2_has_eight_bits_that_do_not_count),
        cmocka_unit_test(damage_is_a_failure_that_names_the_frame),
        cmocka_unit_test(data_is_gathered_from_where_it_begins),
        cmocka_unit_test(data_inside_that_of_the_frame_before_is_refused),
        cmocka_unit_test(bits_behind_the_data_do_not_count),
        cmocka_unit_test(a_lone_broken_header_stays_broken),
        cmocka_unit_test(flipped_bytes_give_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
