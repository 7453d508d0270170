#include "roles/notifier/notifier_letter.h"

#include "base/clock.h"
#include "base/text.h"
#include "protocol/media_report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { NAME_SIZE = 256, PHRASE_SIZE = 64 };

struct facts {
    char name[NAME_SIZE]; // a clean line
    const char *link_token;
    const char *code, *detail;
    int64_t duration_ms, audio_bytes, expires_at_ms; // 0 for not known
};

void notifier_public_url(const char *setting, const char *listen, char *out, size_t out_size)
{
    static const char *const everywhere[] = {"0.0.0.0:", "[::]:", "*:"};
    if (setting[0] != '\0')
        snprintf(out, out_size, "%s", setting);
    else if (text_starts_with(listen, "unix:"))
        snprintf(out, out_size, "http://localhost");
    else
        snprintf(out, out_size, "http://%s", listen);
    for (size_t i = 0; setting[0] == '\0' && i < sizeof everywhere / sizeof everywhere[0]; i++)
        if (text_starts_with(listen, everywhere[i]))
            snprintf(out, out_size, "http://localhost:%s", listen + strlen(everywhere[i]));
    size_t size = strlen(out);
    while (size > 0 && out[size - 1] == '/')
        out[--size] = '\0';
}

// ---- phrases ----

static void phrase_count(char *out, size_t out_size, int64_t count, const char *unit)
{
    snprintf(out, out_size, "%" PRId64 " %s%s", count, unit, count == 1 ? "" : "s");
}

// "1 hour 2 minutes", "3 minutes 20 seconds", "12 seconds": the two largest units.
static void phrase_duration(char out[PHRASE_SIZE], int64_t duration_ms)
{
    char large[32], small[32];
    int64_t seconds = (duration_ms + 500) / 1000;
    int64_t minutes = seconds / 60;
    if (minutes >= 60) {
        phrase_count(large, sizeof large, minutes / 60, "hour");
        phrase_count(small, sizeof small, minutes % 60, "minute");
    } else {
        phrase_count(large, sizeof large, minutes, "minute");
        phrase_count(small, sizeof small, seconds % 60, "second");
    }
    bool has_large = minutes > 0;
    bool has_small = small[0] != '0' || !has_large;
    snprintf(out, PHRASE_SIZE, "%s%s%s", has_large ? large : "", has_large && has_small ? " " : "",
             has_small ? small : "");
}

// As shops count: a megabyte is a million bytes.
static void phrase_size(char out[PHRASE_SIZE], int64_t bytes)
{
    static const char *const units[] = {"kB", "MB", "GB", "TB"};
    double value = (double)bytes / 1000;
    size_t unit = 0;
    while (value >= 999.95 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1000;
        unit++;
    }
    snprintf(out, PHRASE_SIZE, "%.1f %s", value, units[unit]);
}

static void phrase_moment(char out[PHRASE_SIZE], int64_t unix_ms)
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm parts = {0};
    gmtime_r(&seconds, &parts);
    static const char *const months[] = {"January",   "February", "March",    "April",
                                         "May",       "June",     "July",     "August",
                                         "September", "October",  "November", "December"};
    snprintf(out, PHRASE_SIZE, "%d %s %d, %02d:%02d UTC", parts.tm_mday, months[parts.tm_mon],
             parts.tm_year + 1900, parts.tm_hour, parts.tm_min);
}

// ---- texts ----

static const struct {
    const char *code;
    const char *advice;
} advices[] = {
    {"empty", "Please look whether the video plays on your side, and upload it again."},
    {"not_media", "Please upload the video itself: an MP4, M4V, MOV or M4A file."},
    {"no_audio", "Please upload a video that has sound."},
    {"no_such_track",
     "Please choose a track that the video has, or none: then its main one is taken."},
    {"encrypted", "Videos from shops and streaming services are often locked like that. A copy\n"
                  "without the lock can be converted."},
    {"truncated", "Please copy or download the video again, look whether it plays to its end, and\n"
                  "upload it once more."},
    {"too_long", "Please cut the video into shorter parts and upload them one by one."},
    {"empty_selection", "Please choose two times that lie inside the video."},
    {"too_complex", "Please save the video again with another program, as a plain MP4, and upload\n"
                    "that."},
    {"unsupported_codec", "Please save the video again as an MP4 with AAC sound, and upload that."},
    {"decoder_crash", "Please save the video again with another program, as a plain MP4, and\n"
                      "upload that."},
    {"timed_out", "Please cut the video into shorter parts and upload them one by one."},
};

