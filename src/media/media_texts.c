// iTunes' atoms: Apple's QuickTime File Format, "Metadata"; 3GPP's: TS 26.244, 8; the numbers that
// say what a `data` holds: QuickTime File Format, table "Well-known data types".
#include "media/media_texts.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/text.h"
#include "media/media_big_endian.h"
#include "media/media_charset.h"
#include "media/media_cover.h"
#include "media/media_genres.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    KEYS = 256,
    KEY_BYTES = 64,
    NO_TEXT = MEDIA_TEXTS,
    DATA_IMPLICIT = 0,
    DATA_UTF8 = 1,
    DATA_UTF16 = 2,
    DATA_UTF8_SORT = 4,
    DATA_UTF16_SORT = 5,
};

// Where a text comes from; the higher one wins. Each has a second choice below it: a description
// where there is no comment.
enum rank { FROM_3GPP = 2, FROM_QUICKTIME = 4, FROM_KEYS = 6, FROM_ITUNES = 8 };

struct reading {
    struct media_box_reader *reader;
    struct media_metadata *out;
    int ranks[MEDIA_TEXTS];
};

#define COPYRIGHT_SIGN(a, b, c) MEDIA_FOURCC(0xa9, a, b, c)

static const struct known_type {
    uint32_t type;
    enum media_text text;
    bool is_second; // only where no other gives this text
} known_types[] = {
    {COPYRIGHT_SIGN('n', 'a', 'm'), MEDIA_TITLE, false},
    {COPYRIGHT_SIGN('A', 'R', 'T'), MEDIA_ARTIST, false},
    {COPYRIGHT_SIGN('a', 'u', 't'), MEDIA_ARTIST, true},
    {COPYRIGHT_SIGN('p', 'r', 'f'), MEDIA_ARTIST, true},
    {COPYRIGHT_SIGN('a', 'l', 'b'), MEDIA_ALBUM, false},
    {MEDIA_FOURCC('a', 'A', 'R', 'T'), MEDIA_ALBUM_ARTIST, false},
    {COPYRIGHT_SIGN('w', 'r', 't'), MEDIA_COMPOSER, false},
    {COPYRIGHT_SIGN('c', 'o', 'm'), MEDIA_COMPOSER, true},
    {COPYRIGHT_SIGN('g', 'e', 'n'), MEDIA_GENRE, false},
    {COPYRIGHT_SIGN('d', 'a', 'y'), MEDIA_DATE, false},
    {COPYRIGHT_SIGN('t', 'r', 'k'), MEDIA_TRACK_NUMBER, true},
    {COPYRIGHT_SIGN('c', 'p', 'y'), MEDIA_COPYRIGHT, false},
    {MEDIA_FOURCC('c', 'p', 'r', 't'), MEDIA_COPYRIGHT, false},
    {COPYRIGHT_SIGN('c', 'm', 't'), MEDIA_COMMENT, false},
    {MEDIA_FOURCC('l', 'd', 'e', 's'), MEDIA_COMMENT, true},
    {MEDIA_FOURCC('d', 'e', 's', 'c'), MEDIA_COMMENT, true},
    {COPYRIGHT_SIGN('d', 'e', 's'), MEDIA_COMMENT, true},
    {COPYRIGHT_SIGN('i', 'n', 'f'), MEDIA_COMMENT, true},
    {COPYRIGHT_SIGN('l', 'y', 'r'), MEDIA_LYRICS, false},
};

static const struct known_type types_of_3gpp[] = {
    {MEDIA_FOURCC('t', 'i', 't', 'l'), MEDIA_TITLE, false},
    {MEDIA_FOURCC('p', 'e', 'r', 'f'), MEDIA_ARTIST, false},
    {MEDIA_FOURCC('a', 'u', 't', 'h'), MEDIA_ARTIST, true},
    {MEDIA_FOURCC('a', 'l', 'b', 'm'), MEDIA_ALBUM, false},
    {MEDIA_FOURCC('g', 'n', 'r', 'e'), MEDIA_GENRE, false},
    {MEDIA_FOURCC('d', 's', 'c', 'p'), MEDIA_COMMENT, true},
    {MEDIA_FOURCC('c', 'p', 'r', 't'), MEDIA_COPYRIGHT, false},
};

