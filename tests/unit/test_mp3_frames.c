#include "mp3/mp3_frames.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

// MPEG-1 layer III, 128 kbit/s, 44.1 kHz, stereo, no CRC: 417 bytes, 1152 samples.
static const unsigned char header_128[4] = {0xff, 0xfb, 0x90, 0x00};
enum { FRAME_BYTES = 417, SIDE_BYTES = 32 };

static int open_file(const void *bytes, size_t size)
{
    struct error err;
    int fd = file_open_scratch("/tmp", &err);
    assert_true(fd >= 0);
    assert_true(file_write_all(fd, bytes, size, &err));
    return fd;
}

static void put_frame(unsigned char *at)
{
    memset(at, 0, FRAME_BYTES);
    memcpy(at, header_128, 4);
}

static void put_xing(unsigned char *at, uint32_t frames, int delay, int padding)
{
    put_frame(at);
    unsigned char *tag = at + 4 + SIDE_BYTES;
    memcpy(tag, "Xing", 4);
    tag[7] = 1;
    tag[8] = (unsigned char)(frames >> 24);
    tag[9] = (unsigned char)(frames >> 16);
    tag[10] = (unsigned char)(frames >> 8);
    tag[11] = (unsigned char)frames;
    memcpy(tag + 12, "LAME3.100", 9);
    tag[12 + 21] = (unsigned char)(delay >> 4);
    tag[12 + 22] = (unsigned char)(delay << 4 | padding >> 8);
    tag[12 + 23] = (unsigned char)padding;
}

// 3 audio frames behind a LAME header: 3456 samples less 576 + 880.
static void put_file(unsigned char bytes[4 * FRAME_BYTES])
{
    put_xing(bytes, 3, 576, 880);
    for (int i = 1; i < 4; i++)
        put_frame(bytes + i * FRAME_BYTES);
}

static bool check(const void *bytes, size_t size, struct mp3_summary *out, struct error *err)
{
    SCOPED_FD int fd = open_file(bytes, size);
    return mp3_check_file(fd, out, err);
}

static void a_header_is_read(void **state)
{
    (void)state;
    struct mp3_frame frame;
    assert_true(mp3_frame_parse(header_128, &frame));
    assert_int_equal(frame.version, 10);
    assert_int_equal(frame.sample_rate_hz, 44100);
    assert_int_equal(frame.channels, 2);
    assert_int_equal(frame.bitrate_kbps, 128);
    assert_int_equal(frame.size_bytes, 417);
    assert_int_equal(frame.samples, 1152);
    assert_false(frame.has_crc);
}

static void mpeg2_and_25_have_half_the_samples_and_their_own_rates(void **state)
{
    (void)state;
    struct mp3_frame frame;
    const unsigned char mpeg2[4] = {0xff, 0xf3, 0x82, 0xc0}; // 64 kbit/s, 22.05 kHz, padded, mono
    assert_true(mp3_frame_parse(mpeg2, &frame));
    assert_int_equal(frame.version, 20);
    assert_int_equal(frame.sample_rate_hz, 22050);
    assert_int_equal(frame.size_bytes, 72 * 64000 / 22050 + 1);
    assert_int_equal(frame.samples, 576);
    assert_int_equal(frame.channels, 1);
    const unsigned char mpeg25[4] = {0xff, 0xe3, 0x18, 0xc0}; // 8 kbit/s, 8 kHz
    assert_true(mp3_frame_parse(mpeg25, &frame));
    assert_int_equal(frame.version, 25);
    assert_int_equal(frame.sample_rate_hz, 8000);
    assert_int_equal(frame.size_bytes, 72);
}

