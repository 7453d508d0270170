#include "media/media_boxes.h"
#include "media/media_encode.h"
#include "media/media_samples.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

// A file that is built box by box; begin/end fill in the sizes.
struct maker {
    unsigned char bytes[65536];
    size_t size;
};

static void put_32(struct maker *maker, uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        maker->bytes[maker->size++] = (unsigned char)(value >> shift);
}

static void put_zeros(struct maker *maker, size_t size)
{
    maker->size += size;
}

static size_t begin(struct maker *maker, const char *type)
{
    size_t start = maker->size;
    put_32(maker, 0);
    memcpy(maker->bytes + maker->size, type, 4);
    maker->size += 4;
    return start;
}

static void end(struct maker *maker, size_t start)
{
    size_t size = maker->size;
    maker->size = start;
    put_32(maker, (uint32_t)(size - start));
    maker->size = size;
}

static void put_ftyp(struct maker *maker)
{
    size_t box = begin(maker, "ftyp");
    put_zeros(maker, 8);
    end(maker, box);
}

struct shape {
    const char *handler;
    const char *format;
    bool is_enabled;
    bool has_protection;
    uint32_t first_chunk;
    uint32_t edits; // entries in the edit list
    uint32_t edit_duration, edit_start;
};

static void put_tables(struct maker *maker, const struct shape *shape)
{
    size_t box = begin(maker, "stsd");
    put_32(maker, 0);
    put_32(maker, 1);
    size_t entry = begin(maker, shape->format);
    put_zeros(maker, 28);
    if (shape->has_protection)
        end(maker, begin(maker, "sinf"));
    end(maker, entry);
    end(maker, box);

    // 5 samples of 10, 11, … bytes in chunks of 2, 2 and 1; 1024 ticks each, the last one 100.
    const uint32_t times[] = {0, 2, 4, 1024, 1, 100};
    const uint32_t chunks[] = {0, 2, 1, 2, 1, 3, 1, 1};
    const uint32_t sizes[] = {0, 0, 5, 10, 11, 12, 13, 14};
    const uint32_t offsets[] = {0, 3, shape->first_chunk, shape->first_chunk + 100,
                                shape->first_chunk + 200};
    const struct {
        const char *type;
        const uint32_t *words;
        size_t count;
    } tables[] = {
        {"stts", times, 6}, {"stsc", chunks, 8}, {"stsz", sizes, 8}, {"stco", offsets, 5}};
    for (size_t i = 0; i < 4; i++) {
        box = begin(maker, tables[i].type);
        for (size_t k = 0; k < tables[i].count; k++)
            put_32(maker, tables[i].words[k]);
        end(maker, box);
    }
}

static void put_track(struct maker *maker, const struct shape *shape)
{
    size_t trak = begin(maker, "trak");
    size_t box = begin(maker, "tkhd");
    put_32(maker, shape->is_enabled ? 1 : 0);
    put_zeros(maker, 8);
    put_32(maker, 7);
    put_zeros(maker, 64);
    end(maker, box);
    if (shape->edits > 0) {
        size_t edts = begin(maker, "edts");
        box = begin(maker, "elst");
        put_32(maker, 0);
        put_32(maker, shape->edits);
        for (uint32_t i = 0; i < shape->edits; i++) {
            put_32(maker, shape->edit_duration);
            put_32(maker, shape->edit_start);
            put_32(maker, 0x10000);
        }
        end(maker, box);
        end(maker, edts);
    }
    size_t mdia = begin(maker, "mdia");
    box = begin(maker, "mdhd");
    put_zeros(maker, 12);
    put_32(maker, 44100);
    put_32(maker, 4196);
    put_zeros(maker, 4);
    end(maker, box);
    box = begin(maker, "hdlr");
    put_zeros(maker, 8);
    memcpy(maker->bytes + maker->size, shape->handler, 4);
    put_zeros(maker, 16);
    end(maker, box);
    size_t minf = begin(maker, "minf");
    size_t stbl = begin(maker, "stbl");
    put_tables(maker, shape);
    end(maker, stbl);
    end(maker, minf);
    end(maker, mdia);
    end(maker, trak);
}

