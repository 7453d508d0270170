// Nero's list is described nowhere but in programs that read it: times are in units of 100 ns.
#include "media/media_chapters.h"

#include "base/alloc.h"
#include "media/media_big_endian.h"
#include "media/media_charset.h"
#include "media/media_samples.h"

#include <string.h>

enum { EMPTY_EDITS = 8, TICKS_PER_MS = 10000 };

// 49 days: what a tag's 32 bits can hold. What begins later is no chapter.
static const int64_t LATEST_MS = UINT32_MAX - 1;

static void add(struct media_metadata *out, int64_t start_ms, int64_t end_ms, char *title)
{
    if (out->chapters == NULL)
        out->chapters = alloc_zeroed(MEDIA_CHAPTERS, sizeof *out->chapters);
    if (title == NULL)
        title = alloc_format("Chapter %u", out->chapter_count + 1);
    out->chapters[out->chapter_count++] =
        (struct media_chapter){.start_ms = start_ms, .end_ms = end_ms, .title = title};
}

static int by_start(const void *one, const void *other)
{
    const struct media_chapter *a = one, *b = other;
    return a->start_ms < b->start_ms ? -1 : a->start_ms > b->start_ms;
}

// A chapter ends where the next one begins; of those that begin together the last one stays.
static void put_in_order(struct media_metadata *out)
{
    unsigned kept = 0;
    if (out->chapter_count > 1)
        qsort(out->chapters, out->chapter_count, sizeof *out->chapters, by_start);
    for (unsigned i = 0; i < out->chapter_count; i++) {
        struct media_chapter chapter = out->chapters[i];
        bool is_last = i + 1 == out->chapter_count;
        if (!is_last && chapter.end_ms > out->chapters[i + 1].start_ms)
            chapter.end_ms = out->chapters[i + 1].start_ms;
        if (chapter.start_ms < chapter.end_ms)
            out->chapters[kept++] = chapter;
        else
            free(chapter.title);
    }
    out->chapter_count = kept;
}

static int64_t to_ms(int64_t time, uint32_t timescale)
{
    double ms = (double)time * 1000 / timescale;
    return ms < 0 ? 0 : ms < (double)LATEST_MS ? (int64_t)(ms + 0.5) : LATEST_MS;
}

// ---- the text track ----

static const struct media_track *find_track(const struct media_boxes *boxes)
{
    for (unsigned i = 0; i < boxes->track_count; i++) {
        const struct media_track *track = &boxes->tracks[i];
        bool is_text = track->handler == MEDIA_FOURCC('t', 'e', 'x', 't') ||
                       track->handler == MEDIA_FOURCC('s', 'b', 't', 'l');
        for (unsigned k = 0; is_text && k < boxes->track_count * MEDIA_CHAPTER_TRACKS; k++)
            if (track->id != 0 &&
                boxes->tracks[k / MEDIA_CHAPTER_TRACKS].chapter_ids[k % MEDIA_CHAPTER_TRACKS] ==
                    track->id)
                return track;
    }
    return NULL;
}

// What the edit list moves the track by: silence in front of it and the time it begins at.
static int64_t shift_ms(const struct media_box_reader *reader, const struct media_boxes *boxes,
                        const struct media_track *track)
{
    int64_t shift = 0;
    size_t size = track->has_wide_edits ? 20 : 12;
    for (uint32_t i = 0; i < track->edits.count && i < EMPTY_EDITS && boxes->timescale > 0; i++) {
        unsigned char bytes[20];
        if (!media_box_bytes(reader, bytes, size, track->edits.offset + (int64_t)(i * size)))
            break;
        uint64_t duration = track->has_wide_edits ? big_endian_64(bytes) : big_endian_32(bytes);
        int64_t time = track->has_wide_edits ? (int64_t)big_endian_64(bytes + 8)
                                             : (int32_t)big_endian_32(bytes + 4);
        if (time >= 0)
            return shift - to_ms(time, track->timescale);
        shift += to_ms(duration < INT64_MAX ? (int64_t)duration : INT64_MAX, boxes->timescale);
    }
    return shift;
}

// A sample is the text's size, the text, and perhaps boxes with its style and encoding. The size
// lies in samples that are cut: what is there counts.
static char *read_title(const struct media_box_reader *reader, const struct media_sample *sample)
{
    unsigned char bytes[2 + MEDIA_TAG_BYTES];
    size_t size =
        sample->size_bytes < (int64_t)sizeof bytes ? (size_t)sample->size_bytes : sizeof bytes;
    if (size < 2 || !media_box_bytes(reader, bytes, size, sample->offset))
        return NULL;
    size_t text = big_endian_16(bytes);
    return media_charset_decode(MEDIA_CHARSET_GUESSED, bytes + 2, text < size - 2 ? text : size - 2,
                                false, MEDIA_TAG_BYTES - 1);
}

