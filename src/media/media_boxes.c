#include "media/media_boxes.h"

#include "base/file.h"
#include "base/text.h"
#include "media/media_big_endian.h"

#include <string.h>
#include <unistd.h>

struct box {
    uint32_t type;
    int64_t start; // of the header
    int64_t body;
    int64_t end;
};

struct parser {
    int fd;
    struct media_boxes *out;
    struct media_track *track; // the one being read
    struct media_failure *why;
    int boxes_left;
    bool has_index;   // moov
    bool has_content; // any box that only such a file has
    bool is_picture;  // HEIC and AVIF begin like an MP4 and have `meta` in place of `moov`
    bool is_cut;      // a top-level box that is longer than the file
};

static bool fail_damaged(struct parser *parser)
{
    media_fail(parser->why, "not_media", "This file's index is damaged.");
    return false;
}

static bool read_at(struct parser *parser, void *out, size_t size, int64_t offset)
{
    struct error err;
    ssize_t got = file_read_at(parser->fd, out, size, offset, &err);
    if (got == (ssize_t)size)
        return true;
    if (got < 0)
        media_fail(parser->why, "internal", "%s", err.text);
    else
        media_fail(parser->why, "truncated", NULL);
    return false;
}

// Reads a header at `start`; false without a failure being set when it is none.
static bool read_header(struct parser *parser, int64_t start, int64_t end, struct box *out,
                        bool *out_is_box)
{
    unsigned char bytes[16];
    *out_is_box = false;
    if (parser->boxes_left-- <= 0)
        return media_fail(parser->why, "too_complex", NULL);
    if (end - start < 8)
        return true;
    if (!read_at(parser, bytes, 8, start))
        return false;
    *out = (struct box){.type = big_endian_32(bytes + 4), .start = start, .body = start + 8};
    uint64_t size = big_endian_32(bytes);
    if (size == 1) {
        if (end - start < 16)
            return true;
        if (!read_at(parser, bytes + 8, 8, start + 8))
            return false;
        size = big_endian_64(bytes + 8);
        out->body = start + 16;
    } else if (size == 0) {
        size = (uint64_t)(end - start);
    }
    if (size < (uint64_t)(out->body - start) || size > INT64_MAX / 2)
        return true;
    out->end = start + (int64_t)size;
    *out_is_box = true;
    return true;
}

typedef bool visit_box(struct parser *parser, const struct box *box);

// The children of a box inside the index, which must tile it exactly. A rest of less than a
// header is QuickTime's terminator.
static bool each_child(struct parser *parser, int64_t start, int64_t end, visit_box *visit)
{
    while (end - start >= 8) {
        struct box box;
        bool is_box;
        if (!read_header(parser, start, end, &box, &is_box))
            return false;
        if (!is_box || box.end > end)
            return fail_damaged(parser);
        if (!visit(parser, &box))
            return false;
        start = box.end;
    }
    return true;
}

// Reads the head of a full box's body; false with a failure set when the box is shorter.
static bool read_body(struct parser *parser, const struct box *box, unsigned char *out, size_t size)
{
    if (box->end - box->body < (int64_t)size)
        return fail_damaged(parser);
    return read_at(parser, out, size, box->body);
}

// A table of `count` entries behind `head_bytes` of the body, its count in the last four of them.
static bool read_table(struct parser *parser, const struct box *box, int64_t head_bytes,
                       int64_t entry_bytes, struct media_table *out)
{
    unsigned char count[4];
    if (box->end - box->body < head_bytes)
        return fail_damaged(parser);
    if (!read_at(parser, count, sizeof count, box->body + head_bytes - 4))
        return false;
    *out = (struct media_table){.count_offset = box->body + head_bytes - 4,
                                .offset = box->body + head_bytes,
                                .count = big_endian_32(count)};
    if ((int64_t)out->count * entry_bytes > box->end - out->offset)
        return fail_damaged(parser);
    return true;
}

static bool read_sizes(struct parser *parser, const struct box *box)
{
    unsigned char body[12];
    struct media_track *track = parser->track;
    if (!read_body(parser, box, body, sizeof body))
        return false;
    bool is_compact = box->type == MEDIA_FOURCC('s', 't', 'z', '2');
    uint32_t bits = is_compact ? body[7] : 0;
    track->compact_size_bits = bits;
    track->fixed_size_bytes = is_compact ? 0 : big_endian_32(body + 4);
    bool has_entries = !is_compact && track->fixed_size_bytes == 0;
    if (!read_table(parser, box, 12, has_entries ? 4 : 0, &track->sizes))
        return false;
    if (!is_compact)
        return true;
    bool is_legal = bits == 4 || bits == 8 || bits == 16;
    int64_t table_bytes = ((int64_t)track->sizes.count * bits + 7) / 8;
    return (is_legal && table_bytes <= box->end - track->sizes.offset) || fail_damaged(parser);
}

