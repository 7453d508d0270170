#pragma once
// A command is a word behind `unreel`. main.c holds the table of them.

struct command {
    const char *name;
    const char *summary;
    // `arguments` is what stands behind the name, NULL-terminated. Returns the exit status.
    int (*run)(char *const *arguments);
};
