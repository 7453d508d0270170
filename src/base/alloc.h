#pragma once
// Allocation that never returns NULL: a process without memory ends and its supervisor starts it
// again. Whatever a user can make large has its limit checked before it comes here.

#include "base/scope.h"

#include <stddef.h>
#include <stdlib.h>

// Zeroed memory for `count` objects of `size_bytes`. The caller frees it with free().
void *alloc_zeroed(size_t count, size_t size_bytes);

// As realloc; the new part is not zeroed.
void *alloc_resize(void *memory, size_t size_bytes);

// A copy of the text; NULL stays NULL.
char *alloc_text(const char *text);

// A new text made as by printf.
char *alloc_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline void scoped_free(void *owner)
{
    free(*(void **)owner);
}
