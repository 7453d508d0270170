#pragma once
// Configuration: the rows of settings.def become this struct, the parser, --help,
// `unreel check-config` and docs/configuration.md. Precedence: default < file (`name = value`) <
// environment < command line. An empty value means "not given".
//
// Loaded once in main and read-only from then on. Ports never see it: they are handed a URL.

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
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

// Reads everything. `arguments` is what stands behind the command, NULL-terminated: `--name value`,
// `--name=value`, `--config FILE` (also UNREEL_CONFIG). What is no setting goes to `out_rest`, an
// array of the same length, in order and NULL-terminated; with out_rest NULL it is a fault.
// All faults are reported at once, one line each; false if there are any.
bool config_load(struct config *out, char *const *arguments, const char **out_rest,
                 struct buf *out_faults);

// One `name = value` line a setting, with where the value came from as a comment. Passwords in URLs
// and secrets are masked.
bool config_print(const struct config *config, struct buf *out);

// The options' part of --help for a role letter of settings.def.
bool config_help(char role, struct buf *out);

// Whether the setting of that name is for the role of that letter.
bool config_is_used_by(const char *name, char role);

// docs/configuration.md.
bool config_reference(struct buf *out);

// "UNREEL_NAME=value" for every setting of that role, so that a child process sees what this one
// decided. One list of texts, NULL-terminated; free it with config_environment_free.
char **config_environment(const struct config *config, char role);
void config_environment_free(char **environment);
