#pragma once
// A conversion's `options` in its row: a JSON object with the choices of protocol/choices.h and the
// title, each a text. The gateway writes it, the converter reads it; between the two may lie an
// upgrade.
//
//     {"preset":"voice","start":"83.5","title":"A talk"}

#include "base/error.h"
#include "protocol/choices.h"

#include <stdbool.h>
#include <stddef.h>

enum { OPTIONS_TITLE_SIZE = 201 };

struct options {
    struct choices choices;
    char title[OPTIONS_TITLE_SIZE]; // "" for none
};

void options_init(struct options *out);

// What is chosen, in canonical form. False if it does not fit, which a title of two hundred bytes
// and JOBS_OPTIONS_SIZE exclude.
bool options_write(const struct options *options, char *out, size_t out_size);

// INVALID for what this release does not understand, be it one member: whoever wrote it wanted
// something else than we would make.
bool options_read(const char *text, struct options *out, struct error *why);
