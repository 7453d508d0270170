// Any bytes as a multipart body, cut where the first byte says: no crash, and the events are the
// same as for the body in one piece.

#include "base/buf.h"
#include "base/file.h"
#include "http/http_multipart.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static bool see_part(void *context, const struct http_multipart_part *part, struct error *err)
{
    (void)err;
    return buf_printf(context, "[%s|%s|%s]", part->name,
                      part->filename == NULL ? "-" : part->filename, part->content_type);
}

static bool see_bytes(void *context, const void *bytes, size_t size, struct error *err)
{
    (void)err;
    return buf_append(context, bytes, size);
}

static bool see_end(void *context, struct error *err)
{
    (void)err;
    return buf_append_text(context, ".");
}

static bool feed(const uint8_t *bytes, size_t size, size_t piece, struct buf *out)
{
    struct error err = {0};
    SCOPED(http_multipart_destroy)
    struct http_multipart *multipart = http_multipart_create(
        "multipart/form-data; boundary=b",
        &(struct http_multipart_events){see_part, see_bytes, see_end, out}, &err);
    assert(multipart != NULL);
    for (size_t at = 0; at < size; at += piece) {
        size_t count = piece < size - at ? piece : size - at;
        if (!http_multipart_feed(multipart, bytes + at, count, &err))
            return false;
    }
    return http_multipart_end(multipart, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size < 2)
        return 0;
    size_t piece = bytes[0] == 0 ? 1 : bytes[0];
    SCOPED_BUF struct buf whole, cut;
    buf_init(&whole, 1 << 20);
    buf_init(&cut, 1 << 20);
    bool is_fine = feed(bytes + 1, size - 1, size, &whole);
    assert(feed(bytes + 1, size - 1, piece, &cut) == is_fine);
    assert(!is_fine || (whole.size == cut.size && memcmp(whole.bytes, cut.bytes, cut.size) == 0));
    return 0;
}