static bool find_protection(struct parser *parser, const struct box *box)
{
    if (box->type == MEDIA_FOURCC('s', 'i', 'n', 'f'))
        parser->track->is_encrypted = true;
    return true;
}

// An audio sample entry's children lie behind 28 bytes, 16 or 36 more in QuickTime's versions.
static bool read_format(struct parser *parser, const struct box *box)
{
    struct media_track *track = parser->track;
    if (track->format == 0)
        track->format = box->type;
    track->is_encrypted |= box->type == MEDIA_FOURCC('e', 'n', 'c', 'a') ||
                           box->type == MEDIA_FOURCC('e', 'n', 'c', 'v') ||
                           box->type == MEDIA_FOURCC('d', 'r', 'm', 's') ||
                           box->type == MEDIA_FOURCC('d', 'r', 'm', 'i');
    unsigned char body[28];
    if (track->handler != MEDIA_FOURCC('s', 'o', 'u', 'n') ||
        box->end - box->body < (int64_t)sizeof body)
        return true;
    if (!read_body(parser, box, body, sizeof body))
        return false;
    uint16_t version = big_endian_16(body + 8);
    int64_t children = box->body + 28 + (version == 1 ? 16 : version == 2 ? 36 : 0);
    // What stands there in old QuickTime files is not always a box: then it protects nothing.
    struct box child;
    bool is_box = true;
    while (children < box->end) {
        if (!read_header(parser, children, box->end, &child, &is_box))
            return false;
        if (!is_box || child.end > box->end)
            break;
        find_protection(parser, &child);
        children = child.end;
    }
    return true;
}

static bool read_formats(struct parser *parser, const struct box *box)
{
    unsigned char body[8];
    if (!read_body(parser, box, body, sizeof body))
        return false;
    parser->track->format_count = big_endian_32(body + 4);
    parser->track->formats_offset = box->body + 8;
    parser->track->formats_end = box->end;
    return each_child(parser, box->body + 8, box->end, read_format);
}

static bool visit_stbl(struct parser *parser, const struct box *box)
{
    struct media_track *track = parser->track;
    switch (box->type) {
    case MEDIA_FOURCC('s', 't', 's', 'd'):
        return read_formats(parser, box);
    case MEDIA_FOURCC('s', 't', 't', 's'):
        return read_table(parser, box, 8, 8, &track->times);
    case MEDIA_FOURCC('s', 't', 's', 'c'):
        return read_table(parser, box, 8, 12, &track->chunks);
    case MEDIA_FOURCC('s', 't', 's', 'z'):
    case MEDIA_FOURCC('s', 't', 'z', '2'):
        return read_sizes(parser, box);
    case MEDIA_FOURCC('s', 't', 'c', 'o'):
        return read_table(parser, box, 8, 4, &track->offsets);
    case MEDIA_FOURCC('c', 'o', '6', '4'):
        track->has_wide_offsets = true;
        return read_table(parser, box, 8, 8, &track->offsets);
    default:
        return true;
    }
}

static bool visit_minf(struct parser *parser, const struct box *box)
{
    if (box->type == MEDIA_FOURCC('s', 't', 'b', 'l'))
        return each_child(parser, box->body, box->end, visit_stbl);
    return true;
}

static bool read_duration(struct parser *parser, const struct box *box, uint32_t *out_timescale,
                          uint64_t *out_duration)
{
    unsigned char body[32];
    if (!read_body(parser, box, body, 20))
        return false;
    bool is_wide = body[0] == 1;
    if (is_wide && !read_body(parser, box, body, sizeof body))
        return false;
    *out_timescale = big_endian_32(body + (is_wide ? 20 : 12));
    *out_duration = is_wide ? big_endian_64(body + 24) : big_endian_32(body + 16);
    if (*out_duration == (is_wide ? UINT64_MAX : UINT32_MAX))
        *out_duration = 0; // "unknown"
    return true;
}