static void read_track(const struct media_box_reader *reader, const struct media_boxes *boxes,
                       const struct media_track *track, struct media_metadata *out)
{
    if (track->timescale == 0 || !media_samples_can_walk(track))
        return;
    SCOPED(media_samples_close)
    struct media_samples *samples = media_samples_open(reader->fd, boxes, track, NULL);
    int64_t shift = shift_ms(reader, boxes, track);
    struct media_sample sample;
    struct media_failure ignored;
    while (out->chapter_count < MEDIA_CHAPTERS &&
           media_samples_next(samples, &sample, &ignored) == 1) {
        int64_t start_ms = to_ms(sample.time, track->timescale) + shift;
        int64_t end_ms = to_ms(sample.time + sample.duration, track->timescale) + shift;
        if (end_ms > 0 && start_ms < LATEST_MS)
            add(out, start_ms > 0 ? start_ms : 0, end_ms, read_title(reader, &sample));
    }
}

// ---- chpl ----

static bool find_list(struct media_box_reader *reader, const struct media_boxes *boxes,
                      struct media_box *out)
{
    struct media_box box;
    for (int64_t at = boxes->index_start; media_box_next(reader, &at, boxes->index_end, &box);)
        if (box.type == MEDIA_FOURCC('u', 'd', 't', 'a') &&
            media_box_find(reader, box.body, box.end, MEDIA_FOURCC('c', 'h', 'p', 'l'), out))
            return true;
    return false;
}

// In version 1 the count has 32 bits behind a byte without meaning.
static uint32_t read_count(const struct media_box_reader *reader, const struct media_box *list,
                           int64_t *out_first)
{
    unsigned char head[9];
    *out_first = list->body + 5;
    if (list->end - list->body < 5 || !media_box_bytes(reader, head, 5, list->body))
        return 0;
    if (head[0] == 0)
        return head[4];
    *out_first = list->body + 9;
    if (list->end - list->body < 9 || !media_box_bytes(reader, head, sizeof head, list->body))
        return 0;
    return big_endian_32(head + 5);
}

static void read_list(const struct media_box_reader *reader, const struct media_boxes *boxes,
                      const struct media_box *list, struct media_metadata *out)
{
    int64_t at;
    uint32_t count = read_count(reader, list, &at);
    for (uint32_t i = 0; i < count && out->chapter_count < MEDIA_CHAPTERS; i++) {
        unsigned char entry[9 + 255];
        if (list->end - at < 9 || !media_box_bytes(reader, entry, 9, at) ||
            list->end - at - 9 < entry[8] || !media_box_bytes(reader, entry + 9, entry[8], at + 9))
            break;
        at += 9 + entry[8];
        uint64_t start_ms = big_endian_64(entry) / TICKS_PER_MS;
        if (start_ms >= (uint64_t)LATEST_MS)
            continue;
        add(out, (int64_t)start_ms, LATEST_MS,
            media_charset_decode(MEDIA_CHARSET_GUESSED, entry + 9, entry[8], false,
                                 MEDIA_TAG_BYTES - 1));
    }
    put_in_order(out);
    // The last one ends with the film.
    struct media_chapter *last =
        out->chapter_count > 0 ? &out->chapters[out->chapter_count - 1] : NULL;
    int64_t end_ms = boxes->timescale > 0 && boxes->duration < (uint64_t)INT64_MAX
                         ? to_ms((int64_t)boxes->duration, boxes->timescale)
                         : 0;
    if (last != NULL)
        last->end_ms = end_ms > last->start_ms ? end_ms : last->start_ms + 1;
}

// ffmpeg lets the text track begin at 0, wherever the first chapter does; its list is right.
static void correct_start(const struct media_box_reader *reader, const struct media_box *list,
                          struct media_metadata *out)
{
    int64_t at;
    unsigned char start[8];
    if (read_count(reader, list, &at) != out->chapter_count || list->end - at < 9 ||
        !media_box_bytes(reader, start, sizeof start, at))
        return;
    uint64_t start_ms = big_endian_64(start) / TICKS_PER_MS;
    if (start_ms < (uint64_t)out->chapters[0].end_ms)
        out->chapters[0].start_ms = (int64_t)start_ms;
}

void media_chapters_read(struct media_box_reader *reader, const struct media_boxes *boxes,
                         struct media_metadata *out)
{
    const struct media_track *track = find_track(boxes);
    if (track != NULL)
        read_track(reader, boxes, track, out);
    put_in_order(out);
    struct media_box list;
    if (!find_list(reader, boxes, &list))
        return;
    if (out->chapter_count == 0)
        read_list(reader, boxes, &list, out);
    else
        correct_start(reader, &list, out);
}
