#pragma once
// Configuration: the rows of settings.def become this struct, the parser, --help, `unreel
// check-config` and docs/configuration.md. Precedence: default < file (`name = value`) <
// environment < command line.
//
// Loaded once in main and read-only from then on. Ports never see it: they are handed a URL.

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { CONFIG_TEXT_SIZE = 512 };

#define CONFIG_FIELD_TEXT(field) char field[CONFIG_TEXT_SIZE];
#define CONFIG_FIELD_PATH(field) char field[CONFIG_TEXT_SIZE];
#define CONFIG_FIELD_SECRET(field) char field[CONFIG_TEXT_SIZE];
#define CONFIG_FIELD_LISTEN(field) char field[CONFIG_TEXT_SIZE];
#define CONFIG_FIELD_URL(field) char field[CONFIG_TEXT_SIZE];
#define CONFIG_FIELD_CHOICE(field) char field[CONFIG_TEXT_SIZE];
#define CONFIG_FIELD_SIZE(field) int64_t field##_bytes;
#define CONFIG_FIELD_DURATION(field) int64_t field##_ms;
#define CONFIG_FIELD_INTEGER(field) int64_t field;

struct config {
#define SETTING(kind, field, name, default_value, smallest, largest, roles, help)                  \
    CONFIG_FIELD_##kind(field)
#include "config/settings.def"
#undef SETTING
};

// Reads everything. `arguments` are what stands behind the command, up to NULL: `--name value`,
// `--name=value`, `--config FILE`; anything else is left for `out_rest` (an array of the same
// length, NULL-terminated). All faults are reported at once, one line each, in `faults`; false if
// there are any.
bool config_load(struct config *out, char *const *arguments, const char **out_rest,
                 struct buf *faults);

// `name = value` lines with where each value came from; secrets as "(set)".
bool config_print(const struct config *config, struct buf *out);
// The options' part of --help for a role letter of settings.def ('\0': all), and the reference page
// in Markdown.
bool config_help(char role, struct buf *out);
bool config_reference(struct buf *out);
