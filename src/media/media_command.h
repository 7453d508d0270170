#pragma once
// The face for people: `unreel-media convert IN [OUT]`. Opens the files, shows a bar, puts the
// finished MP3 in place with one rename. What decodes is a confined child of it (media_guard.h).

// The arguments behind `convert`. Exit status: 0 done, 1 not converted, 2 usage.
int media_command_run(int argument_count, char **arguments);

void media_command_help(void);