// What of the box's text behind `skip` bytes fits, up to its NUL.
static bool read_text(struct parser *parser, const struct box *box, int64_t skip, char *out,
                      size_t out_size)
{
    int64_t left = box->end - box->body - skip;
    size_t size = left < 0 ? 0 : left < (int64_t)out_size ? (size_t)left : out_size - 1;
    out[size] = '\0';
    return size == 0 || read_at(parser, out, size, box->body + skip);
}

// The language's code follows the two clocks that read_duration reads.
static bool read_language(struct parser *parser, const struct box *box)
{
    unsigned char version, packed[2];
    if (!read_body(parser, box, &version, 1))
        return false;
    int64_t offset = box->body + (version == 1 ? 32 : 20);
    if (parser->track->language[0] != '\0' || box->end - offset < 2)
        return true;
    if (!read_at(parser, packed, sizeof packed, offset))
        return false;
    media_language_unpack(big_endian_16(packed), parser->track->language);
    return true;
}

// BCP 47, of newer files that need more than three letters.
static bool read_long_language(struct parser *parser, const struct box *box)
{
    char tag[MEDIA_LANGUAGE_SIZE];
    if (!read_text(parser, box, 4, tag, sizeof tag))
        return false;
    if (media_language_is_tag(tag) && strcmp(tag, "und") != 0)
        text_copy(parser->track->language, sizeof parser->track->language, tag);
    return true;
}

// What programs write into a handler's name of their own accord.
static bool is_housekeeping(const char *name)
{
    static const char *const words[] = {"Handler",     "handler", "Core Media", "ISO Media",
                                        "Mainconcept", "GPAC",    "Track"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strstr(name, words[i]) != NULL)
            return true;
    return false;
}

// QuickTime counts the letters in front; MP4 ends them with a NUL.
static bool read_handler(struct parser *parser, const struct box *box)
{
    struct media_track *track = parser->track;
    unsigned char body[12];
    char text[MEDIA_TRACK_NAME_SIZE];
    if (!read_body(parser, box, body, sizeof body))
        return false;
    track->handler = big_endian_32(body + 8);
    if (track->name[0] != '\0')
        return true;
    if (!read_text(parser, box, 24, text, sizeof text))
        return false;
    size_t size = strlen(text);
    bool is_counted = size > 0 && (unsigned char)text[0] == size - 1;
    if (!is_housekeeping(text))
        text_clean(track->name, sizeof track->name, text + is_counted, size - is_counted);
    return true;
}

static bool visit_mdia(struct parser *parser, const struct box *box)
{
    struct media_track *track = parser->track;
    switch (box->type) {
    case MEDIA_FOURCC('m', 'd', 'h', 'd'):
        return read_duration(parser, box, &track->timescale, &track->duration) &&
               read_language(parser, box);
    case MEDIA_FOURCC('e', 'l', 'n', 'g'):
        return read_long_language(parser, box);
    case MEDIA_FOURCC('h', 'd', 'l', 'r'):
        return read_handler(parser, box);
    case MEDIA_FOURCC('m', 'i', 'n', 'f'):
        return each_child(parser, box->body, box->end, visit_minf);
    default:
        return true;
    }
}

static bool visit_edts(struct parser *parser, const struct box *box)
{
    unsigned char version;
    if (box->type != MEDIA_FOURCC('e', 'l', 's', 't'))
        return true;
    if (!read_body(parser, box, &version, 1))
        return false;
    parser->track->has_wide_edits = version == 1;
    if (!read_table(parser, box, 8, version == 1 ? 20 : 12, &parser->track->edits))
        return false;
    return parser->track->edits.count <= MEDIA_EDITS ||
           media_fail(parser->why, "too_complex", NULL);
}

// The name that a person gave the track. udta's end is not always kept to: what is no box ends it.
static bool read_track_name(struct parser *parser, const struct box *udta)
{
    struct box box;
    bool is_box;
    for (int64_t at = udta->body; at < udta->end; at = box.end) {
        if (!read_header(parser, at, udta->end, &box, &is_box))
            return false;
        if (!is_box || box.end > udta->end)
            break;
        char text[MEDIA_TRACK_NAME_SIZE];
        if (box.type != MEDIA_FOURCC('n', 'a', 'm', 'e'))
            continue;
        if (!read_text(parser, &box, 0, text, sizeof text))
            return false;
        text_clean(parser->track->name, sizeof parser->track->name, text, strlen(text));
    }
    return true;
}