// With "com.apple.quicktime." in front or without.
static const struct known_key {
    const char *name;
    enum media_text text;
    bool is_second;
} known_keys[] = {
    {"title", MEDIA_TITLE, false},
    {"displayname", MEDIA_TITLE, true},
    {"artist", MEDIA_ARTIST, false},
    {"author", MEDIA_ARTIST, true},
    {"performer", MEDIA_ARTIST, true},
    {"album", MEDIA_ALBUM, false},
    {"album_artist", MEDIA_ALBUM_ARTIST, false},
    {"composer", MEDIA_COMPOSER, false},
    {"genre", MEDIA_GENRE, false},
    {"date", MEDIA_DATE, false},
    {"creationdate", MEDIA_DATE, true},
    {"year", MEDIA_DATE, true},
    {"track", MEDIA_TRACK_NUMBER, false},
    {"disc", MEDIA_DISC_NUMBER, false},
    {"copyright", MEDIA_COPYRIGHT, false},
    {"comment", MEDIA_COMMENT, false},
    {"description", MEDIA_COMMENT, true},
    {"information", MEDIA_COMMENT, true},
    {"lyrics", MEDIA_LYRICS, false},
};

#define COUNT_OF(table) (sizeof(table) / sizeof(table)[0])

static bool is_long(enum media_text text)
{
    return text == MEDIA_COMMENT || text == MEDIA_LYRICS;
}

static size_t limit_of(enum media_text text)
{
    return is_long(text) ? MEDIA_LONG_TEXT_BYTES : MEDIA_TAG_BYTES - 1;
}

// Takes over the value, which may be NULL.
static void keep(struct reading *reading, enum media_text text, int rank, char *value)
{
    if (value == NULL || reading->ranks[text] >= rank) {
        free(value);
        return;
    }
    free(reading->out->texts[text]);
    reading->out->texts[text] = value;
    reading->ranks[text] = rank;
}

// The text in [start, end), or its beginning where it is too long; NULL when there is none.
static char *read_text(const struct reading *reading, enum media_charset charset, int64_t start,
                       int64_t end, enum media_text text)
{
    size_t limit = limit_of(text);
    size_t size = end <= start ? 0 : end - start < (int64_t)limit ? (size_t)(end - start) : limit;
    SCOPED(free) unsigned char *bytes = alloc_zeroed(1, size + 1);
    if (!media_box_bytes(reading->reader, bytes, size, start))
        return NULL;
    return media_charset_decode(charset, bytes, size, is_long(text), limit);
}

// ---- `data`, which ilst's items hold ----

struct data {
    uint32_t type;
    int64_t start, end;
};

static bool read_data(const struct reading *reading, const struct media_box *box, struct data *out)
{
    unsigned char head[8];
    if (box->type != MEDIA_FOURCC('d', 'a', 't', 'a') || box->end - box->body < 8 ||
        !media_box_bytes(reading->reader, head, sizeof head, box->body))
        return false;
    *out = (struct data){
        .type = big_endian_32(head) & 0xffffff, .start = box->body + 8, .end = box->end};
    return true;
}

// The types of whole numbers: 21 and 22 as long as they are, 65 to 67 signed, 74 to 78.
static bool is_number(uint32_t type)
{
    return type == 21 || type == 22 || (type >= 65 && type <= 67) || (type >= 74 && type <= 78);
}

static char *number_of(const struct reading *reading, const struct data *data)
{
    unsigned char bytes[8];
    size_t size = data->end - data->start <= 8 ? (size_t)(data->end - data->start) : 0;
    if (size == 0 || !media_box_bytes(reading->reader, bytes, size, data->start))
        return NULL;
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | bytes[i];
    return value > 0 ? alloc_format("%" PRIu64, value) : NULL;
}

