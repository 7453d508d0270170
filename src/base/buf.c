#include "base/buf.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static char empty[1] = "";

void buf_init(struct buf *buf, size_t limit_bytes)
{
    *buf = (struct buf){.bytes = empty, .limit = limit_bytes};
}

void buf_finish(struct buf *buf)
{
    if (buf->capacity != 0)
        free(buf->bytes);
    buf_init(buf, buf->limit);
}

static bool reserve(struct buf *buf, size_t more)
{
    if (more > buf->limit - buf->size)
        return false;
    size_t wanted = buf->size + more + 1;
    if (wanted <= buf->capacity)
        return true;
    size_t capacity = buf->capacity < 64 ? 64 : buf->capacity * 2;
    if (capacity > buf->limit + 1)
        capacity = buf->limit + 1;
    if (capacity < wanted)
        capacity = wanted;
    buf->bytes = alloc_resize(buf->capacity == 0 ? NULL : buf->bytes, capacity);
    buf->capacity = capacity;
    return true;
}

bool buf_append(struct buf *buf, const void *bytes, size_t size)
{
    if (!reserve(buf, size))
        return false;
    if (size > 0)
        memcpy(buf->bytes + buf->size, bytes, size);
    buf->size += size;
    buf->bytes[buf->size] = '\0';
    return true;
}

bool buf_append_text(struct buf *buf, const char *text)
{
    return buf_append(buf, text, strlen(text));
}

bool buf_printf(struct buf *buf, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    bool fits = length >= 0 && reserve(buf, (size_t)length);
    if (fits) {
        vsnprintf(buf->bytes + buf->size, (size_t)length + 1, format, again);
        buf->size += (size_t)length;
    }
    va_end(again);
    return fits;
}

void buf_clear(struct buf *buf)
{
    buf->size = 0;
    if (buf->capacity != 0)
        buf->bytes[0] = '\0';
}

void buf_drop(struct buf *buf, size_t size)
{
    assert(size <= buf->size);
    if (size == 0)
        return;
    memmove(buf->bytes, buf->bytes + size, buf->size - size + 1);
    buf->size -= size;
}

void buf_cut(struct buf *buf, size_t size)
{
    assert(size <= buf->size);
    buf->size = size;
    if (buf->capacity != 0)
        buf->bytes[size] = '\0';
}