static bool read_chapter_ids(struct parser *parser, const struct box *box)
{
    unsigned char ids[4 * MEDIA_CHAPTER_TRACKS];
    int64_t left = box->end - box->body;
    size_t size = left < (int64_t)sizeof ids ? (size_t)left : sizeof ids;
    if (box->type != MEDIA_FOURCC('c', 'h', 'a', 'p'))
        return true;
    if (!read_at(parser, ids, size, box->body))
        return false;
    for (size_t i = 0; i < size / 4; i++)
        parser->track->chapter_ids[i] = big_endian_32(ids + 4 * i);
    return true;
}

static bool visit_trak(struct parser *parser, const struct box *box)
{
    unsigned char body[24];
    switch (box->type) {
    case MEDIA_FOURCC('t', 'k', 'h', 'd'):
        if (!read_body(parser, box, body, sizeof body))
            return false;
        parser->track->is_enabled = (body[3] & 1) != 0;
        parser->track->id = big_endian_32(body + (body[0] == 1 ? 20 : 12));
        return true;
    case MEDIA_FOURCC('m', 'd', 'i', 'a'):
        return each_child(parser, box->body, box->end, visit_mdia);
    case MEDIA_FOURCC('e', 'd', 't', 's'):
        return each_child(parser, box->body, box->end, visit_edts);
    case MEDIA_FOURCC('t', 'r', 'e', 'f'):
        return each_child(parser, box->body, box->end, read_chapter_ids);
    case MEDIA_FOURCC('u', 'd', 't', 'a'):
        return read_track_name(parser, box);
    default:
        return true;
    }
}

static bool visit_mvex(struct parser *parser, const struct box *box)
{
    unsigned char body[20];
    struct media_boxes *boxes = parser->out;
    if (box->type == MEDIA_FOURCC('m', 'e', 'h', 'd')) {
        if (!read_body(parser, box, body, 8))
            return false;
        bool is_wide = body[0] == 1;
        if (is_wide && !read_body(parser, box, body, 12))
            return false;
        boxes->fragments_duration = is_wide ? big_endian_64(body + 4) : big_endian_32(body + 4);
    } else if (box->type == MEDIA_FOURCC('t', 'r', 'e', 'x')) {
        if (!read_body(parser, box, body, sizeof body))
            return false;
        if (boxes->defaults_count == MEDIA_TRACKS)
            return media_fail(parser->why, "too_complex", NULL);
        boxes->defaults[boxes->defaults_count++] =
            (struct media_fragment_defaults){.track_id = big_endian_32(body + 4),
                                             .description = big_endian_32(body + 8),
                                             .duration = big_endian_32(body + 12),
                                             .size_bytes = big_endian_32(body + 16)};
    }
    return true;
}

static void note_metadata(struct parser *parser, const struct box *box)
{
    for (unsigned i = 0; i < MEDIA_METADATA_PLACES; i++) {
        int64_t *offset = &parser->out->metadata_offsets[i];
        if (*offset == 0) {
            *offset = box->start + 4;
            return;
        }
    }
}

static bool visit_moov(struct parser *parser, const struct box *box)
{
    switch (box->type) {
    case MEDIA_FOURCC('m', 'v', 'h', 'd'):
        return read_duration(parser, box, &parser->out->timescale, &parser->out->duration);
    case MEDIA_FOURCC('u', 'd', 't', 'a'):
    case MEDIA_FOURCC('m', 'e', 't', 'a'):
        note_metadata(parser, box);
        return true;
    case MEDIA_FOURCC('m', 'v', 'e', 'x'):
        parser->out->is_fragmented = true;
        return each_child(parser, box->body, box->end, visit_mvex);
    case MEDIA_FOURCC('t', 'r', 'a', 'k'):
        if (parser->out->track_count == MEDIA_TRACKS)
            return media_fail(parser->why, "too_complex", NULL);
        parser->track = &parser->out->tracks[parser->out->track_count++];
        *parser->track = (struct media_track){.type_offset = box->start + 4};
        return each_child(parser, box->body, box->end, visit_trak);
    default:
        return true;
    }
}