static void what_is_no_layer_three_header_is_refused(void **state)
{
    (void)state;
    static const unsigned char headers[][4] = {
        {0x00, 0xfb, 0x90, 0x00}, // no sync
        {0xff, 0xeb, 0x90, 0x00}, // reserved version
        {0xff, 0xfd, 0x90, 0x00}, // layer II
        {0xff, 0xfb, 0x00, 0x00}, // free format
        {0xff, 0xfb, 0xf0, 0x00}, // forbidden bit rate
        {0xff, 0xfb, 0x9c, 0x00}, // reserved rate
        {0xff, 0xfb, 0x90, 0x02}, // reserved emphasis
    };
    struct mp3_frame frame;
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        assert_false(mp3_frame_parse(headers[i], &frame));
}

static void delay_and_padding_are_taken_off(void **state)
{
    (void)state;
    unsigned char bytes[4 * FRAME_BYTES];
    put_file(bytes);
    struct mp3_summary summary;
    struct error err;
    assert_true(check(bytes, sizeof bytes, &summary, &err));
    assert_int_equal(summary.frames, 3);
    assert_int_equal(summary.samples, 3 * 1152 - 576 - 880);
    assert_int_equal(summary.duration_ms, 45);
    assert_true(summary.has_lame_header);
    assert_int_equal(summary.size_bytes, sizeof bytes);
}

static void an_id3_tag_in_front_is_passed_over(void **state)
{
    (void)state;
    unsigned char bytes[10 + 300 + 4 * FRAME_BYTES] = {'I', 'D', '3', 3, 0, 0, 0, 0, 2, 44};
    put_file(bytes + 310);
    struct mp3_summary summary;
    struct error err;
    assert_true(check(bytes, sizeof bytes, &summary, &err));
    assert_int_equal(summary.frames, 3);
}

static void assert_refused(const unsigned char *bytes, size_t size, const char *part_of_text)
{
    struct mp3_summary summary;
    struct error err = {0};
    assert_false(check(bytes, size, &summary, &err));
    assert_int_equal(err.kind, ERROR_INVALID);
    if (strstr(err.text, part_of_text) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, part_of_text);
}

static void a_foreign_byte_between_frames_is_named_by_its_offset(void **state)
{
    (void)state;
    unsigned char bytes[4 * FRAME_BYTES + 1];
    put_file(bytes);
    memmove(bytes + 2 * FRAME_BYTES + 1, bytes + 2 * FRAME_BYTES, 2 * FRAME_BYTES);
    bytes[2 * FRAME_BYTES] = 0;
    assert_refused(bytes, sizeof bytes, "byte 834");
}

static void bytes_behind_the_last_frame_are_refused(void **state)
{
    (void)state;
    unsigned char bytes[4 * FRAME_BYTES + 2] = {0};
    put_file(bytes);
    assert_refused(bytes, sizeof bytes, "byte 1668");
}

static void a_cut_last_frame_is_refused(void **state)
{
    (void)state;
    unsigned char bytes[4 * FRAME_BYTES];
    put_file(bytes);
    assert_refused(bytes, sizeof bytes - 1, "cut");
}

static void a_missing_frame_is_told_by_the_header(void **state)
{
    (void)state;
    unsigned char bytes[4 * FRAME_BYTES];
    put_file(bytes);
    assert_refused(bytes, 3 * FRAME_BYTES, "announces 3");
}

static void a_change_of_rate_or_channels_is_refused(void **state)
{
    (void)state;
    unsigned char bytes[4 * FRAME_BYTES];
    put_file(bytes);
    bytes[3 * FRAME_BYTES + 3] = 0xc0;
    assert_refused(bytes, sizeof bytes, "change");
}

static void data_that_begins_before_the_start_is_refused(void **state)
{
    (void)state;
    unsigned char bytes[4 * FRAME_BYTES];
    put_file(bytes);
    bytes[FRAME_BYTES + 4] = 1; // main_data_begin 2 in the first audio frame
    assert_refused(bytes, sizeof bytes, "before what is there");
}