static size_t begin_moov(struct maker *maker)
{
    put_ftyp(maker);
    size_t moov = begin(maker, "moov");
    size_t box = begin(maker, "mvhd");
    put_zeros(maker, 12);
    put_32(maker, 1000);
    put_32(maker, 95);
    put_zeros(maker, 80);
    end(maker, box);
    return moov;
}

static void put_mdat(struct maker *maker)
{
    size_t box = begin(maker, "mdat");
    put_zeros(maker, 300);
    end(maker, box);
}

static const struct shape plain = {.handler = "soun", .format = "mp4a", .is_enabled = true};

static int open_file(const struct maker *maker)
{
    struct error err;
    int fd = file_open_scratch("/tmp", &err);
    assert_true(fd >= 0);
    assert_true(file_write_all(fd, maker->bytes, maker->size, &err));
    return fd;
}

static bool read_boxes(const struct maker *maker, struct media_boxes *out,
                       struct media_failure *why)
{
    SCOPED_FD int fd = open_file(maker);
    return media_boxes_read(fd, out, why);
}

static void assert_refused(const struct maker *maker, const char *code)
{
    struct media_boxes boxes;
    struct media_failure why = {0};
    assert_false(read_boxes(maker, &boxes, &why));
    assert_string_equal(why.code, code);
}

static void make_one_track(struct maker *maker, struct shape shape)
{
    *maker = (struct maker){0};
    // The index has the same size whatever the offsets are: lay it out twice.
    for (int round = 0; round < 2; round++) {
        size_t mdat = maker->size;
        *maker = (struct maker){0};
        shape.first_chunk = (uint32_t)mdat + 8;
        size_t moov = begin_moov(maker);
        put_track(maker, &shape);
        end(maker, moov);
    }
    put_mdat(maker);
}

static void a_track_is_read_with_its_tables(void **state)
{
    (void)state;
    struct maker maker;
    make_one_track(&maker, plain);
    struct media_boxes boxes;
    struct media_failure why;
    assert_true(read_boxes(&maker, &boxes, &why));
    assert_int_equal(boxes.track_count, 1);
    assert_int_equal(boxes.timescale, 1000);
    assert_false(boxes.is_fragmented);
    const struct media_track *track = media_boxes_choose_audio(&boxes, "", &why);
    assert_non_null(track);
    assert_int_equal(track->id, 7);
    assert_int_equal(track->timescale, 44100);
    assert_int_equal(track->duration, 4196);
    assert_int_equal(track->sizes.count, 5);
    assert_int_equal(track->offsets.count, 3);
    assert_true(media_samples_can_walk(track));
}

static void samples_are_found_through_their_chunks(void **state)
{
    (void)state;
    struct maker maker;
    make_one_track(&maker, plain);
    struct media_boxes boxes;
    struct media_failure why;
    SCOPED_FD int fd = open_file(&maker);
    assert_true(media_boxes_read(fd, &boxes, &why));
    const struct media_track *track = &boxes.tracks[0];
    int64_t total;
    assert_true(media_samples_total(fd, track, &total, &why));
    assert_int_equal(total, 4 * 1024 + 100);

    SCOPED(media_samples_close)
    struct media_samples *samples = media_samples_open(fd, &boxes, track, NULL);
    static const int64_t places[5] = {0, 10, 100, 112, 200};
    struct media_sample sample;
    int64_t base = 0;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(media_samples_next(samples, &sample, &why), 1);
        base = i == 0 ? sample.offset : base;
        assert_int_equal(sample.offset - base, places[i]);
        assert_int_equal(sample.size_bytes, 10 + i);
        assert_int_equal(sample.time, 1024 * i);
        assert_int_equal(sample.duration, i < 4 ? 1024 : 100);
    }
    assert_int_equal(media_samples_next(samples, &sample, &why), 0);
}