// The types that begin such a file or stand on its top level.
static bool is_top_level(uint32_t type)
{
    static const uint32_t types[] = {
        MEDIA_FOURCC('f', 't', 'y', 'p'), MEDIA_FOURCC('m', 'o', 'o', 'v'),
        MEDIA_FOURCC('m', 'd', 'a', 't'), MEDIA_FOURCC('w', 'i', 'd', 'e'),
        MEDIA_FOURCC('f', 'r', 'e', 'e'), MEDIA_FOURCC('s', 'k', 'i', 'p'),
        MEDIA_FOURCC('p', 'n', 'o', 't'), MEDIA_FOURCC('s', 't', 'y', 'p'),
        MEDIA_FOURCC('m', 'o', 'o', 'f'), MEDIA_FOURCC('s', 'i', 'd', 'x'),
        MEDIA_FOURCC('p', 'd', 'i', 'n'), MEDIA_FOURCC('u', 'u', 'i', 'd'),
    };
    for (unsigned i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i] == type)
            return true;
    return false;
}

static bool read_brand(struct parser *parser, const struct box *box)
{
    unsigned char brand[4];
    if (box->end - box->body < (int64_t)sizeof brand)
        return true;
    if (!read_at(parser, brand, sizeof brand, box->body))
        return false;
    parser->out->brand = big_endian_32(brand);
    return true;
}

static bool visit_top_level(struct parser *parser, const struct box *box)
{
    if (box->end > parser->out->file_bytes) {
        parser->is_cut = true;
        return true;
    }
    if (box->type == MEDIA_FOURCC('m', 'e', 't', 'a'))
        parser->is_picture = true;
    if (box->type == MEDIA_FOURCC('f', 't', 'y', 'p') && !read_brand(parser, box))
        return false;
    if (box->type != MEDIA_FOURCC('m', 'o', 'o', 'v') || parser->has_index)
        return true;
    parser->has_index = true;
    parser->out->index_start = box->body;
    parser->out->index_end = box->end;
    if (box->end - box->start > MEDIA_INDEX_BYTES)
        return media_fail(parser->why, "too_complex", NULL);
    return each_child(parser, box->body, box->end, visit_moov);
}

static bool walk_file(struct parser *parser)
{
    for (int64_t at = 0; at < parser->out->file_bytes && !parser->is_cut;) {
        struct box box;
        bool is_box;
        if (!read_header(parser, at, parser->out->file_bytes, &box, &is_box))
            return false;
        if (at == 0 && is_box)
            parser->has_content = is_top_level(box.type);
        if (!parser->has_content)
            return media_fail(parser->why, "not_media", NULL);
        // Players let bytes pass that some cameras leave behind the last box; so do we.
        if (!is_box)
            return parser->has_index || media_fail(parser->why, "truncated", NULL);
        if (!visit_top_level(parser, &box))
            return false;
        at = box.end;
    }
    return true;
}

bool media_boxes_read(int fd, struct media_boxes *out, struct media_failure *why)
{
    off_t file_bytes = lseek(fd, 0, SEEK_END);
    if (file_bytes < 0)
        return media_fail(why, "internal", "The file cannot be read.");
    *out = (struct media_boxes){.file_bytes = file_bytes};
    if (file_bytes == 0)
        return media_fail(why, "empty", NULL);
    struct parser parser = {.fd = fd, .out = out, .why = why, .boxes_left = MEDIA_BOXES};
    if (!walk_file(&parser))
        return false;
    if (!parser.has_index && parser.is_picture)
        return media_fail(why, "not_media", NULL);
    // With an index at the front, the cut box is told by what the tracks need of it.
    if (!parser.has_index || (parser.is_cut && out->is_fragmented))
        return media_fail(why, "truncated", NULL);
    return true;
}

bool media_boxes_check_offsets(int fd, const struct media_boxes *boxes,
                               const struct media_track *track, struct media_failure *why)
{
    unsigned char bytes[8192];
    struct parser parser = {.fd = fd, .why = why};
    size_t entry = track->has_wide_offsets ? 8 : 4;
    for (uint32_t done = 0; done < track->offsets.count;) {
        uint32_t left = track->offsets.count - done;
        uint32_t count = left < sizeof bytes / 8 ? left : (uint32_t)(sizeof bytes / 8);
        if (!read_at(&parser, bytes, count * entry,
                     track->offsets.offset + (int64_t)(done * entry)))
            return false;
        for (uint32_t i = 0; i < count; i++) {
            const unsigned char *at = bytes + i * entry;
            uint64_t offset = entry == 8 ? big_endian_64(at) : big_endian_32(at);
            if (offset >= (uint64_t)boxes->file_bytes)
                return media_fail(why, "truncated", NULL);
        }
        done += count;
    }
    return true;
}
