#pragma once
// One event, one line on standard error, written with one write(2): logfmt or JSON.
//
//     log_info("converted", LOG_INTEGER("ms", 5123), LOG_TEXT("name", name));
//     ts=2026-11-21T10:00:00.123Z level=info role=converter conversion=01J… msg="converted" ms=5123
//     …
//
// Only roles, supervisor, tools and main write above debug level; all else returns an error. A
// failure is written once, by whoever decides what to do about it. Control bytes in values are
// escaped. Never hand a password, a token or a link here.

#include <stdbool.h>
#include <stdint.h>

enum log_level {
    LOG_LEVEL_ERROR, // a person must act
    LOG_LEVEL_WARN,  // something went wrong and we coped
    LOG_LEVEL_INFO,  // the life of a conversion; start and stop
    LOG_LEVEL_DEBUG,
};

struct log_field {
    const char *key;
    const char *text; // NULL: the integer is the value
    int64_t integer;
};

#define LOG_TEXT(key_, text_)                                                                      \
    (struct log_field)                                                                             \
    {                                                                                              \
        .key = (key_), .text = (text_)                                                             \
    }
#define LOG_INTEGER(key_, integer_)                                                                \
    (struct log_field)                                                                             \
    {                                                                                              \
        .key = (key_), .integer = (int64_t)(integer_)                                              \
    }

// The role's name stands in every line from here on; the text must live for ever.
void log_start(const char *role, bool as_json, enum log_level level);

// The conversion that this thread works on; NULL when it works on none. The text is copied.
void log_conversion(const char *id);

void log_write(enum log_level level, const char *message, const struct log_field *fields);

#define LOG_FIELDS(...) ((const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){.key = NULL}})
#define log_error(message, ...) log_write(LOG_LEVEL_ERROR, message, LOG_FIELDS(__VA_ARGS__))
#define log_warn(message, ...) log_write(LOG_LEVEL_WARN, message, LOG_FIELDS(__VA_ARGS__))
#define log_info(message, ...) log_write(LOG_LEVEL_INFO, message, LOG_FIELDS(__VA_ARGS__))
#define log_debug(message, ...) log_write(LOG_LEVEL_DEBUG, message, LOG_FIELDS(__VA_ARGS__))
