// The table of settings as text: --help, check-config, the reference page, a child's environment.
#include "config/config_table.h"

#include "base/alloc.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { HELP_WIDTH = 92, HELP_INDENT = 6 };

void config_format(const struct config *config, const struct setting *setting, char *out,
                   size_t out_size)
{
    const char *field = (const char *)config + setting->offset;
    char text[32];
    int64_t number;
    if (!config_is_number(setting->kind)) {
        snprintf(out, out_size, "%s", field);
        return;
    }
    memcpy(&number, field, sizeof number);
    if (setting->kind == SETTING_SIZE)
        text_format_size(number, text);
    else if (setting->kind == SETTING_DURATION)
        text_format_duration(number, text);
    else
        snprintf(text, sizeof text, "%" PRId64, number);
    snprintf(out, out_size, "%s", text);
}

static bool is_secret_parameter(const char *name, size_t size)
{
    // Of MongoDB's: tlsCertificateKeyFilePassword, authMechanismProperties.
    char text[64];
    snprintf(text, sizeof text, "%.*s", (int)size, name);
    return strcasestr(text, "password") != NULL || strcasestr(text, "properties") != NULL;
}

// "?name=value&name=value", with *** in place of secret values.
static bool append_parameters(struct buf *out, const char *at)
{
    while (*at != '\0') {
        size_t size = 1 + strcspn(at + 1, "&");
        size_t name = strcspn(at, "=");
        if (name < size && is_secret_parameter(at + 1, name - 1)) {
            if (!buf_append(out, at, name + 1) || !buf_append_text(out, "***"))
                return false;
        } else if (!buf_append(out, at, size)) {
            return false;
        }
        at += size;
    }
    return true;
}

// scheme://user:password@host → scheme://user:***@host
static bool append_masked(struct buf *out, const struct setting *setting, const char *text)
{
    if (setting->kind == SETTING_SECRET && *text != '\0')
        return buf_append_text(out, "(set)");
    const char *user = setting->kind == SETTING_URL ? strstr(text, "://") : NULL;
    if (user == NULL)
        return buf_append_text(out, text);
    const char *at = strrchr(user, '@');
    const char *colon = at == NULL ? NULL : memchr(user + 3, ':', (size_t)(at - user - 3));
    if (colon != NULL) {
        if (!buf_append(out, text, (size_t)(colon - text)) || !buf_append_text(out, ":***"))
            return false;
        text = at;
    }
    size_t before = strcspn(text, "?");
    return buf_append(out, text, before) && append_parameters(out, text + before);
}

bool config_print(const struct config *config, struct buf *out)
{
    static const char *const sources[] = {"default", "file", "environment", "command line"};
    for (size_t i = 0; i < config_settings_count; i++) {
        char text[CONFIG_TEXT_SIZE];
        config_format(config, &config_settings[i], text, sizeof text);
        if (!buf_printf(out, "%s = ", config_settings[i].name) ||
            !append_masked(out, &config_settings[i], text) ||
            !buf_printf(out, "  # %s\n", sources[config_sources[i]]))
            return false;
    }
    return true;
}

// Breaks a text at spaces into indented lines.
static bool append_wrapped(struct buf *out, const char *text)
{
    while (*text != '\0') {
        size_t length = strlen(text);
        if (length > HELP_WIDTH - HELP_INDENT) {
            length = HELP_WIDTH - HELP_INDENT;
            while (length > 0 && text[length] != ' ')
                length--;
        }
        if (!buf_printf(out, "%*s%.*s\n", HELP_INDENT, "", (int)length, text))
            return false;
        text += length + (text[length] == ' ');
    }
    return true;
}

bool config_help(char role, struct buf *out)
{
    if (!buf_append_text(out, "Settings, as --name VALUE, UNREEL_NAME=VALUE, UNREEL_NAME_FILE=PATH "
                              "or `name = value` in --config FILE:\n"))
        return false;
    for (size_t i = 0; i < config_settings_count; i++) {
        const struct setting *setting = &config_settings[i];
        if (strchr(setting->roles, role) == NULL)
            continue;
        const char *default_value = setting->default_value;
        if (!buf_printf(out, "  --%s%s%s%s\n", setting->name, *default_value ? " (" : "",
                        default_value, *default_value ? ")" : "") ||
            !append_wrapped(out, setting->help))
            return false;
    }
    return true;
}

bool config_is_used_by(const char *name, char role)
{
    for (size_t i = 0; i < config_settings_count; i++)
        if (strcmp(config_settings[i].name, name) == 0)
            return strchr(config_settings[i].roles, role) != NULL;
    return false;
}

static bool append_roles(struct buf *out, const char *letters)
{
    static const struct {
        char letter;
        const char *name;
    } roles[] = {
        {'G', "gateway"}, {'A', "auth"}, {'C', "converter"}, {'N', "notifier"}, {'S', "serve"}};
    const char *comma = "";
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        if (strchr(letters, roles[i].letter) == NULL)
            continue;
        if (!buf_printf(out, "%s%s", comma, roles[i].name))
            return false;
        comma = ", ";
    }
    return true;
}

bool config_reference(struct buf *out)
{
    if (!buf_append_text(
            out,
            "# Settings\n\n"
            "Written by `unreel check-config --reference`; do not edit it by hand.\n\n"
            "Each setting can stand in a settings file (`--config FILE` or `UNREEL_CONFIG`) as "
            "`name = value`, in the\nenvironment as `UNREEL_NAME`, in a file that "
            "`UNREEL_NAME_FILE` names (for secrets), and on the command line as\n"
            "`--name value`; the later ones win. `{data}` is the data directory. Sizes: "
            "`512KiB`, `4GiB`; durations: `250ms`,\n`30s`, `15min`, `12h`, `7d`. "
            "`unreel check-config` shows every value and where it came from.\n"))
        return false;
    for (size_t i = 0; i < config_settings_count; i++) {
        const struct setting *setting = &config_settings[i];
        char name[64];
        config_environment_name(setting, name, sizeof name);
        const char *default_value = *setting->default_value ? setting->default_value : "(empty)";
        if (!buf_printf(out, "\n## `%s`\n\n%s\n\nEnvironment: `%s`. Default: `%s`. Used by: ",
                        setting->name, setting->help, name, default_value) ||
            !append_roles(out, setting->roles) || !buf_append_text(out, ".\n"))
            return false;
    }
    return true;
}

char **config_environment(const struct config *config, char role)
{
    char **list = alloc_zeroed(config_settings_count + 1, sizeof *list);
    size_t count = 0;
    for (size_t i = 0; i < config_settings_count; i++) {
        char name[64], text[CONFIG_TEXT_SIZE];
        if (strchr(config_settings[i].roles, role) == NULL)
            continue;
        config_environment_name(&config_settings[i], name, sizeof name);
        config_format(config, &config_settings[i], text, sizeof text);
        list[count++] = alloc_format("%s=%s", name, text);
    }
    return list;
}

void config_environment_free(char **environment)
{
    for (char **at = environment; at != NULL && *at != NULL; at++)
        free(*at);
    free(environment);
}
