#pragma once
// Growing bytes with a ceiling that is given at birth; reaching it is a normal answer, not an
// abort. The bytes are always followed by a NUL, which is not counted.

#include "base/scope.h"

#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *bytes; // "" while empty; never NULL
    size_t size;
    size_t capacity;
    size_t limit;
};

void buf_init(struct buf *buf, size_t limit_bytes);
void buf_finish(struct buf *buf); // takes a zeroed one too

// Each returns false, with nothing added, when the limit would be passed.
bool buf_append(struct buf *buf, const void *bytes, size_t size);
bool buf_append_text(struct buf *buf, const char *text);
bool buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Forgets the content, keeps the memory.
void buf_clear(struct buf *buf);

// Forgets the first `size` bytes.
void buf_drop(struct buf *buf, size_t size);

// Forgets all behind the first `size` bytes.
void buf_cut(struct buf *buf, size_t size);

static inline void scoped_buf(struct buf *buf)
{
    buf_finish(buf);
}
#define SCOPED_BUF __attribute__((cleanup(scoped_buf)))
