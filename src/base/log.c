#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *role_name = "unreel";
static bool writes_json;
static enum log_level highest_level = LOG_LEVEL_INFO;
static _Thread_local char conversion_id[32];

// A line is never longer than this; values that do not fit are left out.
enum { LINE_LIMIT_BYTES = 4096 };

void log_start(const char *role, bool as_json, enum log_level level)
{
    role_name = role;
    writes_json = as_json;
    highest_level = level;
}

void log_conversion(const char *id)
{
    snprintf(conversion_id, sizeof conversion_id, "%s", id == NULL ? "" : id);
}

static bool needs_quotes(const char *text)
{
    return *text == '\0' || strpbrk(text, " =\"\\") != NULL ||
           strcspn(text, "\001\002\003\004\005\006\007\b\t\n\v\f\r\016\017\020\021\022\023\024\025"
                         "\026\027\030\031\032\033\034\035\036\037\177") != strlen(text);
}

// The escapes are JSON's, which logfmt readers understand as well.
static void append_quoted(struct buf *line, const char *text)
{
    buf_append_text(line, "\"");
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\')
            buf_printf(line, "\\%c", byte);
        else if (byte < 0x20 || byte == 0x7F)
            buf_printf(line, "\\u%04x", byte);
        else
            buf_append(line, text, 1);
    }
    buf_append_text(line, "\"");
}

static void append_text(struct buf *line, const char *key, const char *text)
{
    buf_printf(line, writes_json ? "%s\"%s\":" : "%s%s=",
               line->size <= 1 ? "" : (writes_json ? "," : " "), key);
    if (writes_json || needs_quotes(text))
        append_quoted(line, text);
    else
        buf_append_text(line, text);
}

static void append_integer(struct buf *line, const char *key, int64_t value)
{
    buf_printf(line, writes_json ? ",\"%s\":%" PRId64 : " %s=%" PRId64, key, value);
}

void log_write(enum log_level level, const char *message, const struct log_field *fields)
{
    static const char *const level_names[] = {"error", "warn", "info", "debug"};
    if (level > highest_level)
        return;
    int saved_errno = errno;
    char now[CLOCK_TEXT_SIZE];
    clock_format(clock_now_ms(), now);
    __attribute__((cleanup(scoped_buf))) struct buf line;
    buf_init(&line, LINE_LIMIT_BYTES);
    if (writes_json)
        buf_append_text(&line, "{");
    append_text(&line, "ts", now);
    append_text(&line, "level", level_names[level]);
    append_text(&line, "role", role_name);
    if (conversion_id[0] != '\0')
        append_text(&line, "conversion", conversion_id);
    append_text(&line, "msg", message);
    for (const struct log_field *field = fields; field->key != NULL; field++) {
        if (field->text != NULL)
            append_text(&line, field->key, field->text);
        else
            append_integer(&line, field->key, field->integer);
    }
    buf_append_text(&line, writes_json ? "}\n" : "\n");
    if (write(STDERR_FILENO, line.bytes, line.size) < 0) {
        // Nowhere is left to say so.
    }
    errno = saved_errno;
}
