#include "media/media_failure.h"

#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool media_fail(struct media_failure *why, const char *code, const char *format, ...)
{
    text_copy(why->code, sizeof why->code, code);
    if (format == NULL) {
        text_copy(why->detail, sizeof why->detail, media_code_sentence(code));
        return false;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->detail, sizeof why->detail, format, arguments);
    va_end(arguments);
    return false;
}

bool media_fail_errno(struct media_failure *why, int error_number, const char *what)
{
    if (error_number == ENOSPC || error_number == EDQUOT)
        return media_fail(why, "no_space", NULL);
    return media_fail(why, "internal", "%s: %s", what, strerrordesc_np(error_number));
}
