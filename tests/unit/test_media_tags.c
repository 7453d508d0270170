#include "media/media_tags.h"

#include "base/alloc.h"
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

// A reader of its own for ID3v2.3, which knows nothing of how the tag was made.

struct frame {
    char name[5];
    const unsigned char *body;
    size_t size;
};

static uint32_t number_32(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

// Reads the frame at *at; false at the end, where nothing may be left over.
static bool next_frame(const unsigned char *bytes, size_t size, size_t *at, struct frame *out)
{
    if (*at == size)
        return false;
    assert_true(size - *at > 10);
    const unsigned char *head = bytes + *at;
    memcpy(out->name, head, 4);
    out->name[4] = '\0';
    out->size = number_32(head + 4);
    out->body = head + 10;
    assert_int_equal(head[8], 0);
    assert_int_equal(head[9], 0);
    assert_true(out->size > 0 && out->size <= size - *at - 10);
    *at += 10 + out->size;
    return true;
}

static const unsigned char *frames_of(const struct buf *tag, size_t *out_size)
{
    const unsigned char *bytes = (const unsigned char *)tag->bytes;
    assert_true(tag->size > 10);
    assert_memory_equal(bytes, "ID3\3\0\0", 6);
    for (int i = 6; i < 10; i++)
        assert_true(bytes[i] < 0x80);
    *out_size = (size_t)bytes[6] << 21 | (size_t)bytes[7] << 14 | (size_t)bytes[8] << 7 | bytes[9];
    assert_int_equal(*out_size + 10, tag->size);
    return bytes + 10;
}

static bool find(const struct buf *tag, const char *name, struct frame *out)
{
    size_t size, at = 0;
    const unsigned char *bytes = frames_of(tag, &size);
    while (next_frame(bytes, size, &at, out))
        if (strcmp(out->name, name) == 0)
            return true;
    return false;
}

static unsigned count(const struct buf *tag, const char *name)
{
    size_t size, at = 0;
    unsigned found = 0;
    struct frame frame;
    const unsigned char *bytes = frames_of(tag, &size);
    while (next_frame(bytes, size, &at, &frame))
        found += strcmp(frame.name, name) == 0;
    return found;
}

// What stands in UTF-16 behind a byte order mark, for texts of ASCII.
static void check_utf16(const unsigned char *bytes, size_t size, const char *text)
{
    assert_int_equal(size, 2 + 2 * strlen(text));
    assert_memory_equal(bytes, "\xff\xfe", 2);
    for (size_t i = 0; text[i] != '\0'; i++) {
        assert_int_equal(bytes[2 + 2 * i], (unsigned char)text[i]);
        assert_int_equal(bytes[3 + 2 * i], 0);
    }
}

static void check_text(const struct buf *tag, const char *name, const char *text)
{
    struct frame frame;
    assert_true(find(tag, name, &frame));
    assert_int_equal(count(tag, name), 1);
    assert_int_equal(frame.body[0], 1);
    check_utf16(frame.body + 1, frame.size - 1, text);
}

static void write_tag(const struct media_metadata *metadata, const char *title, struct buf *out)
{
    buf_init(out, MEDIA_TAGS_BYTES);
    media_tags_write(metadata, title, out);
}

static void who_knows_nothing_gets_no_tag(void **state)
{
    (void)state;
    SCOPED_BUF struct buf tag;
    const struct media_metadata nothing = {.fd = -1};
    write_tag(&nothing, NULL, &tag);
    assert_int_equal(tag.size, 0);
    media_tags_write(&nothing, "", &tag);
    assert_int_equal(tag.size, 0);
}

static void each_text_stands_in_its_frame(void **state)
{
    (void)state;
    static const struct {
        enum media_text text;
        char value[16];
        const char *frame;
    } rows[] = {{MEDIA_TITLE, "Title", "TIT2"},       {MEDIA_ARTIST, "Artist", "TPE1"},
                {MEDIA_ALBUM, "Album", "TALB"},       {MEDIA_ALBUM_ARTIST, "Band", "TPE2"},
                {MEDIA_COMPOSER, "Composer", "TCOM"}, {MEDIA_GENRE, "Jazz", "TCON"},
                {MEDIA_TRACK_NUMBER, "3/12", "TRCK"}, {MEDIA_DISC_NUMBER, "1/2", "TPOS"},
                {MEDIA_COPYRIGHT, "2019 me", "TCOP"}};
    struct media_metadata metadata = {.fd = -1};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        metadata.texts[rows[i].text] = alloc_text(rows[i].value);
    SCOPED_BUF struct buf tag;
    write_tag(&metadata, "another title", &tag);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_text(&tag, rows[i].frame, rows[i].value);
    media_metadata_finish(&metadata);
}

static void the_given_title_stands_in_for_the_files_own(void **state)
{
    (void)state;
    SCOPED_BUF struct buf tag;
    const struct media_metadata nothing = {.fd = -1};
    write_tag(&nothing, "holiday\n", &tag);
    check_text(&tag, "TIT2", "holiday ");
}

static void letters_beyond_16_bits_are_pairs(void **state)
{
    (void)state;
    SCOPED_BUF struct buf utf16;
    buf_init(&utf16, 64);
    media_tags_utf16("\xf0\x9f\x8e\xb5\xc3\xbc\xff", &utf16);
    assert_int_equal(utf16.size, 10);
    assert_memory_equal(utf16.bytes, "\xff\xfe\x3c\xd8\xb5\xdf\xfc\x00\xfd\xff", 10);
}

static void a_date_is_split_as_far_as_it_is_one(void **state)
{
    (void)state;
    static const struct {
        const char *date, *year, *day;
    } rows[] = {{"2019-05-03T07:00:00Z", "2019", "0305"},
                {"2019", "2019", NULL},
                {"2019-05", "2019", NULL},
                {"2019-00-03", "2019", NULL},
                {"2019-05-00", "2019", NULL},
                {"2019-05-32", "2019", NULL},
                {"201", NULL, NULL},
                {"20190503", NULL, NULL},
                {"May 2019", NULL, NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct media_metadata metadata = {.fd = -1};
        metadata.texts[MEDIA_DATE] = alloc_text(rows[i].date);
        SCOPED_BUF struct buf tag;
        write_tag(&metadata, "x", &tag);
        if (rows[i].year != NULL)
            check_text(&tag, "TYER", rows[i].year);
        if (rows[i].day != NULL)
            check_text(&tag, "TDAT", rows[i].day);
        assert_int_equal(count(&tag, "TYER"), rows[i].year != NULL);
        assert_int_equal(count(&tag, "TDAT"), rows[i].day != NULL);
        media_metadata_finish(&metadata);
    }
}

static void a_comment_has_a_language_and_no_description(void **state)
{
    (void)state;
    static const char *const frames[] = {"COMM", "USLT"};
    struct media_metadata metadata = {.fd = -1};
    metadata.texts[MEDIA_COMMENT] = alloc_text("two\nlines");
    metadata.texts[MEDIA_LYRICS] = alloc_text("two\nlines");
    SCOPED_BUF struct buf tag;
    write_tag(&metadata, NULL, &tag);
    for (size_t i = 0; i < 2; i++) {
        struct frame frame;
        assert_true(find(&tag, frames[i], &frame));
        assert_memory_equal(frame.body, "\1und\xff\xfe\0\0", 8);
        check_utf16(frame.body + 8, frame.size - 8, "two\nlines");
    }
    media_metadata_finish(&metadata);
}

static int scratch_with(const char *bytes, size_t size)
{
    struct error err;
    int fd = file_open_scratch(P_tmpdir, &err);
    assert_true(fd >= 0 && file_write_all(fd, bytes, size, &err));
    return fd;
}

static void a_cover_is_taken_from_its_place_in_the_file(void **state)
{
    (void)state;
    const size_t size = 100000;
    SCOPED(free) char *bytes = alloc_zeroed(1, size + 3);
    for (size_t i = 0; i < size + 3; i++)
        bytes[i] = (char)(i * 7);
    SCOPED_FD int fd = scratch_with(bytes, size + 3);
    const struct media_metadata metadata = {
        .fd = fd, .cover = {.mime = "image/png", .offset = 3, .size_bytes = (uint32_t)size}};
    SCOPED_BUF struct buf tag;
    struct frame frame;
    write_tag(&metadata, NULL, &tag);
    assert_true(find(&tag, "APIC", &frame));
    static const char head[] = "\0image/png\0\3"; // and the NUL of an empty description
    assert_memory_equal(frame.body, head, sizeof head);
    assert_int_equal(frame.size, sizeof head + size);
    assert_memory_equal(frame.body + sizeof head, bytes + 3, size);
}

static void a_cover_that_is_gone_is_left_out_alone(void **state)
{
    (void)state;
    SCOPED_FD int fd = scratch_with("short", 5);
    const struct media_metadata metadata = {
        .fd = fd, .cover = {.mime = "image/png", .offset = 0, .size_bytes = 40000}};
    SCOPED_BUF struct buf tag;
    write_tag(&metadata, "title", &tag);
    assert_int_equal(count(&tag, "APIC"), 0);
    check_text(&tag, "TIT2", "title");
}

static void add_chapters(struct media_metadata *metadata, unsigned number)
{
    metadata->chapters = alloc_zeroed(number, sizeof *metadata->chapters);
    metadata->chapter_count = number;
    for (unsigned i = 0; i < number; i++)
        metadata->chapters[i] = (struct media_chapter){
            .start_ms = i * 1000, .end_ms = (i + 1) * 1000, .title = alloc_format("t%u", i)};
}

static void chapters_have_times_titles_and_a_table(void **state)
{
    (void)state;
    struct media_metadata metadata = {.fd = -1};
    add_chapters(&metadata, 2);
    metadata.chapters[1].end_ms = INT64_MAX;
    SCOPED_BUF struct buf tag;
    struct frame frame, title;
    write_tag(&metadata, NULL, &tag);
    assert_true(find(&tag, "CTOC", &frame));
    assert_int_equal(frame.size, 14);
    assert_memory_equal(frame.body, "toc\0\3\2ch0\0ch1", 14);
    assert_true(find(&tag, "CHAP", &frame));
    assert_memory_equal(frame.body, "ch0\0\0\0\0\0\0\0\3\xe8\xff\xff\xff\xff\xff\xff\xff\xff", 20);
    size_t at = 0;
    assert_true(next_frame(frame.body + 20, frame.size - 20, &at, &title));
    assert_string_equal(title.name, "TIT2");
    check_utf16(title.body + 1, title.size - 1, "t0");
    assert_false(next_frame(frame.body + 20, frame.size - 20, &at, &title));
    assert_int_equal(count(&tag, "CHAP"), 2);
    media_metadata_finish(&metadata);
}

// The top table names the others, they name the chapters; one names 255 at most.
static void more_chapters_than_a_table_holds_have_several(void **state)
{
    (void)state;
    struct media_metadata metadata = {.fd = -1};
    add_chapters(&metadata, MEDIA_CHAPTERS);
    SCOPED_BUF struct buf tag;
    struct frame frame;
    write_tag(&metadata, NULL, &tag);
    assert_int_equal(count(&tag, "CTOC"), 5);
    assert_int_equal(count(&tag, "CHAP"), MEDIA_CHAPTERS);
    size_t size, at = 0;
    unsigned listed = 0, tables = 0;
    const unsigned char *bytes = frames_of(&tag, &size);
    while (next_frame(bytes, size, &at, &frame)) {
        if (strcmp(frame.name, "CTOC") != 0)
            continue;
        const unsigned char *entry = frame.body + strlen((const char *)frame.body) + 1;
        assert_int_equal(entry[0], tables == 0 ? 3 : 1);
        unsigned entries = entry[1];
        for (entry += 2; entries > 0; entries--) {
            char expected[16];
            snprintf(expected, sizeof expected, tables == 0 ? "toc%u" : "ch%u", listed++);
            assert_string_equal((const char *)entry, expected);
            entry += strlen(expected) + 1;
        }
        assert_ptr_equal(entry, frame.body + frame.size);
        listed = tables++ == 0 ? 0 : listed;
    }
    assert_int_equal(listed, MEDIA_CHAPTERS);
    media_metadata_finish(&metadata);
}

static void the_fullest_metadata_fit_the_tag(void **state)
{
    (void)state;
    struct media_metadata metadata = {.fd = -1};
    SCOPED(free) char *longest = alloc_zeroed(1, MEDIA_LONG_TEXT_BYTES + 1);
    memset(longest, 'x', MEDIA_LONG_TEXT_BYTES);
    for (int i = 0; i < MEDIA_TEXTS; i++)
        metadata.texts[i] = alloc_text(longest);
    add_chapters(&metadata, MEDIA_CHAPTERS);
    for (unsigned i = 0; i < MEDIA_CHAPTERS; i++) {
        free(metadata.chapters[i].title);
        metadata.chapters[i].title = alloc_format("%.*s", MEDIA_TAG_BYTES - 1, longest);
    }
    SCOPED(free) char *picture = alloc_zeroed(1, MEDIA_COVER_BYTES);
    SCOPED_FD int fd = scratch_with(picture, MEDIA_COVER_BYTES);
    metadata.fd = fd;
    metadata.cover = (struct media_cover){.mime = "image/jpeg", .size_bytes = MEDIA_COVER_BYTES};
    SCOPED_BUF struct buf tag;
    write_tag(&metadata, NULL, &tag);
    assert_int_equal(count(&tag, "CHAP"), MEDIA_CHAPTERS);
    assert_int_equal(count(&tag, "APIC"), 1);
    media_metadata_finish(&metadata);
}

static void a_cut_moves_and_clips_the_chapters(void **state)
{
    (void)state;
    struct media_metadata metadata = {.fd = -1};
    add_chapters(&metadata, 5); // 0-1 1-2 2-3 3-4 4-5 s
    media_metadata_cut(&metadata, 1500, 3000);
    assert_int_equal(metadata.chapter_count, 2);
    assert_string_equal(metadata.chapters[0].title, "t1");
    assert_int_equal(metadata.chapters[0].start_ms, 0);
    assert_int_equal(metadata.chapters[0].end_ms, 500);
    assert_string_equal(metadata.chapters[1].title, "t2");
    assert_int_equal(metadata.chapters[1].start_ms, 500);
    assert_int_equal(metadata.chapters[1].end_ms, 1500);
    media_metadata_cut(&metadata, 0, 0);
    assert_int_equal(metadata.chapter_count, 2);
    media_metadata_cut(&metadata, 9000, 0);
    assert_int_equal(metadata.chapter_count, 0);
    media_metadata_finish(&metadata);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_knows_nothing_gets_no_tag),
        cmocka_unit_test(each_text_stands_in_its_frame),
        cmocka_unit_test(the_given_title_stands_in_for_the_files_own),
        cmocka_unit_test(letters_beyond_16_bits_are_pairs),
        cmocka_unit_test(a_date_is_split_as_far_as_it_is_one),
        cmocka_unit_test(a_comment_has_a_language_and_no_description),
        cmocka_unit_test(a_cover_is_taken_from_its_place_in_the_file),
        cmocka_unit_test(a_cover_that_is_gone_is_left_out_alone),
        cmocka_unit_test(chapters_have_times_titles_and_a_table),
        cmocka_unit_test(more_chapters_than_a_table_holds_have_several),
        cmocka_unit_test(the_fullest_metadata_fit_the_tag),
        cmocka_unit_test(a_cut_moves_and_clips_the_chapters),
    };
    return cmocka_run_group_tests_name("media_tags", tests, NULL, NULL);
}
