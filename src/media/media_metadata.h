#pragma once
// What a file knows about itself beside its sound: texts, a picture, chapters. Damage in here
// never fails a conversion: what cannot be read is left out.

#include "base/scope.h"
#include "media/media_boxes.h"

enum {
    MEDIA_CHAPTERS = 1000,
    MEDIA_COVER_BYTES = 16 * 1024 * 1024,
    MEDIA_LONG_TEXT_BYTES = 64 * 1024, // a comment or the lyrics; others have MEDIA_TAG_BYTES
};

enum media_text {
    MEDIA_TITLE,
    MEDIA_ARTIST,
    MEDIA_ALBUM,
    MEDIA_ALBUM_ARTIST,
    MEDIA_COMPOSER,
    MEDIA_GENRE,
    MEDIA_DATE,         // "2019", "2019-05-03", "2019-05-03T07:00:00Z"
    MEDIA_TRACK_NUMBER, // "3" or "3/12"
    MEDIA_DISC_NUMBER,
    MEDIA_COPYRIGHT,
    MEDIA_COMMENT,
    MEDIA_LYRICS,
    MEDIA_TEXTS,
};

// Stays in the file until it is written: a cover may be larger than all else that we hold.
struct media_cover {
    const char *mime; // image/jpeg or image/png, by its first bytes; NULL: there is no cover
    int64_t offset;
    uint32_t size_bytes;
};

struct media_chapter {
    int64_t start_ms;
    int64_t end_ms;
    char *title; // never NULL
};

struct media_metadata {
    int fd;                   // borrowed
    char *texts[MEDIA_TEXTS]; // UTF-8, never ""; NULL: the file does not say
    char *itunes_priming;     // iTunes' comment for media_presentation_cut_itunes; NULL: none
    struct media_cover cover;
    unsigned chapter_count;
    struct media_chapter *chapters; // by time, none empty or inside another
};

// Borrows the descriptor for as long as the metadata lives.
void media_metadata_read(int fd, const struct media_boxes *boxes, struct media_metadata *out);
void media_metadata_finish(struct media_metadata *metadata);

// What is left when the sound is cut to this stretch, counted from its start; 0 is no end.
void media_metadata_cut(struct media_metadata *metadata, int64_t start_ms, int64_t end_ms);

// "title", "album_artist", ... as in the JSON of `unreel probe`.
const char *media_text_name(enum media_text text);
