#include "lame_stream.h"

#include "media/media_lame_facts.h"
#include "mp3/mp3_lame_header.h"
#include "mp3/mp3_side_info.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct mp3_lame_count count_frames(const struct buf *bytes)
{
    struct mp3_lame_count count = {0};
    struct mp3_frame frame;
    for (size_t at = 0; at < bytes->size; at += (size_t)frame.size_bytes) {
        const unsigned char *start = (unsigned char *)bytes->bytes + at;
        assert_true(mp3_frame_parse(start, &frame));
        mp3_lame_header_note_frame(&count, start, (size_t)frame.size_bytes);
    }
    return count;
}

static struct mp3_lame_facts facts_of(const struct lame_setting *setting)
{
    lame_t lame = lame_stream_open(setting, true);
    struct mp3_lame_facts facts = media_lame_facts(lame);
    lame_close(lame);
    return facts;
}

// The CRC of bytes, as the header counts it for frames.
static unsigned crc_of(const unsigned char *bytes, size_t size)
{
    struct mp3_lame_count count = {0};
    mp3_lame_header_note_frame(&count, bytes, size);
    return count.crc;
}

// Every byte but those that mp3_lame_header.h excepts; of these the CRCs are right.
static void assert_same_header(const unsigned char *ours, const unsigned char *lames, size_t size,
                               size_t tag)
{
    for (size_t i = 0; i < size; i++) {
        bool is_table = i >= tag + 16 && i < tag + 116;
        bool is_tag_crc = i >= tag + 154 && i < tag + 156;
        if (!is_table && !is_tag_crc && ours[i] != lames[i])
            fail_msg("byte %zu of the tag: %02x, LAME has %02x", i - tag, ours[i], lames[i]);
    }
    assert_int_equal(crc_of(ours, tag + 154), ours[tag + 154] << 8 | ours[tag + 155]);
    assert_int_equal(crc_of(lames, tag + 154), lames[tag + 154] << 8 | lames[tag + 155]);
}

static void it_is_the_one_that_lame_writes(void **state)
{
    (void)state;
    struct lame_setting setting;
    int compared = 0;
    for (size_t i = 0; lame_stream_setting(i, &setting); i++) {
        SCOPED_BUF struct buf bytes, header;
        int64_t samples = setting.rate_hz / 2 + (int64_t)i * 7;
        lame_stream_encode(&setting, 0, samples, &bytes, &header);
        print_message("# %s: %zu\n", lame_stream_name(&setting), header.size);
        struct mp3_lame_count count = count_frames(&bytes);
        struct mp3_lame_facts facts = facts_of(&setting);
        unsigned char out[MP3_FRAME_LIMIT_BYTES];
        size_t size = mp3_lame_header_write(&facts, &count, samples, out);
        assert_int_equal(size, mp3_lame_header_size(setting.rate_hz, setting.channels,
                                                    facts.is_constant ? facts.bitrate_kbps : 0));
        if (header.size == 0)
            continue;
        assert_int_equal(size, header.size);
        struct mp3_frame frame;
        assert_true(mp3_frame_parse(out, &frame));
        assert_same_header(out, (unsigned char *)header.bytes, size,
                           4 + (size_t)mp3_side_info_size(&frame));
        compared++;
    }
    assert_true(compared > 100);
}

// A stream without sound: MPEG-1, 44.1 kHz, stereo, whose frames have the sizes of `index`.
static void note(struct mp3_lame_count *count, int index)
{
    unsigned char frame[MP3_FRAME_LIMIT_BYTES] = {0xff, 0xfb, (unsigned char)(index << 4), 0x64};
    struct mp3_frame shape;
    assert_true(mp3_frame_parse(frame, &shape));
    mp3_lame_header_note_frame(count, frame, (size_t)shape.size_bytes);
}

static const struct mp3_lame_facts variable = {
    .version = "LAME3.100", .bitrate_kbps = 32, .quality = 80, .delay = 576};

enum { TAG = 36, TABLE = TAG + 16 };

// Quiet for a third, loud for a third, quiet again: the bytes are not where the time is.
static void check_table(int64_t frames)
{
    struct mp3_lame_count count = {0};
    int64_t *starts = calloc((size_t)frames + 1, sizeof *starts);
    for (int64_t n = 0; n < frames; n++) {
        starts[n] = 417 + count.bytes; // the header's own frame has 128 kbit/s
        note(&count, n * 3 / frames == 1 ? 14 : 1 + (int)(n % 3));
    }
    unsigned char out[MP3_FRAME_LIMIT_BYTES];
    assert_int_equal(mp3_lame_header_write(&variable, &count, frames * 1152 - 2000, out), 417);
    int64_t total = 417 + count.bytes;
    assert_int_equal(out[TABLE], 0);
    for (int percent = 1; percent < 100; percent++) {
        int64_t start = starts[percent * frames / 100];
        int64_t told = out[TABLE + percent] * total / 256;
        // Not behind the frame, nor farther in front of it than the steps of the table; the frames
        // between two noted ones make a difference of a two hundredth of a step.
        assert_in_range(start - told + total / 2560, 0, total / 256 + total / 1280 + 1);
    }
    free(starts);
}

static void the_seek_table_tells_bytes_by_time(void **state)
{
    (void)state;
    static const int64_t lengths[] = {1,    2,    50,   99,   100,   101,
                                      1023, 1024, 1025, 2048, 20000, 100003};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        print_message("# %d frames\n", (int)lengths[i]);
        check_table(lengths[i]);
    }
}

static void what_cannot_be_the_length_is_refused(void **state)
{
    (void)state;
    struct mp3_lame_count count = {0};
    for (int n = 0; n < 10; n++)
        note(&count, 9);
    unsigned char out[MP3_FRAME_LIMIT_BYTES];
    int64_t most = 10 * 1152 - 576;
    assert_int_equal(mp3_lame_header_write(&variable, &count, most + 1, out), 0);
    assert_int_equal(mp3_lame_header_write(&variable, &count, most - 4096, out), 0);
    assert_int_equal(mp3_lame_header_write(&variable, &count, most, out), 417);
    assert_memory_equal(out + TAG + 120 + 21, "\x24\x00\x00", 3);
    assert_int_equal(mp3_lame_header_write(&variable, &count, most - 4095, out), 417);
    assert_memory_equal(out + TAG + 120 + 21, "\x24\x0f\xff", 3);
}

static void there_is_a_size_for_every_rate_of_mp3_and_for_no_other(void **state)
{
    (void)state;
    static const int rates_hz[] = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000};
    for (size_t i = 0; i < 9; i++)
        for (int channels = 1; channels <= 2; channels++)
            for (int kbps = 0; kbps <= 320; kbps += 8) {
                int highest = rates_hz[i] < 32000 ? 160 : 320;
                size_t size = mp3_lame_header_size(rates_hz[i], channels, kbps);
                assert_int_equal(size > 0, kbps <= highest);
                if (size > 0)
                    assert_in_range(size, 160, MP3_FRAME_LIMIT_BYTES);
            }
    assert_int_equal(mp3_lame_header_size(44100, 2, 0), 417);
    assert_int_equal(mp3_lame_header_size(44100, 2, 32), 208); // 104 are too few
    assert_int_equal(mp3_lame_header_size(44000, 2, 0), 0);
    assert_int_equal(mp3_lame_header_size(0, 1, 128), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_one_that_lame_writes),
        cmocka_unit_test(the_seek_table_tells_bytes_by_time),
        cmocka_unit_test(what_cannot_be_the_length_is_refused),
        cmocka_unit_test(there_is_a_size_for_every_rate_of_mp3_and_for_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
