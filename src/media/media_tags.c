// ID3v2.3: http://id3.org/id3v2.3.0, and its Chapter Frame Addendum 1.0. A frame's size is a plain
// number there, only the tag's own is written in 4 x 7 bits; nothing is unsynchronised.
#include "media/media_tags.h"

#include "base/file.h"
#include "base/text.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
    HEADER_BYTES = 10,
    ENCODING_LATIN1 = 0,
    ENCODING_UTF16 = 1,
    FRONT_COVER = 3,
    TOP_LEVEL = 2,
    ORDERED = 1,
    CONTENTS_LARGEST = 255, // entries of one CTOC
    PIECE_BYTES = 16384,
};

// The frames that hold one text and nothing else.
static const struct {
    enum media_text text;
    const char frame[5];
} text_frames[] = {
    {MEDIA_ARTIST, "TPE1"},      {MEDIA_ALBUM, "TALB"},     {MEDIA_ALBUM_ARTIST, "TPE2"},
    {MEDIA_COMPOSER, "TCOM"},    {MEDIA_GENRE, "TCON"},     {MEDIA_TRACK_NUMBER, "TRCK"},
    {MEDIA_DISC_NUMBER, "TPOS"}, {MEDIA_COPYRIGHT, "TCOP"},
};

// One code point of text that is known to be UTF-8.
static uint32_t next_code_point(const unsigned char **at)
{
    const unsigned char *p = *at;
    unsigned more = p[0] < 0x80 ? 0 : p[0] < 0xe0 ? 1 : p[0] < 0xf0 ? 2 : 3;
    static const unsigned char masks[4] = {0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code_point = p[0] & masks[more];
    for (unsigned i = 1; i <= more; i++)
        code_point = code_point << 6 | (p[i] & 0x3f);
    *at = p + more + 1;
    return code_point;
}

static void append_unit(struct buf *out, uint32_t unit)
{
    const unsigned char bytes[2] = {(unsigned char)unit, (unsigned char)(unit >> 8)};
    buf_append(out, bytes, sizeof bytes);
}

static void append_utf16(const char *text, struct buf *out)
{
    append_unit(out, 0xfeff);
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0';) {
        uint32_t code_point = next_code_point(&at);
        if (code_point >= 0x10000) {
            append_unit(out, 0xd800 + ((code_point - 0x10000) >> 10));
            append_unit(out, 0xdc00 + ((code_point - 0x10000) & 0x3ff));
        } else {
            append_unit(out, code_point);
        }
    }
}

void media_tags_utf16(const char *text, struct buf *out)
{
    char clean[MEDIA_TAG_BYTES];
    text_clean(clean, sizeof clean, text, strlen(text));
    append_utf16(clean, out);
}

static void append_byte(struct buf *out, int value)
{
    const unsigned char byte = (unsigned char)value;
    buf_append(out, &byte, 1);
}

static void append_32(struct buf *out, uint32_t value)
{
    const unsigned char bytes[4] = {(unsigned char)(value >> 24), (unsigned char)(value >> 16),
                                    (unsigned char)(value >> 8), (unsigned char)value};
    buf_append(out, bytes, sizeof bytes);
}

// A frame's header with a size that end_frame fills in; returns where it begins.
static size_t begin_frame(struct buf *out, const char *frame)
{
    size_t start = out->size;
    buf_append(out, frame, 4);
    append_32(out, 0);
    append_byte(out, 0); // two bytes of flags
    append_byte(out, 0);
    return start;
}

static void end_frame(struct buf *out, size_t start)
{
    size_t size = out->size - start - HEADER_BYTES;
    for (int i = 0; i < 4; i++)
        out->bytes[start + 4 + i] = (char)(unsigned char)(size >> (24 - 8 * i));
}

static void append_text_frame(struct buf *out, const char *frame, const char *text)
{
    size_t start = begin_frame(out, frame);
    append_byte(out, ENCODING_UTF16);
    append_utf16(text, out);
    end_frame(out, start);
}

// COMM and USLT: a language, an empty description, the text. What language it is in, no MP4 says.
static void append_long_text_frame(struct buf *out, const char *frame, const char *text)
{
    size_t start = begin_frame(out, frame);
    append_byte(out, ENCODING_UTF16);
    buf_append(out, "und", 3);
    append_unit(out, 0xfeff);
    append_unit(out, 0);
    append_utf16(text, out);
    end_frame(out, start);
}

static bool are_digits(const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!isdigit((unsigned char)text[i]))
            return false;
    return true;
}

// "2019-05-03T…": TYER holds the year's four digits, TDAT the day and the month ("0305").
static void append_date(struct buf *out, const char *date)
{
    char year[5] = "", day[5] = "";
    if (!are_digits(date, 4) || isdigit((unsigned char)date[4]))
        return;
    memcpy(year, date, 4);
    append_text_frame(out, "TYER", year);
    if (date[4] != '-' || !are_digits(date + 5, 2) || date[7] != '-' || !are_digits(date + 8, 2))
        return;
    memcpy(day, date + 8, 2);
    memcpy(day + 2, date + 5, 2);
    bool is_real = strncmp(day, "01", 2) >= 0 && strncmp(day, "31", 2) <= 0 &&
                   strcmp(day + 2, "01") >= 0 && strcmp(day + 2, "12") <= 0;
    if (is_real)
        append_text_frame(out, "TDAT", day);
}

