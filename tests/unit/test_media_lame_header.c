#include "lame_stream.h"

#include "media/media_lame_facts.h"
#include "mp3/mp3_lame_header.h"
#include "mp3/mp3_side_info.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
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

// Every byte but those that the header of mp3_lame_header.h excepts.
static void assert_same_header(const unsigned char *ours, const unsigned char *lames, size_t size,
                               size_t tag)
{
    for (size_t i = 0; i < size; i++) {
        bool is_table = i >= tag + 16 && i < tag + 116;
        bool is_tag_crc = i >= tag + 154 && i < tag + 156;
        if (is_table || is_tag_crc) {
            continue;
        }
        if (ours[i] != lames[i])
            fail_msg("byte %zu (tag %+d): %02x, LAME has %02x", i, (int)(i - tag), ours[i],
                     lames[i]);
    }
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_one_that_lame_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
