#include "media/media_metadata.h"

#include "base/alloc.h"
#include "media/media_chapters.h"
#include "media/media_cover.h"
#include "media/media_texts.h"

static const char *const text_names[MEDIA_TEXTS] = {
    [MEDIA_TITLE] = "title",       [MEDIA_ARTIST] = "artist",
    [MEDIA_ALBUM] = "album",       [MEDIA_ALBUM_ARTIST] = "album_artist",
    [MEDIA_COMPOSER] = "composer", [MEDIA_GENRE] = "genre",
    [MEDIA_DATE] = "date",         [MEDIA_TRACK_NUMBER] = "track",
    [MEDIA_DISC_NUMBER] = "disc",  [MEDIA_COPYRIGHT] = "copyright",
    [MEDIA_COMMENT] = "comment",   [MEDIA_LYRICS] = "lyrics",
};

const char *media_text_name(enum media_text text)
{
    return text_names[text];
}

void media_metadata_read(int fd, const struct media_boxes *boxes, struct media_metadata *out)
{
    struct media_box_reader reader = {.fd = fd, .boxes_left = MEDIA_BOXES};
    *out = (struct media_metadata){.fd = fd};
    media_texts_read(&reader, boxes->index_start, boxes->index_end, out);
    if (out->cover.mime == NULL)
        media_cover_of_track(&reader, boxes, &out->cover);
    media_chapters_read(&reader, boxes, out);
}

void media_metadata_finish(struct media_metadata *metadata)
{
    for (int i = 0; i < MEDIA_TEXTS; i++)
        free(metadata->texts[i]);
    free(metadata->itunes_priming);
    for (unsigned i = 0; i < metadata->chapter_count; i++)
        free(metadata->chapters[i].title);
    free(metadata->chapters);
    *metadata = (struct media_metadata){.fd = -1};
}

void media_metadata_cut(struct media_metadata *metadata, int64_t start_ms, int64_t end_ms)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < metadata->chapter_count; i++) {
        struct media_chapter chapter = metadata->chapters[i];
        if (end_ms > 0 && chapter.end_ms > end_ms)
            chapter.end_ms = end_ms;
        chapter.end_ms -= start_ms;
        chapter.start_ms = chapter.start_ms > start_ms ? chapter.start_ms - start_ms : 0;
        if (chapter.start_ms < chapter.end_ms)
            metadata->chapters[kept++] = chapter;
        else
            free(chapter.title);
    }
    metadata->chapter_count = kept;
}
