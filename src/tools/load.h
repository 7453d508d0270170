#pragma once
// The first lines of every command: read the settings, answer --help, say what is wrong.

#include "config/config.h"

// True: go on. False: `out_status` is the exit status; everything was said. What is no setting goes
// to `out_words`, as config_load's out_rest; NULL: it is a fault.
bool load_settings(char *const *arguments, const char *usage, char role, struct config *out,
                   const char **out_words, int *out_status);