static bool append_from_file(struct buf *out, int fd, int64_t offset, uint32_t size)
{
    while (size > 0) {
        char piece[PIECE_BYTES];
        size_t wanted = size < sizeof piece ? size : sizeof piece;
        struct error ignored;
        if (file_read_at(fd, piece, wanted, offset, &ignored) != (ssize_t)wanted ||
            !buf_append(out, piece, wanted))
            return false;
        offset += (int64_t)wanted;
        size -= (uint32_t)wanted;
    }
    return true;
}

// Some old players want the description of a picture in Latin-1, and ours is empty.
static void append_cover(struct buf *out, const struct media_metadata *metadata)
{
    const struct media_cover *cover = &metadata->cover;
    size_t start = begin_frame(out, "APIC");
    append_byte(out, ENCODING_LATIN1);
    buf_append(out, cover->mime, strlen(cover->mime) + 1);
    append_byte(out, FRONT_COVER);
    append_byte(out, 0);
    if (append_from_file(out, metadata->fd, cover->offset, cover->size_bytes))
        end_frame(out, start);
    else
        buf_cut(out, start);
}

static void append_element(struct buf *out, const char *kind, unsigned number)
{
    char id[16];
    int size = snprintf(id, sizeof id, "%s%u", kind, number);
    buf_append(out, id, (size_t)size + 1);
}

static uint32_t clip_ms(int64_t ms)
{
    return ms < 0 ? 0 : ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX - 1;
}

static void append_chapter(struct buf *out, unsigned number, const struct media_chapter *chapter)
{
    size_t start = begin_frame(out, "CHAP");
    append_element(out, "ch", number);
    append_32(out, clip_ms(chapter->start_ms));
    append_32(out, clip_ms(chapter->end_ms));
    append_32(out, UINT32_MAX); // where its bytes lie is not said: the times count
    append_32(out, UINT32_MAX);
    append_text_frame(out, "TIT2", chapter->title);
    end_frame(out, start);
}

static void append_contents(struct buf *out, const char *id, int flags, const char *kind,
                            unsigned first, unsigned count)
{
    size_t start = begin_frame(out, "CTOC");
    buf_append(out, id, strlen(id) + 1);
    append_byte(out, flags);
    append_byte(out, (int)count);
    for (unsigned i = 0; i < count; i++)
        append_element(out, kind, first + i);
    end_frame(out, start);
}

// One table has room for 255 entries: more stand in tables of their own, which the top one lists.
static void append_chapters(struct buf *out, const struct media_metadata *metadata)
{
    unsigned count = metadata->chapter_count;
    unsigned parts = (count + CONTENTS_LARGEST - 1) / CONTENTS_LARGEST;
    if (parts == 1)
        append_contents(out, "toc", TOP_LEVEL | ORDERED, "ch", 0, count);
    if (parts > 1)
        append_contents(out, "toc", TOP_LEVEL | ORDERED, "toc", 0, parts);
    for (unsigned i = 0; parts > 1 && i < parts; i++) {
        char id[16];
        unsigned first = i * CONTENTS_LARGEST;
        unsigned left = count - first;
        snprintf(id, sizeof id, "toc%u", i);
        append_contents(out, id, ORDERED, "ch", first,
                        left < CONTENTS_LARGEST ? left : CONTENTS_LARGEST);
    }
    for (unsigned i = 0; i < count; i++)
        append_chapter(out, i, &metadata->chapters[i]);
}

static void append_title(struct buf *out, const char *own, const char *fallback)
{
    char clean[MEDIA_TAG_BYTES] = "";
    if (own == NULL && fallback != NULL)
        text_clean(clean, sizeof clean, fallback, strlen(fallback));
    const char *title = own != NULL ? own : clean;
    if (title[0] != '\0')
        append_text_frame(out, "TIT2", title);
}

static void append_texts(struct buf *out, const struct media_metadata *metadata)
{
    char *const *texts = metadata->texts;
    for (size_t i = 0; i < sizeof text_frames / sizeof text_frames[0]; i++)
        if (texts[text_frames[i].text] != NULL)
            append_text_frame(out, text_frames[i].frame, texts[text_frames[i].text]);
    if (texts[MEDIA_DATE] != NULL)
        append_date(out, texts[MEDIA_DATE]);
    if (texts[MEDIA_COMMENT] != NULL)
        append_long_text_frame(out, "COMM", texts[MEDIA_COMMENT]);
    if (texts[MEDIA_LYRICS] != NULL)
        append_long_text_frame(out, "USLT", texts[MEDIA_LYRICS]);
}

void media_tags_write(const struct media_metadata *metadata, const char *fallback_title,
                      struct buf *out)
{
    size_t start = out->size;
    buf_append(out, "ID3\3\0\0\0\0\0\0", HEADER_BYTES);
    append_title(out, metadata->texts[MEDIA_TITLE], fallback_title);
    append_texts(out, metadata);
    append_chapters(out, metadata);
    if (metadata->cover.mime != NULL)
        append_cover(out, metadata);
    size_t size = out->size - start - HEADER_BYTES;
    for (int i = 0; i < 4; i++)
        out->bytes[start + 6 + i] = (char)(size >> (21 - 7 * i) & 0x7f);
    if (size == 0)
        buf_cut(out, start);
}
