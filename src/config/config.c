// Reads settings from their four places into struct config and reports every fault.
#include "config/config_table.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/text.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OFFSET_TEXT(field) offsetof(struct config, field)
#define OFFSET_PATH(field) offsetof(struct config, field)
#define OFFSET_SECRET(field) offsetof(struct config, field)
#define OFFSET_LISTEN(field) offsetof(struct config, field)
#define OFFSET_URL(field) offsetof(struct config, field)
#define OFFSET_CHOICE(field) offsetof(struct config, field)
#define OFFSET_SIZE(field) offsetof(struct config, field##_bytes)
#define OFFSET_DURATION(field) offsetof(struct config, field##_ms)
#define OFFSET_INTEGER(field) offsetof(struct config, field)

const struct setting config_settings[] = {
#define SETTING(kind, field, name, default_value, smallest, largest, roles, help)                  \
    {SETTING_##kind, name, OFFSET_##kind(field), default_value, smallest, largest, roles, help},
#include "config/settings.def"
#undef SETTING
};
const size_t config_settings_count = sizeof config_settings / sizeof config_settings[0];
enum config_source config_sources[sizeof config_settings / sizeof config_settings[0]];

static const char environment_prefix[] = "UNREEL_";
static const char data_token[] = "{data}";

enum { FILE_LIMIT_BYTES = 65536, NAME_SIZE = 64 };

// One value on its way in: what it is called where it stands, for the fault's text.
struct value {
    const char *text;
    const char *origin;
    enum config_source source;
};

void config_environment_name(const struct setting *setting, char *out, size_t out_size)
{
    snprintf(out, out_size, "%s%s", environment_prefix, setting->name);
    for (char *at = out; *at != '\0'; at++)
        *at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
}

static const struct setting *find_setting(const char *name)
{
    for (size_t i = 0; i < config_settings_count; i++)
        if (strcmp(config_settings[i].name, name) == 0)
            return &config_settings[i];
    return NULL;
}

// How much of a word that is no setting can be shown: no value, of which a password may be a part.
static int name_length(const char *word)
{
    size_t length = strcspn(word, "=:");
    return length > 100 ? 100 : (int)length;
}

static bool is_listen_address(const char *text)
{
    if (text_starts_with(text, "unix:"))
        return text[5] != '\0';
    const char *colon = strrchr(text, ':');
    int64_t port;
    return colon != NULL && colon != text && text_parse_integer(colon + 1, 0, 65535, &port);
}

static bool is_url(const char *text)
{
    size_t scheme = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789+");
    return scheme > 0 && text[scheme] == ':';
}

// The choices stand in front of the help: "[open closed] …".
static bool is_choice(const struct setting *setting, const char *text)
{
    const char *at = setting->help + 1;
    size_t length = strlen(text);
    while (*at != ']') {
        size_t word = strcspn(at, " ]");
        if (word == length && strncmp(at, text, length) == 0)
            return true;
        at += word + (at[word] == ' ');
    }
    return false;
}

static bool parse_number(const struct setting *setting, const char *text, int64_t *out)
{
    bool is_read = setting->kind == SETTING_SIZE ? text_parse_size(text, out)
                   : setting->kind == SETTING_DURATION
                       ? text_parse_duration(text, out)
                       : text_parse_integer(text, INT64_MIN, INT64_MAX, out);
    return is_read && *out >= setting->smallest && *out <= setting->largest;
}

static void describe_range(const struct setting *setting, char *out, size_t out_size)
{
    char smallest[32], largest[32];
    if (setting->kind == SETTING_SIZE) {
        text_format_size(setting->smallest, smallest);
        text_format_size(setting->largest, largest);
        snprintf(out, out_size, "a size such as 4GiB, from %s to %s", smallest, largest);
    } else if (setting->kind == SETTING_DURATION) {
        text_format_duration(setting->smallest, smallest);
        text_format_duration(setting->largest, largest);
        snprintf(out, out_size, "a duration such as 30s, 15min or 7d, from %s to %s", smallest,
                 largest);
    } else {
        snprintf(out, out_size, "a whole number from %" PRId64 " to %" PRId64, setting->smallest,
                 setting->largest);
    }
}

static void fault_kind(const struct setting *setting, const struct value *value, struct buf *faults)
{
    char wanted[160];
    // Without the value, which may hold a password.
    if (setting->kind == SETTING_URL) {
        buf_printf(faults, "%s: not a URL such as %s\n", value->origin, setting->default_value);
        return;
    }
    if (config_is_number(setting->kind))
        describe_range(setting, wanted, sizeof wanted);
    else if (setting->kind == SETTING_LISTEN)
        snprintf(wanted, sizeof wanted, "address:port or unix:PATH");
    else
        snprintf(wanted, sizeof wanted, "one of %.*s", (int)strcspn(setting->help + 1, "]"),
                 setting->help + 1);
    buf_printf(faults, "%s: \"%.100s\" is not %s\n", value->origin, value->text, wanted);
}

static void assign(struct config *config, const struct setting *setting, const struct value *value,
                   struct buf *faults)
{
    char *field = (char *)config + setting->offset;
    if (value->text[0] == '\0')
        return;
    if (config_is_number(setting->kind)) {
        int64_t number;
        if (!parse_number(setting, value->text, &number)) {
            fault_kind(setting, value, faults);
            return;
        }
        memcpy(field, &number, sizeof number);
    } else {
        if ((setting->kind == SETTING_LISTEN && !is_listen_address(value->text)) ||
            (setting->kind == SETTING_URL && !is_url(value->text)) ||
            (setting->kind == SETTING_CHOICE && !is_choice(setting, value->text))) {
            fault_kind(setting, value, faults);
            return;
        }
        if (!text_copy(field, CONFIG_TEXT_SIZE, value->text)) {
            buf_printf(faults, "%s: longer than %d bytes\n", value->origin, CONFIG_TEXT_SIZE - 1);
            return;
        }
    }
    config_sources[setting - config_settings] = value->source;
}

// The first line of the file without its end: how secrets are mounted.
static void assign_from_file(struct config *config, const struct setting *setting,
                             const struct value *path, struct buf *faults)
{
    struct error err = {0};
    SCOPED_BUF struct buf content;
    buf_init(&content, FILE_LIMIT_BYTES);
    if (!file_read(path->text, &content, &err)) {
        buf_printf(faults, "%s: %s\n", path->origin, err.text);
        return;
    }
    content.bytes[strcspn(content.bytes, "\r\n")] = '\0';
    // "Not given" would quietly mean the default.
    if (content.bytes[0] == '\0') {
        buf_printf(faults, "%s: %s is empty\n", path->origin, path->text);
        return;
    }
    assign(config, setting,
           &(struct value){.text = content.bytes, .origin = path->origin, .source = path->source},
           faults);
}

static char *trim(char *text)
{
    text += strspn(text, " \t\r");
    size_t size = strlen(text);
    while (size > 0 && strchr(" \t\r", text[size - 1]) != NULL)
        text[--size] = '\0';
    return text;
}

static void read_line(struct config *config, char *line, const char *origin, struct buf *faults)
{
    line = trim(line);
    if (*line == '\0' || *line == '#')
        return;
    char *equals = strchr(line, '=');
    if (equals == NULL) {
        buf_printf(faults, "%s: this is not `name = value`\n", origin);
        return;
    }
    *equals = '\0';
    const char *name = trim(line);
    const struct setting *setting = find_setting(name);
    if (setting == NULL) {
        buf_printf(faults, "%s: there is no setting \"%.*s\"\n", origin, name_length(name), name);
        return;
    }
    assign(config, setting,
           &(struct value){.text = trim(equals + 1), .origin = origin, .source = CONFIG_FILE},
           faults);
}

static void read_file(struct config *config, const char *path, struct buf *faults)
{
    struct error err = {0};
    SCOPED_BUF struct buf content;
    buf_init(&content, FILE_LIMIT_BYTES);
    if (!file_read(path, &content, &err)) {
        buf_printf(faults, "--config: %s\n", err.text);
        return;
    }
    int number = 1;
    char *next = content.bytes;
    for (char *line; (line = strsep(&next, "\n")) != NULL; number++) {
        SCOPED(free) char *origin = alloc_format("%s line %d", path, number);
        read_line(config, line, origin, faults);
    }
}

static void read_environment_setting(struct config *config, const struct setting *setting,
                                     struct buf *faults)
{
    char name[NAME_SIZE], file_name[NAME_SIZE + 5];
    config_environment_name(setting, name, sizeof name);
    snprintf(file_name, sizeof file_name, "%s_FILE", name);
    const char *text = getenv(name);
    const char *path = getenv(file_name);
    bool has_text = text != NULL && *text != '\0';
    bool has_path = path != NULL && *path != '\0';
    if (has_text && has_path)
        buf_printf(faults, "%s and %s are both given: give one\n", name, file_name);
    else if (has_path && setting->kind == SETTING_PATH) // else a key's text became a file's name
        buf_printf(faults, "%s: this setting is a path itself: write %s=PATH\n", file_name, name);
    else if (has_text)
        assign(config, setting, &(struct value){text, name, CONFIG_ENVIRONMENT}, faults);
    else if (has_path)
        assign_from_file(config, setting, &(struct value){path, file_name, CONFIG_ENVIRONMENT},
                         faults);
}

static bool is_known_variable(const char *variable, size_t length)
{
    char name[NAME_SIZE];
    if (strncmp(variable, "UNREEL_CONFIG", length) == 0 && length == strlen("UNREEL_CONFIG"))
        return true;
    for (size_t i = 0; i < config_settings_count; i++) {
        config_environment_name(&config_settings[i], name, sizeof name);
        size_t size = strlen(name);
        if (strncmp(variable, name, size) == 0 &&
            (length == size || (length == size + 5 && memcmp(variable + size, "_FILE", 5) == 0)))
            return true;
    }
    return false;
}

static void read_environment(struct config *config, struct buf *faults)
{
    for (size_t i = 0; i < config_settings_count; i++)
        read_environment_setting(config, &config_settings[i], faults);
    for (char **variable = environ; variable != NULL && *variable != NULL; variable++) {
        size_t length = strcspn(*variable, "=");
        if (text_starts_with(*variable, environment_prefix) &&
            !is_known_variable(*variable, length))
            buf_printf(faults, "%.*s: there is no such setting\n", (int)length, *variable);
    }
}

// One command line word: how many words it took, 0 if it is no setting.
static int read_argument(struct config *config, char *const *at, struct buf *faults)
{
    char name[NAME_SIZE];
    if (!text_starts_with(*at, "--"))
        return 0;
    size_t length = strcspn(*at + 2, "=");
    snprintf(name, sizeof name, "%.*s", (int)length, *at + 2);
    const struct setting *setting = find_setting(name);
    bool is_file = strcmp(name, "config") == 0;
    if (setting == NULL && !is_file)
        return 0;
    bool has_equals = (*at)[2 + length] == '=';
    const char *text = has_equals ? *at + 2 + length + 1 : at[1];
    char origin[NAME_SIZE + 2];
    snprintf(origin, sizeof origin, "--%s", name);
    if (text == NULL)
        buf_printf(faults, "%s: a value is missing\n", origin);
    else if (!is_file)
        assign(config, setting, &(struct value){text, origin, CONFIG_ARGUMENT}, faults);
    return has_equals || text == NULL ? 1 : 2;
}

// The settings file has to be read before the rest of the command line.
static const char *find_config_file(char *const *arguments)
{
    const char *path = getenv("UNREEL_CONFIG");
    for (; *arguments != NULL; arguments++) {
        if (text_starts_with(*arguments, "--config="))
            path = *arguments + strlen("--config=");
        else if (strcmp(*arguments, "--config") == 0 && arguments[1] != NULL)
            path = arguments[1];
    }
    return path;
}

static void expand_data(struct config *config, struct buf *faults)
{
    for (size_t i = 0; i < config_settings_count; i++) {
        const struct setting *setting = &config_settings[i];
        char *field = (char *)config + setting->offset;
        char *token = config_is_number(setting->kind) ? NULL : strstr(field, data_token);
        if (token == NULL)
            continue;
        char expanded[CONFIG_TEXT_SIZE];
        int length = snprintf(expanded, sizeof expanded, "%.*s%s%s", (int)(token - field), field,
                              config->data, token + strlen(data_token));
        if (length < 0 || (size_t)length >= sizeof expanded)
            buf_printf(faults, "%s: longer than %d bytes\n", setting->name, CONFIG_TEXT_SIZE - 1);
        else
            memcpy(field, expanded, sizeof expanded);
    }
}

bool config_load(struct config *out, char *const *arguments, const char **out_rest,
                 struct buf *out_faults)
{
    *out = (struct config){0};
    for (size_t i = 0; i < config_settings_count; i++)
        assign(out, &config_settings[i],
               &(struct value){config_settings[i].default_value, config_settings[i].name,
                               CONFIG_DEFAULT},
               out_faults);
    const char *path = find_config_file(arguments);
    if (path != NULL && *path != '\0')
        read_file(out, path, out_faults);
    read_environment(out, out_faults);
    while (*arguments != NULL) {
        int taken = read_argument(out, arguments, out_faults);
        if (taken == 0) {
            if (out_rest == NULL)
                buf_printf(out_faults, "%.*s: there is no such option\n", name_length(*arguments),
                           *arguments);
            else
                *out_rest++ = *arguments;
            taken = 1;
        }
        arguments += taken;
    }
    if (out_rest != NULL)
        *out_rest = NULL;
    expand_data(out, out_faults);
    return out_faults->size == 0;
}
