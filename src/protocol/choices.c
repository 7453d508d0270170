#include "protocol/choices.h"

#include "base/buf.h"
#include "base/text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HIGHEST_TRACK = 999,
    LOWEST_CENTI_LUFS = -7000,
    HIGHEST_CENTI_LUFS = -500,
};

// Longer than any file; the sum of three fields stays far below an overflow.
static const int64_t latest_ms = INT64_C(1000) * 3600 * 1000;

static bool is_digit(char letter)
{
    return letter >= '0' && letter <= '9';
}

static bool is_letter(char letter)
{
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z');
}

// At least one digit, at most nine; moves behind them.
static bool take_number(const char **text, int64_t *out)
{
    int digits = 0;
    for (*out = 0; is_digit(**text) && digits < 10; digits++, (*text)++)
        *out = *out * 10 + (**text - '0');
    return digits > 0 && digits < 10;
}

// ".5" in units of 10^-digits, 500 for three digits; nothing there is 0. More digits are refused,
// as they would be lost.
static bool take_fraction(const char **text, int digits, int64_t *out)
{
    *out = 0;
    if (**text != '.')
        return true;
    (*text)++;
    if (!is_digit(**text))
        return false;
    for (int i = 0; i < digits; i++) {
        *out *= 10;
        if (is_digit(**text))
            *out += *(*text)++ - '0';
    }
    return true;
}

// Seconds, or minutes and seconds, or hours, minutes and seconds; only the first of several
// numbers may be 60 or more.
static bool parse_time(const char *text, int64_t *out_ms)
{
    int64_t seconds = 0, number, fraction_ms;
    for (int i = 0;; i++) {
        if (!take_number(&text, &number) || (i > 0 && number >= 60))
            return false;
        seconds = seconds * 60 + number;
        if (*text != ':' || i == 2)
            break;
        text++;
    }
    if (!take_fraction(&text, 3, &fraction_ms) || *text != '\0')
        return false;
    *out_ms = seconds * 1000 + fraction_ms;
    return *out_ms <= latest_ms;
}

static void format_time(int64_t ms, char out[CHOICES_TEXT_SIZE])
{
    int length = snprintf(out, CHOICES_TEXT_SIZE, "%" PRId64 ".%03d", ms / 1000, (int)(ms % 1000));
    while (out[length - 1] == '0')
        out[--length] = '\0';
    if (out[length - 1] == '.')
        out[length - 1] = '\0';
}

static bool set_preset(struct choices *choices, const char *text)
{
    const struct preset *preset = preset_find(text);
    if (preset != NULL)
        choices->preset = preset;
    return preset != NULL;
}

static bool format_preset(const struct choices *choices, char out[CHOICES_TEXT_SIZE])
{
    return text_copy(out, CHOICES_TEXT_SIZE, choices->preset->name);
}

// The outer form of a BCP 47 tag: two or three letters, then "-" and one to eight letters or
// digits, several times. Which languages exist is the file's business.
static bool is_language(const char *text)
{
    size_t size = 0;
    while (is_letter(text[size]))
        size++;
    if (size != 2 && size != 3)
        return false;
    for (text += size; *text == '-'; text += size) {
        text++;
        size = 0;
        while (is_letter(text[size]) || is_digit(text[size]))
            size++;
        if (size < 1 || size > 8)
            return false;
    }
    return *text == '\0';
}

