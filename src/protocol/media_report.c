// Writes and reads the media child's report lines, and holds the table of its codes.
#include "protocol/media_report.h"

#include "base/text.h"
#include "protocol/confinement.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LINE_LIMIT_BYTES = 512, CENTI_DB_LIMIT = 100000 }; // 1000 dB: more than any sound has

struct code {
    const char *name;
    bool is_permanent;
    const char *sentence;
};

// Permanent: the file is the reason, and another try would end the same way.
static const struct code codes[] = {
    {"empty", true, "This file is empty."},
    {"not_media", true, "This is not an MP4, M4A or MOV file."},
    {"no_audio", true, "This video has no audio track."},
    {"no_such_track", true, "This file has no such audio track."},
    {"encrypted", true, "This video is copy-protected, so its audio cannot be read."},
    {"truncated", true, "This file is incomplete: a part of it is missing."},
    {"too_long", true, "This video is longer than is allowed here."},
    {"empty_selection", true, "There is no sound in the part that was chosen."},
    {"too_complex", true, "This file is built in a way that is too large to read safely."},
    {"unsupported_codec", true, "The audio in this file is of a kind that cannot be converted."},
    {"decoder_crash", true, "This file is damaged in a way that makes the decoder fail."},
    {"unknown_options", false,
     "Something was chosen that the converter does not know yet. Please try again later."},
    {"no_space", false, "There was no room left to store the MP3."},
    {"timed_out", false, "The conversion took too long and was stopped."},
    {"cancelled", false, "The conversion was stopped."},
    {"gave_up", false, "The conversion failed several times. Please try again later."},
    {"internal", false, "Something went wrong on our side. Please try again later."},
};

static const struct code *find_code(const char *name)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(codes[i].name, name) == 0)
            return &codes[i];
    return NULL;
}

bool media_code_is_permanent(const char *code)
{
    const struct code *found = find_code(code);
    return found != NULL && found->is_permanent;
}

const char *media_code_sentence(const char *code)
{
    const struct code *found = find_code(code);
    return found != NULL ? found->sentence : "The conversion failed.";
}

static bool parse_progress(const char *text, struct media_report *out)
{
    int64_t permille;
    if (!text_parse_integer(text, 0, 1000, &permille))
        return false;
    out->kind = MEDIA_PROGRESS;
    out->progress_permille = (int)permille;
    return true;
}

// The number of a word NAME=NUMBER at the start of the text; false if it is another word.
static bool parse_word(const char *text, const char *name, int64_t least, int64_t most,
                       int64_t *out)
{
    size_t name_size = strlen(name), size = strcspn(text, " ");
    char number[32];
    if (size <= name_size || size - name_size >= sizeof number || !text_starts_with(text, name))
        return false;
    memcpy(number, text + name_size, size - name_size);
    number[size - name_size] = '\0';
    return text_parse_integer(number, least, most, out);
}

// The duration comes first; words that a later version adds behind it are passed over.
static bool parse_done(const char *text, struct media_report *out)
{
    if (!parse_word(text, "duration_ms=", 0, INT64_MAX, &out->duration_ms))
        return false;
    while (*(text += strcspn(text, " ")) != '\0') {
        text++;
        out->has_loudness |= parse_word(text, "loudness_centi_lufs=", -CENTI_DB_LIMIT,
                                        CENTI_DB_LIMIT, &out->loudness_centi_lufs);
        out->has_gain |= parse_word(text, "gain_centi_db=", -CENTI_DB_LIMIT, CENTI_DB_LIMIT,
                                    &out->gain_centi_db);
    }
    out->kind = MEDIA_DONE;
    return true;
}

static bool parse_fail(const char *text, struct media_report *out)
{
    size_t size = 0;
    while (islower((unsigned char)text[size]) || text[size] == '_')
        size++;
    if (size == 0 || size >= sizeof out->code || text[size] != ' ' || text[size + 1] == '\0')
        return false;
    memcpy(out->code, text, size);
    out->code[size] = '\0';
    const char *detail = text + size + 1;
    text_clean(out->detail, sizeof out->detail, detail, strlen(detail));
    out->kind = MEDIA_FAIL;
    return true;
}

void media_report_parse(const char *line, size_t size, struct media_report *out)
{
    *out = (struct media_report){.kind = MEDIA_MALFORMED};
    if (size > 0 && line[size - 1] == '\n')
        size--;
    if (size == 0 || size >= LINE_LIMIT_BYTES || memchr(line, '\0', size) != NULL)
        return;
    char text[LINE_LIMIT_BYTES];
    memcpy(text, line, size);
    text[size] = '\0';
    struct media_report report = {.kind = MEDIA_MALFORMED};
    bool is_known = false;
    if (text_starts_with(text, "progress "))
        is_known = parse_progress(text + strlen("progress "), &report);
    else if (text_starts_with(text, "done "))
        is_known = parse_done(text + strlen("done "), &report);
    else if (text_starts_with(text, "fail "))
        is_known = parse_fail(text + strlen("fail "), &report);
    else if (text_starts_with(text, "confined ")) {
        report.kind = MEDIA_CONFINED;
        is_known = confinement_parse(text + strlen("confined "), &report.layers);
    }
    if (is_known)
        *out = report;
}

static int format_done(const struct media_report *report, char *out, size_t out_size)
{
    char loudness[48] = "", gain[48] = "";
    if (report->has_loudness)
        snprintf(loudness, sizeof loudness, " loudness_centi_lufs=%" PRId64,
                 report->loudness_centi_lufs);
    if (report->has_gain)
        snprintf(gain, sizeof gain, " gain_centi_db=%" PRId64, report->gain_centi_db);
    return snprintf(out, out_size, "done duration_ms=%" PRId64 "%s%s\n", report->duration_ms,
                    loudness, gain);
}

size_t media_report_format(const struct media_report *report, char *out, size_t out_size)
{
    int length = 0;
    char detail[MEDIA_DETAIL_SIZE], layers[CONFINEMENT_TEXT_SIZE];
    switch (report->kind) {
    case MEDIA_PROGRESS:
        length = snprintf(out, out_size, "progress %d\n", report->progress_permille);
        break;
    case MEDIA_DONE:
        length = format_done(report, out, out_size);
        break;
    case MEDIA_FAIL:
        text_clean(detail, sizeof detail, report->detail, strlen(report->detail));
        length = snprintf(out, out_size, "fail %s %s\n", report->code,
                          detail[0] != '\0' ? detail : media_code_sentence(report->code));
        break;
    case MEDIA_CONFINED:
        confinement_format(report->layers, layers);
        length = snprintf(out, out_size, "confined %s\n", layers);
        break;
    case MEDIA_MALFORMED:
        break;
    }
    // A line that was cut would be read as something else: better none.
    return length > 0 && (size_t)length < out_size ? (size_t)length : 0;
}
