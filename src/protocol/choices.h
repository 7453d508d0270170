#pragma once
// What a person may choose for one MP3, by name and text. The names are the same everywhere: an
// option of `unreel convert`, a field of the upload's form, a member of a conversion's `options`,
// an argument of `unreel-media child`. choices.c has the table.
//
//     preset    the name of a row of preset.c
//     track     a number from 1 among the file's audio tracks, or a language: deu, de, pt-BR
//     mono      true or false
//     start     a time: 83.5, 1:23.5 or 0:01:23.5
//     end       a time after start
//     loudness  LUFS from -70 to -5, such as -16
//
// A title is no choice about the sound and is not in here.

#include "base/error.h"
#include "protocol/preset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CHOICES_TRACK_SIZE = 36,
    CHOICES_TEXT_SIZE = 40, // holds every canonical text
    CHOICES_INPUT_LIMIT = 64,
};

struct choices {
    const struct preset *preset;    // never NULL
    char track[CHOICES_TRACK_SIZE]; // "2", or a language in lower case; "": not chosen
    bool is_mono;
    int64_t start_ms;
    int64_t end_ms; // 0: to the end
    bool has_loudness;
    int loudness_centi_lufs; // -1650 is -16.5 LUFS
};

void choices_init(struct choices *out);

// Reads one. INVALID for a wrong value, NOT_FOUND for a name that is not in the table; the
// sentence starts with the name. `choices` is untouched on failure. An empty text is wrong here:
// a form's empty field is for the form's reader to pass over.
bool choices_set(struct choices *choices, const char *name, const char *text, struct error *why);

// What must hold between them once all are read: end after start. INVALID.
bool choices_check(const struct choices *choices, struct error *why);

// Walks the table, in the order in which people should see it: NULL past the end.
struct choice {
    const char *name;
    const char *placeholder; // "TIME", for help; NULL: on the command line it needs no value
    const char *summary;     // one line
};
const struct choice *choices_at(size_t index);

bool choices_has(const char *name);

// The canonical text of row `index`, which choices_set reads back: "83.5" for 1:23.500. False,
// with nothing written, where nothing was chosen; the preset always counts as chosen.
bool choices_format(const struct choices *choices, size_t index, char out[CHOICES_TEXT_SIZE]);
