#pragma once
// The rows of protocol/choices.h as options of a command line, for getopt_long: the faces for
// people and for the converter read the same.

#include "protocol/choices.h"

#include <getopt.h>

enum { MEDIA_OPTIONS_SIZE = 24 };

// One option a choice and then `others`, which end with a row of zeros, as `out` does.
void media_options_list(const struct option *others, struct option out[MEDIA_OPTIONS_SIZE]);

// Takes what getopt_long returned if it is one of the choices; false: `why` says what would be
// right, beginning with the option's name.
bool media_options_take(int option, const char *argument, struct choices *choices,
                        struct error *why);
bool media_options_is_choice(int option);
