#include "base/error.h"

#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool error_set(struct error *err, enum error_kind kind, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->text, sizeof err->text, format, arguments);
    va_end(arguments);
    err->kind = kind;
    return false;
}

static enum error_kind kind_of_errno(int error_number)
{
    switch (error_number) {
    case ENOSPC:
    case EDQUOT:
        return ERROR_NO_SPACE;
    case ENOENT:
        return ERROR_NOT_FOUND;
    case EEXIST:
        return ERROR_CONFLICT;
    default:
        return ERROR_UNAVAILABLE;
    }
}

bool error_set_errno(struct error *err, int error_number, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(err->text, sizeof err->text, format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length < sizeof err->text)
        snprintf(err->text + length, sizeof err->text - (size_t)length, ": %s",
                 strerrordesc_np(error_number));
    err->kind = kind_of_errno(error_number);
    return false;
}

bool error_prefix(struct error *err, const char *format, ...)
{
    char prefixed[sizeof err->text];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(prefixed, sizeof prefixed, format, arguments);
    va_end(arguments);
    if (length < 0)
        return false;
    size_t used = (size_t)length < sizeof prefixed ? (size_t)length : sizeof prefixed - 1;
    if (used + 2 < sizeof prefixed) {
        memcpy(prefixed + used, ": ", 2);
        text_copy(prefixed + used + 2, sizeof prefixed - used - 2, err->text);
    }
    memcpy(err->text, prefixed, sizeof prefixed);
    return false;
}

const char *error_kind_name(enum error_kind kind)
{
    switch (kind) {
    case ERROR_NONE:
        return "none";
    case ERROR_INVALID:
        return "invalid";
    case ERROR_DENIED:
        return "denied";
    case ERROR_NOT_FOUND:
        return "not_found";
    case ERROR_CONFLICT:
        return "conflict";
    case ERROR_TOO_LARGE:
        return "too_large";
    case ERROR_NO_SPACE:
        return "no_space";
    case ERROR_UNAVAILABLE:
        return "unavailable";
    case ERROR_INTERNAL:
        return "internal";
    }
    return "unknown";
}
