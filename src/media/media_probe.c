#include "media/media_probe.h"

#include "media/media_cover.h"
#include "media/media_metadata.h"
#include "media/media_probe_track.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LISTENING_PROCESSOR_S = 5 };

static void set_number(json_t *object, const char *name, int64_t value)
{
    json_object_set_new(object, name, json_integer(value));
}

static void set_number_if(json_t *object, const char *name, int64_t value)
{
    if (value > 0)
        set_number(object, name, value);
}

static void set_text_if(json_t *object, const char *name, const char *text)
{
    if (text != NULL && text[0] != '\0')
        json_object_set_new(object, name, json_string(text));
}

// Four letters, or nothing where they are none.
static void set_letters(json_t *object, const char *name, uint32_t letters)
{
    char text[5] = {0};
    for (int i = 0; i < 4; i++)
        text[i] = (char)(letters >> (24 - 8 * i) & 0xff);
    for (int i = 0; i < 4; i++)
        if (!isprint((unsigned char)text[i]))
            return;
    for (int i = 3; i >= 0 && text[i] == ' '; i--)
        text[i] = '\0';
    set_text_if(object, name, text);
}

static void set_verdict(json_t *object, bool is_convertible, const struct media_failure *why)
{
    json_object_set_new(object, "convertible", json_boolean(is_convertible));
    if (is_convertible)
        return;
    json_t *reason = json_object();
    set_text_if(reason, "code", why->code);
    set_text_if(reason, "detail", why->detail);
    json_object_set_new(object, "reason", reason);
}

static json_t *track_of(int fd, const struct media_boxes *boxes, const struct media_track *track,
                        unsigned number, bool is_default, bool may_listen)
{
    struct media_track_facts facts;
    json_t *object = json_object();
    media_probe_track(fd, boxes, track, number, may_listen, &facts);
    set_number(object, "number", number);
    set_number(object, "id", track->id);
    set_text_if(object, "language", track->language);
    set_text_if(object, "language_name", media_language_name(track->language));
    set_text_if(object, "name", track->name);
    set_letters(object, "format", track->format);
    set_text_if(object, "codec", facts.codec);
    set_text_if(object, "profile", facts.profile);
    set_number_if(object, "channels", facts.channels);
    set_text_if(object, "layout", facts.layout);
    set_number_if(object, "rate_hz", facts.rate_hz);
    set_number_if(object, "duration_ms", facts.duration_ms);
    set_number_if(object, "bit_rate", facts.bit_rate);
    json_object_set_new(object, "default", json_boolean(is_default));
    json_object_set_new(object, "encrypted", json_boolean(track->is_encrypted));
    set_verdict(object, facts.is_convertible, &facts.why);
    return object;
}

// The file can be converted when the track can that is taken without a choice. Each track opens the
// file anew: of many, in a file that is slow to open, the last ones are not listened to.
static void add_tracks(json_t *object, int fd, const struct media_boxes *boxes)
{
    struct media_failure why = {0};
    json_t *list = json_array();
    const struct media_track *main_track = media_boxes_choose_audio(boxes, "", &why);
    json_t *main_object = NULL;
    unsigned number = 0;
    clock_t end = clock() + LISTENING_PROCESSOR_S * CLOCKS_PER_SEC;
    for (unsigned i = 0; i < boxes->track_count; i++) {
        const struct media_track *track = &boxes->tracks[i];
        if (track->handler != MEDIA_FOURCC('s', 'o', 'u', 'n'))
            continue;
        json_t *one = track_of(fd, boxes, track, ++number, track == main_track, clock() < end);
        json_array_append_new(list, one);
        if (track == main_track)
            main_object = one;
    }
    if (main_object == NULL) {
        set_verdict(object, false, &why);
    } else {
        json_object_set(object, "convertible", json_object_get(main_object, "convertible"));
        json_object_set(object, "reason", json_object_get(main_object, "reason"));
    }
    json_object_set_new(object, "audio", list);
}

static void add_cover(json_t *object, int fd, const struct media_cover *cover)
{
    unsigned width, height;
    if (cover->mime == NULL)
        return;
    json_t *one = json_object();
    set_text_if(one, "mime", cover->mime);
    set_number(one, "size_bytes", cover->size_bytes);
    if (media_cover_measure(fd, cover, &width, &height)) {
        set_number(one, "width", width);
        set_number(one, "height", height);
    }
    json_object_set_new(object, "cover", one);
}

static void add_metadata(json_t *object, int fd, const struct media_boxes *boxes)
{
    struct media_metadata metadata;
    media_metadata_read(fd, boxes, &metadata);
    json_t *tags = json_object();
    for (int i = 0; i < MEDIA_TEXTS; i++)
        set_text_if(tags, media_text_name((enum media_text)i), metadata.texts[i]);
    json_object_set_new(object, "tags", tags);
    add_cover(object, fd, &metadata.cover);
    json_t *chapters = json_array();
    for (unsigned i = 0; i < metadata.chapter_count; i++) {
        const struct media_chapter *chapter = &metadata.chapters[i];
        json_t *one = json_object();
        set_number(one, "start_ms", chapter->start_ms);
        set_number(one, "end_ms", chapter->end_ms);
        json_object_set_new(one, "title", json_string(chapter->title));
        json_array_append_new(chapters, one);
    }
    json_object_set_new(object, "chapters", chapters);
    media_metadata_finish(&metadata);
}

static void add_file(json_t *object, int fd, const struct media_boxes *boxes)
{
    set_letters(object, "brand", boxes->brand);
    set_number_if(object, "duration_ms", media_probe_ms(boxes->duration, boxes->timescale));
    json_object_set_new(object, "fragmented", json_boolean(boxes->is_fragmented));
    add_tracks(object, fd, boxes);
    add_metadata(object, fd, boxes);
}

static bool append_json(const json_t *object, struct buf *out, struct media_failure *why)
{
    char *text = json_dumps(object, JSON_INDENT(2));
    bool is_done = text != NULL && buf_append_text(out, text) && buf_append(out, "\n", 1);
    free(text);
    return is_done || media_fail(why, "internal", "There is not enough memory.");
}

void media_probe_prepare(void)
{
    json_object_seed(1); // no stranger chooses names of members here
}

bool media_probe(int fd, struct buf *out, struct media_failure *why)
{
    struct media_boxes boxes;
    struct media_failure reason;
    bool is_media = media_boxes_read(fd, &boxes, &reason);
    if (!is_media && strcmp(reason.code, "internal") == 0) {
        *why = reason;
        return false;
    }
    json_t *object = json_object();
    set_number(object, "size_bytes", boxes.file_bytes);
    if (is_media)
        add_file(object, fd, &boxes);
    else
        set_verdict(object, false, &reason);
    bool is_done = append_json(object, out, why);
    json_decref(object);
    return is_done;
}
