#pragma once
// The table of settings as data, for the files of this folder.

#include "config/config.h"

enum setting_kind {
    SETTING_TEXT,
    SETTING_PATH,
    SETTING_SECRET,
    SETTING_LISTEN,
    SETTING_URL,
    SETTING_SIZE,
    SETTING_DURATION,
    SETTING_INTEGER,
    SETTING_CHOICE,
};

struct setting {
    enum setting_kind kind;
    const char *name;
    size_t offset;
    const char *default_value;
    int64_t smallest, largest;
    const char *roles;
    const char *help;
};

extern const struct setting config_settings[];
extern const size_t config_settings_count;

enum config_source { CONFIG_DEFAULT, CONFIG_FILE, CONFIG_ENVIRONMENT, CONFIG_ARGUMENT };
extern enum config_source config_sources[]; // of the last config_load, by index of the setting

static inline bool config_is_number(enum setting_kind kind)
{
    return kind == SETTING_SIZE || kind == SETTING_DURATION || kind == SETTING_INTEGER;
}

// "UNREEL_MAX_UPLOAD" for "max-upload".
void config_environment_name(const struct setting *setting, char *out, size_t out_size);

// The value as the parser reads it.
void config_format(const struct config *config, const struct setting *setting, char *out,
                   size_t out_size);