static void a_chunk_beyond_the_end_of_the_file_means_truncated(void **state)
{
    (void)state;
    struct maker maker;
    make_one_track(&maker, plain);
    maker.size -= 150;
    struct media_boxes boxes;
    struct media_failure why;
    SCOPED_FD int fd = open_file(&maker);
    assert_true(media_boxes_read(fd, &boxes, &why));
    assert_false(media_boxes_check_offsets(fd, &boxes, &boxes.tracks[0], &why));
    assert_string_equal(why.code, "truncated");
}

static void the_first_enabled_audio_track_is_chosen(void **state)
{
    (void)state;
    struct maker maker = {0};
    size_t moov = begin_moov(&maker);
    const struct shape video = {.handler = "vide", .format = "avc1", .is_enabled = true};
    const struct shape disabled = {.handler = "soun", .format = "mp4a"};
    const struct shape *const shapes[] = {&video, &disabled, &plain, &plain};
    for (size_t i = 0; i < 4; i++)
        put_track(&maker, shapes[i]);
    end(&maker, moov);
    struct media_boxes boxes;
    struct media_failure why;
    assert_true(read_boxes(&maker, &boxes, &why));
    assert_ptr_equal(media_boxes_choose_audio(&boxes, "", &why), &boxes.tracks[2]);
}

static void a_film_without_sound_has_no_audio(void **state)
{
    (void)state;
    struct maker maker;
    make_one_track(&maker, (struct shape){.handler = "vide", .format = "avc1"});
    struct media_boxes boxes;
    struct media_failure why;
    assert_true(read_boxes(&maker, &boxes, &why));
    assert_null(media_boxes_choose_audio(&boxes, "", &why));
    assert_string_equal(why.code, "no_audio");
}

static void protection_is_seen_in_the_entrys_type_and_in_its_children(void **state)
{
    (void)state;
    const struct shape shapes[] = {
        {.handler = "soun", .format = "enca", .is_enabled = true},
        {.handler = "soun", .format = "drms", .is_enabled = true},
        {.handler = "soun", .format = "mp4a", .is_enabled = true, .has_protection = true},
    };
    for (size_t i = 0; i < 3; i++) {
        struct maker maker;
        make_one_track(&maker, shapes[i]);
        struct media_boxes boxes;
        struct media_failure why;
        assert_true(read_boxes(&maker, &boxes, &why));
        assert_null(media_boxes_choose_audio(&boxes, "", &why));
        assert_string_equal(why.code, "encrypted");
    }
}

static void a_file_of_another_kind_is_told_by_its_first_box(void **state)
{
    (void)state;
    struct maker maker = {0};
    assert_refused(&maker, "empty");
    memcpy(maker.bytes, "RIFF....WAVEfmt ", 16);
    maker.size = 16;
    assert_refused(&maker, "not_media");
    maker.size = 5;
    assert_refused(&maker, "not_media");
}

static void a_file_without_its_index_is_truncated(void **state)
{
    (void)state;
    struct maker maker = {0};
    put_ftyp(&maker);
    assert_refused(&maker, "truncated");
    put_mdat(&maker);
    maker.size -= 10;
    assert_refused(&maker, "truncated");
}

static void an_index_over_the_limit_is_too_complex(void **state)
{
    (void)state;
    struct maker maker = {0};
    put_ftyp(&maker);
    begin(&maker, "moov");
    memcpy(maker.bytes + 16, "\x04\x00\x00\x08", 4); // 64 MiB + 8
    SCOPED_FD int fd = open_file(&maker);
    assert_int_equal(ftruncate(fd, 65 << 20), 0);
    struct media_boxes boxes;
    struct media_failure why;
    assert_false(media_boxes_read(fd, &boxes, &why));
    assert_string_equal(why.code, "too_complex");
}

static void a_table_that_claims_more_than_its_box_holds_is_damaged(void **state)
{
    (void)state;
    struct maker maker;
    make_one_track(&maker, plain);
    unsigned char *table = memmem(maker.bytes, maker.size, "stco", 4);
    assert_non_null(table);
    memset(table + 8, 0xff, 4);
    assert_refused(&maker, "not_media");
}