static const char *advice_for(const char *code)
{
    for (size_t i = 0; i < sizeof advices / sizeof advices[0]; i++)
        if (strcmp(advices[i].code, code) == 0)
            return advices[i].advice;
    return "This was not the fault of your video. Please try it again.";
}

static bool write_ready(const struct facts *facts, const char *id, const char *public_url,
                        struct buf *subject, struct buf *body)
{
    char duration[PHRASE_SIZE], size[PHRASE_SIZE], moment[PHRASE_SIZE];
    phrase_duration(duration, facts->duration_ms);
    phrase_size(size, facts->audio_bytes);
    phrase_moment(moment, facts->expires_at_ms);
    return buf_printf(subject, "Your MP3 is ready: %s", facts->name) &&
           buf_printf(body, "Hello,\n\nthe MP3 of \"%s\" is ready: %s, %s.\n\n", facts->name,
                      duration, size) &&
           (facts->link_token == NULL ||
            buf_printf(body, "Download it with this link:\n\n    %s/d/%s\n\n", public_url,
                       facts->link_token)) &&
           buf_printf(body, "Its id is\n\n    %s\n\n", id) &&
           buf_printf(body,
                      "Programs fetch it by that id, with a token (%s/ says how):\n\n"
                      "    curl -OJ -H \"Authorization: Bearer YOUR_TOKEN\" \\\n"
                      "        %s/api/v1/conversions/%s/audio\n",
                      public_url, public_url, id) &&
           (facts->expires_at_ms == 0 || buf_printf(body, "\nIt is kept until %s.\n", moment)) &&
           buf_append_text(body, "\nUnreel\n");
}

static bool write_failed(const struct facts *facts, const char *id, const char *public_url,
                         struct buf *subject, struct buf *body)
{
    const char *sentence = facts->detail != NULL && facts->detail[0] != '\0'
                               ? facts->detail
                               : media_code_sentence(facts->code);
    return buf_printf(subject, "Could not convert: %s", facts->name) &&
           buf_printf(body, "Hello,\n\n\"%s\" could not be made into an MP3.\n\n%s\n%s\n\n",
                      facts->name, sentence, advice_for(facts->code)) &&
           buf_printf(body, "The service is at %s/ ; the id of this conversion is\n\n    %s\n",
                      public_url, id) &&
           buf_append_text(body, "\nUnreel\n");
}

static const struct {
    const char *kind;
    bool (*write)(const struct facts *facts, const char *id, const char *public_url,
                  struct buf *subject, struct buf *body);
} kinds[] = {
    {"conversion_ready", write_ready},
    {"conversion_failed", write_failed},
};

static void read_facts(const json_t *params, struct facts *out)
{
    const char *name = json_string_value(json_object_get(params, "name"));
    const char *code = json_string_value(json_object_get(params, "code"));
    if (name == NULL || name[0] == '\0')
        name = "your video";
    text_clean(out->name, sizeof out->name, name, strlen(name));
    out->link_token = json_string_value(json_object_get(params, "link_token"));
    out->code = code != NULL ? code : "internal";
    out->detail = json_string_value(json_object_get(params, "detail"));
    out->duration_ms = json_integer_value(json_object_get(params, "duration_ms"));
    out->audio_bytes = json_integer_value(json_object_get(params, "audio_bytes"));
    out->expires_at_ms = json_integer_value(json_object_get(params, "expires_at_ms"));
}

bool notifier_letter_write(const struct letter *letter, const char *public_url,
                           struct buf *out_subject, struct buf *out_body, struct error *err)
{
    json_error_t problem;
    json_t *params = json_loads(letter->params, 0, &problem);
    if (params == NULL)
        return error_set(err, ERROR_INVALID, "the letter's parameters are not JSON");
    struct facts facts = {0};
    read_facts(params, &facts);
    bool has_text = false, is_complete = false;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].kind, letter->kind) != 0)
            continue;
        has_text = true;
        is_complete = kinds[i].write(&facts, letter->conversion, public_url, out_subject, out_body);
    }
    json_decref(params);
    if (!has_text)
        return error_set(err, ERROR_INVALID, "there is no text for letters of this kind");
    return is_complete || error_set(err, ERROR_INVALID, "the letter is too long");
}