static void a_later_frame_may_use_the_reservoir(void **state)
{
    (void)state;
    unsigned char bytes[4 * FRAME_BYTES];
    put_file(bytes);
    bytes[2 * FRAME_BYTES + 4] = 0xbe; // 381 = 417 - 4 - 32: all that the first frame left
    bytes[2 * FRAME_BYTES + 5] = 0x80;
    struct mp3_summary summary;
    struct error err;
    assert_true(check(bytes, sizeof bytes, &summary, &err));
    bytes[2 * FRAME_BYTES + 4] = 0xbf; // 382
    bytes[2 * FRAME_BYTES + 5] = 0x00;
    assert_refused(bytes, sizeof bytes, "before what is there");
}

static void data_inside_that_of_the_frame_before_is_refused(void **state)
{
    (void)state;
    unsigned char bytes[4 * FRAME_BYTES];
    put_file(bytes);
    bytes[FRAME_BYTES + 4 + 2] = 0x03; // the first frame uses 800 bits: 281 bytes are left of 381
    bytes[FRAME_BYTES + 4 + 3] = 0x20;
    bytes[2 * FRAME_BYTES + 4] = 0x8c; // 281
    bytes[2 * FRAME_BYTES + 5] = 0x80;
    struct mp3_summary summary;
    struct error err;
    assert_true(check(bytes, sizeof bytes, &summary, &err));
    bytes[2 * FRAME_BYTES + 4] = 0x8d; // 282
    bytes[2 * FRAME_BYTES + 5] = 0x00;
    assert_refused(bytes, sizeof bytes, "before what is there");
}

static void side_information_that_cannot_be_is_refused(void **state)
{
    (void)state;
    unsigned char bytes[4 * FRAME_BYTES];
    put_file(bytes);
    // The first granule's big_values at bit 32: 511 of at most 288.
    bytes[FRAME_BYTES + 4 + 4] = 0xff;
    bytes[FRAME_BYTES + 4 + 5] = 0x80;
    assert_refused(bytes, sizeof bytes, "damaged side information");
}

static void data_longer_than_its_room_is_refused(void **state)
{
    (void)state;
    unsigned char bytes[4 * FRAME_BYTES];
    put_file(bytes);
    // part2_3_length of the first granule starts at bit 20 of the side information: 4095 bits.
    bytes[FRAME_BYTES + 4 + 2] = 0x0f;
    bytes[FRAME_BYTES + 4 + 3] = 0xff;
    assert_refused(bytes, sizeof bytes, "longer than its room");
}

static void an_empty_file_and_a_lone_header_are_no_mp3(void **state)
{
    (void)state;
    unsigned char bytes[FRAME_BYTES] = {0};
    assert_refused(bytes, 0, "no MP3 frame");
    put_xing(bytes, 0, 576, 0);
    assert_refused(bytes, sizeof bytes, "no MP3 frame");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_is_read),
        cmocka_unit_test(mpeg2_and_25_have_half_the_samples_and_their_own_rates),
        cmocka_unit_test(what_is_no_layer_three_header_is_refused),
        cmocka_unit_test(delay_and_padding_are_taken_off),
        cmocka_unit_test(an_id3_tag_in_front_is_passed_over),
        cmocka_unit_test(a_foreign_byte_between_frames_is_named_by_its_offset),
        cmocka_unit_test(bytes_behind_the_last_frame_are_refused),
        cmocka_unit_test(a_cut_last_frame_is_refused),
        cmocka_unit_test(a_missing_frame_is_told_by_the_header),
        cmocka_unit_test(a_change_of_rate_or_channels_is_refused),
        cmocka_unit_test(data_that_begins_before_the_start_is_refused),
        cmocka_unit_test(a_later_frame_may_use_the_reservoir),
        cmocka_unit_test(data_inside_that_of_the_frame_before_is_refused),
        cmocka_unit_test(side_information_that_cannot_be_is_refused),
        cmocka_unit_test(data_longer_than_its_room_is_refused),
        cmocka_unit_test(an_empty_file_and_a_lone_header_are_no_mp3),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