static char *value_of(const struct reading *reading, const struct data *data, enum media_text text)
{
    if (is_number(data->type))
        return number_of(reading, data);
    if (data->type == DATA_UTF16 || data->type == DATA_UTF16_SORT)
        return read_text(reading, MEDIA_CHARSET_UTF16, data->start, data->end, text);
    if (data->type == DATA_UTF8 || data->type == DATA_UTF8_SORT || data->type == DATA_IMPLICIT)
        return read_text(reading, MEDIA_CHARSET_GUESSED, data->start, data->end, text);
    return NULL;
}

// ID3v2.3 joins several people with '/'.
static char *join(char *first, char *second, size_t limit)
{
    if (first == NULL || second == NULL || strlen(first) + strlen(second) + 1 > limit) {
        free(first == NULL ? NULL : second);
        return first == NULL ? second : first;
    }
    char *both = alloc_format("%s/%s", first, second);
    free(first);
    free(second);
    return both;
}

static bool may_be_several(enum media_text text)
{
    return text == MEDIA_ARTIST || text == MEDIA_ALBUM_ARTIST || text == MEDIA_COMPOSER;
}

static void read_texts(struct reading *reading, const struct media_box *item, enum media_text text,
                       int rank)
{
    char *value = NULL;
    struct media_box box;
    struct data data;
    for (int64_t at = item->body; media_box_next(reading->reader, &at, item->end, &box);)
        if ((value == NULL || may_be_several(text)) && read_data(reading, &box, &data))
            value = join(value, value_of(reading, &data, text), limit_of(text));
    keep(reading, text, rank, value);
}

static void read_cover(struct reading *reading, const struct media_box *item)
{
    struct media_box box;
    struct data data;
    for (int64_t at = item->body; media_box_next(reading->reader, &at, item->end, &box);)
        if (reading->out->cover.mime == NULL && read_data(reading, &box, &data))
            media_cover_at(reading->reader, data.start, data.end - data.start,
                           &reading->out->cover);
}

// The first bytes of an item's first `data`, as far as they are there.
static bool read_first(const struct reading *reading, const struct media_box *item,
                       unsigned char *out, size_t size)
{
    struct media_box box;
    struct data data;
    return media_box_find(reading->reader, item->body, item->end, MEDIA_FOURCC('d', 'a', 't', 'a'),
                          &box) &&
           read_data(reading, &box, &data) && data.end - data.start >= (int64_t)size &&
           media_box_bytes(reading->reader, out, size, data.start);
}

// trkn and disk: two unused bytes, the number, how many there are.
static void read_count(struct reading *reading, const struct media_box *item, enum media_text text)
{
    unsigned char bytes[6] = {0};
    if (!read_first(reading, item, bytes, 6) && !read_first(reading, item, bytes, 4))
        return;
    unsigned number = big_endian_16(bytes + 2), count = big_endian_16(bytes + 4);
    if (number > 0 && count > 0)
        keep(reading, text, FROM_ITUNES, alloc_format("%u/%u", number, count));
    else if (number > 0)
        keep(reading, text, FROM_ITUNES, alloc_format("%u", number));
}

static void read_genre_number(struct reading *reading, const struct media_box *item)
{
    unsigned char bytes[2];
    if (read_first(reading, item, bytes, sizeof bytes) && big_endian_16(bytes) > 0)
        keep(reading, MEDIA_GENRE, FROM_ITUNES - 1,
             alloc_text(media_genre_name(big_endian_16(bytes) - 1u)));
}

