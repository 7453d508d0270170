#include "base/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void *or_abort(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

void *alloc_zeroed(size_t count, size_t size_bytes)
{
    return or_abort(calloc(count != 0 ? count : 1, size_bytes != 0 ? size_bytes : 1));
}

void *alloc_resize(void *memory, size_t size_bytes)
{
    return or_abort(realloc(memory, size_bytes != 0 ? size_bytes : 1));
}

char *alloc_text(const char *text)
{
    return text == NULL ? NULL : or_abort(strdup(text));
}

char *alloc_format(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        abort();
    return text;
}
