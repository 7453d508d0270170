#include "media/media_metadata.h"

#include "base/alloc.h"

#include <string.h>

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

void media_metadata_finish(struct media_metadata *metadata)
{
    for (int i = 0; i < MEDIA_TEXTS; i++)
        free(metadata->texts[i]);
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