// An item of free form has its own name. The only one that we want says how much of the sound is
// the encoder's priming and padding.
static void read_free_item(struct reading *reading, const struct media_box *item)
{
    static const char wanted[] = "iTunSMPB";
    char found[sizeof wanted] = "";
    struct media_box name, box;
    struct data data;
    if (reading->out->itunes_priming != NULL ||
        !media_box_find(reading->reader, item->body, item->end, MEDIA_FOURCC('n', 'a', 'm', 'e'),
                        &name) ||
        name.end - name.body != 4 + (int64_t)strlen(wanted) ||
        !media_box_bytes(reading->reader, found, strlen(wanted), name.body + 4) ||
        strcmp(found, wanted) != 0)
        return;
    if (media_box_find(reading->reader, item->body, item->end, MEDIA_FOURCC('d', 'a', 't', 'a'),
                       &box) &&
        read_data(reading, &box, &data))
        reading->out->itunes_priming = value_of(reading, &data, MEDIA_TITLE);
}

static const struct known_type *find_type(const struct known_type *types, size_t count,
                                          uint32_t type)
{
    for (size_t i = 0; i < count; i++)
        if (types[i].type == type)
            return &types[i];
    return NULL;
}

static void read_item(struct reading *reading, const struct media_box *item)
{
    const struct known_type *known = find_type(known_types, COUNT_OF(known_types), item->type);
    if (known != NULL)
        read_texts(reading, item, known->text, FROM_ITUNES - known->is_second);
    else if (item->type == MEDIA_FOURCC('t', 'r', 'k', 'n'))
        read_count(reading, item, MEDIA_TRACK_NUMBER);
    else if (item->type == MEDIA_FOURCC('d', 'i', 's', 'k'))
        read_count(reading, item, MEDIA_DISC_NUMBER);
    else if (item->type == MEDIA_FOURCC('g', 'n', 'r', 'e'))
        read_genre_number(reading, item);
    else if (item->type == MEDIA_FOURCC('c', 'o', 'v', 'r'))
        read_cover(reading, item);
    else if (item->type == MEDIA_FOURCC('-', '-', '-', '-'))
        read_free_item(reading, item);
}

// ---- `keys`: ilst's items have numbers, and a table has their names ----

enum { KEY_UNKNOWN, KEY_COVER, KEY_TEXT }; // then the rows of known_keys

static unsigned char find_key(const char *name)
{
    static const char prefix[] = "com.apple.quicktime.";
    if (text_starts_with(name, prefix))
        name += strlen(prefix);
    if (strcmp(name, "artwork") == 0)
        return KEY_COVER;
    for (size_t i = 0; i < COUNT_OF(known_keys); i++)
        if (strcmp(known_keys[i].name, name) == 0)
            return (unsigned char)(KEY_TEXT + i);
    return KEY_UNKNOWN;
}

// Each entry looks like a box whose type is the name's namespace.
static void read_keys(const struct reading *reading, const struct media_box *keys,
                      unsigned char out[KEYS])
{
    struct media_box entry;
    int64_t at = keys->body + 8;
    for (int i = 0; i < KEYS && media_box_next(reading->reader, &at, keys->end, &entry); i++) {
        char name[KEY_BYTES] = "";
        int64_t size = entry.end - entry.body;
        if (size < KEY_BYTES && media_box_bytes(reading->reader, name, (size_t)size, entry.body))
            out[i] = find_key(name);
    }
}

static void read_named_items(struct reading *reading, const struct media_box *list,
                             const unsigned char keys[KEYS])
{
    struct media_box item;
    for (int64_t at = list->body; media_box_next(reading->reader, &at, list->end, &item);) {
        unsigned char key = item.type > 0 && item.type <= KEYS ? keys[item.type - 1] : KEY_UNKNOWN;
        if (key == KEY_COVER)
            read_cover(reading, &item);
        if (key < KEY_TEXT)
            continue;
        const struct known_key *known = &known_keys[key - KEY_TEXT];
        read_texts(reading, &item, known->text, FROM_KEYS - known->is_second);
    }
}