static bool set_track(struct choices *choices, const char *text)
{
    if (strlen(text) >= sizeof choices->track)
        return false;
    int64_t number;
    if (text_parse_integer(text, 1, HIGHEST_TRACK, &number)) {
        snprintf(choices->track, sizeof choices->track, "%d", (int)number);
        return true;
    }
    if (!is_language(text))
        return false;
    size_t i = 0;
    for (; text[i] != '\0'; i++)
        choices->track[i] =
            (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
    choices->track[i] = '\0';
    return true;
}

static bool format_track(const struct choices *choices, char out[CHOICES_TEXT_SIZE])
{
    return choices->track[0] != '\0' && text_copy(out, CHOICES_TEXT_SIZE, choices->track);
}

static bool set_mono(struct choices *choices, const char *text)
{
    bool is_mono = strcmp(text, "true") == 0;
    if (!is_mono && strcmp(text, "false") != 0)
        return false;
    choices->is_mono = is_mono;
    return true;
}

static bool format_mono(const struct choices *choices, char out[CHOICES_TEXT_SIZE])
{
    return choices->is_mono && text_copy(out, CHOICES_TEXT_SIZE, "true");
}

static bool set_start(struct choices *choices, const char *text)
{
    int64_t start_ms;
    if (!parse_time(text, &start_ms))
        return false;
    choices->start_ms = start_ms;
    return true;
}

static bool format_start(const struct choices *choices, char out[CHOICES_TEXT_SIZE])
{
    if (choices->start_ms > 0)
        format_time(choices->start_ms, out);
    return choices->start_ms > 0;
}

// An end of 0 would keep nothing; the table's sentence says what is right.
static bool set_end(struct choices *choices, const char *text)
{
    int64_t end_ms;
    if (!parse_time(text, &end_ms) || end_ms == 0)
        return false;
    choices->end_ms = end_ms;
    return true;
}

static bool format_end(const struct choices *choices, char out[CHOICES_TEXT_SIZE])
{
    if (choices->end_ms > 0)
        format_time(choices->end_ms, out);
    return choices->end_ms > 0;
}

static bool set_loudness(struct choices *choices, const char *text)
{
    int64_t whole, fraction;
    if (*text++ != '-' || !take_number(&text, &whole) || !take_fraction(&text, 2, &fraction) ||
        *text != '\0')
        return false;
    int64_t centi_lufs = -(whole * 100 + fraction);
    if (centi_lufs < LOWEST_CENTI_LUFS || centi_lufs > HIGHEST_CENTI_LUFS)
        return false;
    choices->has_loudness = true;
    choices->loudness_centi_lufs = (int)centi_lufs;
    return true;
}

static bool format_loudness(const struct choices *choices, char out[CHOICES_TEXT_SIZE])
{
    if (!choices->has_loudness)
        return false;
    out[0] = '-';
    char digits[CHOICES_TEXT_SIZE];
    format_time((int64_t)abs(choices->loudness_centi_lufs) * 10, digits);
    return text_copy(out + 1, CHOICES_TEXT_SIZE - 1, digits);
}

static const struct row {
    struct choice choice;
    const char *rule; // what is right, behind the name; NULL: the presets' names
    bool (*set)(struct choices *choices, const char *text);
    bool (*format)(const struct choices *choices, char out[CHOICES_TEXT_SIZE]);
} rows[] = {
    {{"preset", "NAME", "how good and how large (default: " PRESET_DEFAULT ")"},
     NULL,
     set_preset,
     format_preset},
    {{"track", "N|LANG", "which audio track: its number, or its language as deu, de or pt-BR"},
     "is the number of an audio track, from 1, or a language such as deu, de or pt-BR",
     set_track,
     format_track},
    {{"mono", NULL, "one channel"}, "is true or false", set_mono, format_mono},
    {{"start", "TIME", "leave out what comes before"},
     "is a time such as 83.5, 1:23.5 or 0:01:23.5",
     set_start,
     format_start},
    {{"end", "TIME", "leave out what comes after"},
     "is a time after 0 such as 83.5, 1:23.5 or 0:01:23.5",
     set_end,
     format_end},
    {{"loudness", "LUFS", "how loud as a whole, such as -16; never by cutting peaks"},
     "is a number of LUFS from -70 to -5 such as -16 or -16.5",
     set_loudness,
     format_loudness},
};

static const struct row *find_row(const char *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].choice.name, name) == 0)
            return &rows[i];
    return NULL;
}

static bool refuse(const struct row *row, const char *text, struct error *why)
{
    char readable[48];
    text_clean(readable, sizeof readable, text, strlen(text));
    if (row->rule != NULL)
        return error_set(why, ERROR_INVALID, "%s %s, not \"%s\".", row->choice.name, row->rule,
                         readable);
    SCOPED_BUF struct buf names;
    buf_init(&names, 1024);
    const struct preset *preset;
    for (size_t i = 0; (preset = preset_at(i)) != NULL; i++)
        buf_printf(&names, "%s%s", i == 0 ? "" : ", ", preset->name);
    return error_set(why, ERROR_INVALID, "%s is one of %s, not \"%s\".", row->choice.name,
                     names.bytes, readable);
}

void choices_init(struct choices *out)
{
    *out = (struct choices){.preset = preset_find(PRESET_DEFAULT)};
}

bool choices_set(struct choices *choices, const char *name, const char *text, struct error *why)
{
    const struct row *row = find_row(name);
    if (row == NULL) {
        char readable[48];
        text_clean(readable, sizeof readable, name, strlen(name));
        return error_set(why, ERROR_NOT_FOUND, "%s is nothing that can be chosen.", readable);
    }
    if (strnlen(text, CHOICES_INPUT_LIMIT + 1) > CHOICES_INPUT_LIMIT || !row->set(choices, text))
        return refuse(row, text, why);
    return true;
}

bool choices_check(const struct choices *choices, struct error *why)
{
    if (choices->end_ms > 0 && choices->end_ms <= choices->start_ms)
        return error_set(why, ERROR_INVALID, "end must be later than start.");
    return true;
}

const struct choice *choices_at(size_t index)
{
    return index < sizeof rows / sizeof rows[0] ? &rows[index].choice : NULL;
}

bool choices_has(const char *name)
{
    return find_row(name) != NULL;
}

bool choices_format(const struct choices *choices, size_t index, char out[CHOICES_TEXT_SIZE])
{
    assert(index < sizeof rows / sizeof rows[0]);
    return rows[index].format(choices, out);
}