static void thousands_of_edits_are_too_complex(void **state)
{
    (void)state;
    struct maker maker;
    struct shape shape = plain;
    shape.edits = MEDIA_EDITS;
    make_one_track(&maker, shape);
    struct media_boxes boxes;
    struct media_failure why;
    assert_true(read_boxes(&maker, &boxes, &why));
    shape.edits = MEDIA_EDITS + 1;
    make_one_track(&maker, shape);
    assert_refused(&maker, "too_complex");
}

// 5 samples of one size in 3 chunks that all start where the file does.
static void assert_shared_bytes_end(uint32_t size_bytes, int last_step)
{
    struct maker maker;
    make_one_track(&maker, plain);
    const size_t whole_bytes = maker.size;
    assert_true(whole_bytes > 500 && whole_bytes < 1200);
    unsigned char *sizes = memmem(maker.bytes, maker.size, "stsz", 4);
    unsigned char *offsets = memmem(maker.bytes, maker.size, "stco", 4);
    assert_true(sizes != NULL && offsets != NULL);
    memset(offsets + 12, 0, 12);
    maker.size = (size_t)(sizes - maker.bytes) + 8;
    put_32(&maker, size_bytes);
    maker.size = whole_bytes;
    struct media_boxes boxes;
    struct media_failure why = {0};
    SCOPED_FD int fd = open_file(&maker);
    assert_true(media_boxes_read(fd, &boxes, &why));
    SCOPED(media_samples_close)
    struct media_samples *samples = media_samples_open(fd, &boxes, &boxes.tracks[0], NULL);
    struct media_sample sample;
    int step;
    while ((step = media_samples_next(samples, &sample, &why)) > 0) {
    }
    assert_int_equal(step, last_step);
    assert_string_equal(why.code, last_step < 0 ? "not_media" : "");
}

static void samples_that_share_bytes_are_no_more_than_the_file_holds(void **state)
{
    (void)state;
    assert_shared_bytes_end(100, 0);
    assert_shared_bytes_end(300, -1);
}

static void the_mp3_takes_the_sources_rate_where_it_can(void **state)
{
    (void)state;
    static const int pairs[][2] = {{8000, 8000},   {7350, 8000},    {11025, 11025}, {20000, 22050},
                                   {44100, 44100}, {48000, 48000},  {88200, 44100}, {96000, 48000},
                                   {64000, 48000}, {176400, 44100}, {192000, 48000}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        assert_int_equal(media_encode_format(preset_find("standard"), pairs[i][0], 2).rate_hz,
                         pairs[i][1]);
    assert_int_equal(media_encode_format(preset_find("voice"), 44100, 2).rate_hz, 22050);
    assert_int_equal(media_encode_format(preset_find("voice"), 48000, 6).rate_hz, 24000);
    assert_int_equal(media_encode_format(preset_find("voice"), 16000, 1).rate_hz, 16000);
    assert_int_equal(media_encode_format(preset_find("voice"), 48000, 6).channels, 1);
    assert_int_equal(media_encode_format(preset_find("best"), 48000, 6).channels, 2);
    assert_int_equal(media_encode_format(preset_find("best"), 48000, 1).channels, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_track_is_read_with_its_tables),
        cmocka_unit_test(samples_are_found_through_their_chunks),
        cmocka_unit_test(a_chunk_beyond_the_end_of_the_file_means_truncated),
        cmocka_unit_test(the_first_enabled_audio_track_is_chosen),
        cmocka_unit_test(a_film_without_sound_has_no_audio),
        cmocka_unit_test(protection_is_seen_in_the_entrys_type_and_in_its_children),
        cmocka_unit_test(a_file_of_another_kind_is_told_by_its_first_box),
        cmocka_unit_test(a_file_without_its_index_is_truncated),
        cmocka_unit_test(an_index_over_the_limit_is_too_complex),
        cmocka_unit_test(a_table_that_claims_more_than_its_box_holds_is_damaged),
        cmocka_unit_test(thousands_of_edits_are_too_complex),
        cmocka_unit_test(samples_that_share_bytes_are_no_more_than_the_file_holds),
        cmocka_unit_test(the_mp3_takes_the_sources_rate_where_it_can),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
