// Which of a file's audio tracks is meant: the main one, one by its number, or one by its language.
#include "media/media_boxes.h"

#include "base/buf.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

static bool is_audio(const struct media_track *track)
{
    return track->handler == MEDIA_FOURCC('s', 'o', 'u', 'n');
}

// The first enabled one of a language, else its first; "" is any language.
static const struct media_track *find_language(const struct media_boxes *boxes, const char *wanted)
{
    const struct media_track *found = NULL;
    for (unsigned i = 0; i < boxes->track_count; i++) {
        const struct media_track *track = &boxes->tracks[i];
        if (!is_audio(track) || (wanted[0] != '\0' && !media_language_is(track->language, wanted)))
            continue;
        if (found == NULL || (track->is_enabled && !found->is_enabled))
            found = track;
    }
    return found;
}

static const struct media_track *find_number(const struct media_boxes *boxes, int64_t number)
{
    for (unsigned i = 0; i < boxes->track_count; i++)
        if (is_audio(&boxes->tracks[i]) && --number == 0)
            return &boxes->tracks[i];
    return NULL;
}

// "1 English (eng), 2 German (deu)", as far as it fits.
static void list_tracks(const struct media_boxes *boxes, char *out, size_t size)
{
    int number = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < boxes->track_count; i++) {
        const struct media_track *track = &boxes->tracks[i];
        if (!is_audio(track))
            continue;
        const char *name = media_language_name(track->language);
        const char *tag = track->language;
        char entry[96];
        snprintf(entry, sizeof entry, "%s%d %s%s%s%s", number > 0 ? ", " : "", number + 1,
                 name != NULL     ? name
                 : tag[0] != '\0' ? tag
                                  : "without a language",
                 name != NULL ? " (" : "", name != NULL ? tag : "", name != NULL ? ")" : "");
        number++;
        size_t used = strlen(out);
        if (used + strlen(entry) + strlen(", …") >= size) {
            text_copy(out + used, size - used, ", …");
            return;
        }
        text_copy(out + used, size - used, entry);
    }
}

static void fail_no_such_track(const struct media_boxes *boxes, const char *wanted,
                               struct media_failure *why)
{
    char readable[MEDIA_LANGUAGE_SIZE];
    char list[160];
    text_clean(readable, sizeof readable, wanted, strlen(wanted));
    list_tracks(boxes, list, sizeof list);
    media_fail(why, "no_such_track", "There is no track \"%s\". This file has: %s.", readable,
               list);
}

const struct media_track *media_boxes_choose_audio(const struct media_boxes *boxes,
                                                   const char *wanted, struct media_failure *why)
{
    int64_t number;
    const char *name = wanted != NULL ? wanted : "";
    const struct media_track *chosen = find_language(boxes, "");
    if (chosen == NULL) {
        media_fail(why, "no_audio", NULL);
        return NULL;
    }
    if (text_parse_integer(name, 1, INT32_MAX, &number))
        chosen = find_number(boxes, number);
    else
        chosen = find_language(boxes, name);
    if (chosen == NULL)
        fail_no_such_track(boxes, name, why);
    else if (chosen->is_encrypted)
        media_fail(why, "encrypted", NULL);
    return chosen == NULL || chosen->is_encrypted ? NULL : chosen;
}
