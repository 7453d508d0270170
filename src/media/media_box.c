#include "media/media_box.h"

#include "base/file.h"
#include "media/media_big_endian.h"

bool media_box_bytes(const struct media_box_reader *reader, void *out, size_t size, int64_t offset)
{
    struct error ignored;
    return file_read_at(reader->fd, out, size, offset, &ignored) == (ssize_t)size;
}

bool media_box_next(struct media_box_reader *reader, int64_t *at, int64_t end,
                    struct media_box *out)
{
    unsigned char bytes[16];
    int64_t room = end - *at;
    if (room < 8 || reader->boxes_left-- <= 0 || !media_box_bytes(reader, bytes, 8, *at))
        return false;
    uint64_t size = big_endian_32(bytes);
    int64_t header = 8;
    if (size == 1) {
        if (room < 16 || !media_box_bytes(reader, bytes + 8, 8, *at + 8))
            return false;
        size = big_endian_64(bytes + 8);
        header = 16;
    }
    // A size of 0 ends QuickTime's lists; "to the end of the file" has no sense inside the index.
    if (size < (uint64_t)header || size > (uint64_t)room)
        return false;
    *out = (struct media_box){
        .type = big_endian_32(bytes + 4), .body = *at + header, .end = *at + (int64_t)size};
    *at = out->end;
    return true;
}

bool media_box_find(struct media_box_reader *reader, int64_t start, int64_t end, uint32_t type,
                    struct media_box *out)
{
    while (media_box_next(reader, &start, end, out))
        if (out->type == type)
            return true;
    return false;
}
