// ID3v2.3: http://id3.org/id3v2.3.0
#include "media/media_tags.h"

#include "base/text.h"
#include "media/media_limits.h"

#include <libavutil/dict.h>
#include <stdint.h>
#include <string.h>

enum { HEADER_BYTES = 10, ENCODING_UTF16 = 1 };

struct known_tag {
    const char *key; // libavformat's name
    const char frame[5];
};

static const struct known_tag known_tags[] = {
    {"title", "TIT2"}, {"artist", "TPE1"}, {"album", "TALB"},    {"album_artist", "TPE2"},
    {"genre", "TCON"}, {"track", "TRCK"},  {"composer", "TCOM"}, {"date", "TYER"},
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

void media_tags_utf16(const char *text, struct buf *out)
{
    char clean[MEDIA_TAG_BYTES];
    text_clean(clean, sizeof clean, text, strlen(text));
    append_unit(out, 0xfeff);
    for (const unsigned char *at = (const unsigned char *)clean; *at != '\0';) {
        uint32_t code_point = next_code_point(&at);
        if (code_point >= 0x10000) {
            append_unit(out, 0xd800 + ((code_point - 0x10000) >> 10));
            append_unit(out, 0xdc00 + ((code_point - 0x10000) & 0x3ff));
        } else {
            append_unit(out, code_point);
        }
    }
}

static void append_frame(struct buf *out, const char *frame, const char *text)
{
    struct buf body;
    buf_init(&body, (size_t)4 * MEDIA_TAG_BYTES);
    media_tags_utf16(text, &body);
    uint32_t size = (uint32_t)body.size + 1;
    const unsigned char head[7] = {(unsigned char)(size >> 24),
                                   (unsigned char)(size >> 16),
                                   (unsigned char)(size >> 8),
                                   (unsigned char)size,
                                   0,
                                   0,
                                   ENCODING_UTF16};
    buf_append(out, frame, 4);
    buf_append(out, head, sizeof head);
    buf_append(out, body.bytes, body.size);
    buf_finish(&body);
}

// TYER holds a year of four digits; MP4 often has a whole date.
static bool year_of(const char *date, char out[5])
{
    for (int i = 0; i < 4; i++) {
        if (date[i] < '0' || date[i] > '9')
            return false;
        out[i] = date[i];
    }
    out[4] = '\0';
    return true;
}

static void append_known(struct buf *out, const struct known_tag *known, const char *text)
{
    char year[5];
    if (strcmp(known->frame, "TYER") != 0)
        append_frame(out, known->frame, text);
    else if (year_of(text, year))
        append_frame(out, known->frame, year);
}

void media_tags_write(const AVDictionary *tags, const char *fallback_title, struct buf *out)
{
    struct buf frames;
    buf_init(&frames, (size_t)64 * 1024);
    for (size_t i = 0; i < sizeof known_tags / sizeof known_tags[0]; i++) {
        const AVDictionaryEntry *entry = av_dict_get(tags, known_tags[i].key, NULL, 0);
        const char *text = entry != NULL ? entry->value : NULL;
        if (i == 0 && (text == NULL || text[0] == '\0'))
            text = fallback_title;
        if (text != NULL && text[0] != '\0')
            append_known(&frames, &known_tags[i], text);
    }
    if (frames.size > 0) {
        size_t size = frames.size; // written in 4 x 7 bits
        const unsigned char header[HEADER_BYTES] = {'I',
                                                    'D',
                                                    '3',
                                                    3,
                                                    0,
                                                    0,
                                                    (unsigned char)(size >> 21 & 0x7f),
                                                    (unsigned char)(size >> 14 & 0x7f),
                                                    (unsigned char)(size >> 7 & 0x7f),
                                                    (unsigned char)(size & 0x7f)};
        buf_append(out, header, sizeof header);
        buf_append(out, frames.bytes, frames.size);
    }
    buf_finish(&frames);
}