// MP4's `meta` begins with a version, QuickTime's does not.
static void read_meta(struct reading *reading, const struct media_box *meta)
{
    unsigned char head[8];
    struct media_box list, keys, item;
    if (!media_box_bytes(reading->reader, head, sizeof head, meta->body))
        return;
    bool is_plain = big_endian_32(head + 4) == MEDIA_FOURCC('h', 'd', 'l', 'r');
    int64_t start = meta->body + (is_plain ? 0 : 4);
    if (!media_box_find(reading->reader, start, meta->end, MEDIA_FOURCC('i', 'l', 's', 't'), &list))
        return;
    if (media_box_find(reading->reader, start, meta->end, MEDIA_FOURCC('k', 'e', 'y', 's'),
                       &keys)) {
        unsigned char known[KEYS] = {KEY_UNKNOWN};
        read_keys(reading, &keys, known);
        read_named_items(reading, &list, known);
        return;
    }
    for (int64_t at = list.body; media_box_next(reading->reader, &at, list.end, &item);)
        read_item(reading, &item);
}

// ---- `udta` itself ----

// QuickTime: the text's size and its language, then the text, perhaps again in other languages.
// Some programs put iTunes' `data` in here.
static void read_quicktime_text(struct reading *reading, const struct media_box *box,
                                const struct known_type *known)
{
    unsigned char head[8] = {0};
    int rank = FROM_QUICKTIME - known->is_second;
    if (box->end - box->body < 4 || !media_box_bytes(reading->reader, head, 4, box->body))
        return;
    (void)media_box_bytes(reading->reader, head + 4, 4, box->body + 4);
    if (big_endian_32(head + 4) == MEDIA_FOURCC('d', 'a', 't', 'a')) {
        read_texts(reading, box, known->text, rank);
        return;
    }
    int64_t end = box->body + 4 + big_endian_16(head);
    if (end <= box->end)
        keep(reading, known->text, rank,
             read_text(reading, MEDIA_CHARSET_GUESSED, box->body + 4, end, known->text));
}

// 3GPP: a version and a language, then the text up to a NUL.
static void read_text_of_3gpp(struct reading *reading, const struct media_box *box,
                              const struct known_type *known)
{
    keep(reading, known->text, FROM_3GPP - known->is_second,
         read_text(reading, MEDIA_CHARSET_GUESSED, box->body + 6, box->end, known->text));
}

static void read_year_of_3gpp(struct reading *reading, const struct media_box *box)
{
    unsigned char year[2];
    if (box->end - box->body >= 6 &&
        media_box_bytes(reading->reader, year, sizeof year, box->body + 4))
        keep(reading, MEDIA_DATE, FROM_3GPP, alloc_format("%04u", big_endian_16(year)));
}

static void read_user_data(struct reading *reading, const struct media_box *udta)
{
    struct media_box box;
    for (int64_t at = udta->body; media_box_next(reading->reader, &at, udta->end, &box);) {
        const struct known_type *known = find_type(known_types, COUNT_OF(known_types), box.type);
        const struct known_type *of_3gpp =
            find_type(types_of_3gpp, COUNT_OF(types_of_3gpp), box.type);
        if (box.type == MEDIA_FOURCC('m', 'e', 't', 'a'))
            read_meta(reading, &box);
        else if (of_3gpp != NULL)
            read_text_of_3gpp(reading, &box, of_3gpp);
        else if (box.type == MEDIA_FOURCC('y', 'r', 'r', 'c'))
            read_year_of_3gpp(reading, &box);
        else if (known != NULL)
            read_quicktime_text(reading, &box, known);
    }
}

void media_texts_read(struct media_box_reader *reader, int64_t start, int64_t end,
                      struct media_metadata *out)
{
    struct reading reading = {.reader = reader, .out = out};
    struct media_box box;
    while (media_box_next(reader, &start, end, &box)) {
        if (box.type == MEDIA_FOURCC('u', 'd', 't', 'a'))
            read_user_data(&reading, &box);
        else if (box.type == MEDIA_FOURCC('m', 'e', 't', 'a'))
            read_meta(&reading, &box);
    }
}
