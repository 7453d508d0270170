#include "media/media_layout.h"

#include "lame_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FRAMES_LIMIT = 4000 };

static struct media_frames *split(const struct buf *bytes, size_t piece)
{
    struct media_frames *frames = media_frames_create(FRAMES_LIMIT);
    struct media_failure why;
    for (size_t at = 0; at < bytes->size; at += piece) {
        size_t size = bytes->size - at < piece ? bytes->size - at : piece;
        if (!media_frames_add(frames, (const unsigned char *)bytes->bytes + at, size, &why))
            fail_msg("%s", why.detail);
    }
    if (!media_frames_finish(frames, &why))
        fail_msg("%s", why.detail);
    return frames;
}

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

static int64_t lay(const struct media_frames *frames, struct buf *out)
{
    buf_init(out, 64 << 20);
    SCOPED(media_layout_destroy)
    struct media_layout *layout =
        media_layout_create((struct media_layout_output){keep_frame, out});
    struct media_failure why;
    for (int64_t i = media_frames_first(frames); i < media_frames_next(frames); i++) {
        const struct media_frame *frame = media_frames_at(frames, i);
        if (frame->main_data_begin > media_layout_reservoir(layout))
            fail_msg("frame %d has %d reservoir bytes of %d", (int)i,
                     media_layout_reservoir(layout), frame->main_data_begin);
        if (!media_layout_add(layout, frame, &why))
            fail_msg("%s", why.detail);
    }
    assert_true(media_layout_finish(layout, &why));
    return media_layout_raised(layout);
}

static void one_encoders_stream_laid_anew_sounds_the_same(void **state)
{
    (void)state;
    struct lame_setting setting;
    for (size_t i = 0; lame_stream_setting(i, &setting); i++) {
        print_message("# %s\n", lame_stream_name(&setting));
        SCOPED_BUF struct buf before, after, heard_before, heard_after;
        lame_stream_encode(&setting, 0, setting.rate_hz * 6 / 5, &before, NULL);
        SCOPED(media_frames_destroy) struct media_frames *frames = split(&before, 777);
        assert_int_equal(lay(frames, &after), 0);
        assert_int_equal(after.size, before.size);
        SCOPED(media_frames_destroy) struct media_frames *again = split(&after, 5000);
        assert_int_equal(media_frames_next(again), media_frames_next(frames));
        for (int64_t frame = 0; frame < media_frames_next(frames); frame++)
            assert_true(
                media_frame_is_same(media_frames_at(frames, frame), media_frames_at(again, frame)));
        lame_stream_decode((unsigned char *)before.bytes, before.size, &heard_before);
        lame_stream_decode((unsigned char *)after.bytes, after.size, &heard_after);
        assert_true(heard_before.size > 0);
        assert_int_equal(heard_before.size, heard_after.size);
        assert_memory_equal(heard_before.bytes, heard_after.bytes, heard_before.size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_encoders_stream_laid_anew_sounds_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
