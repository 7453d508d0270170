#pragma once
// The first lines of every command: read the settings, answer --help, say what is wrong.

#include "config/config.h"

// True: go on. False: `out_status` is the exit status; everything was said.
bool load_settings(char *const *arguments, const char *usage, char role, struct config *out,
                   int *out_status);
