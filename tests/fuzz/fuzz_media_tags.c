// Any bytes as an MP4 whose texts, cover and chapters become an ID3 tag: it is one that a strict
// reader takes apart to its last byte.

#include "base/buf.h"
#include "fuzz_file.h"
#include "media/media_cover.h"
#include "media/media_tags.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { HEADER_BYTES = 10, ENCODING_UTF16 = 1 };

static size_t number_of(const char *at, unsigned bits)
{
    size_t value = 0;
    for (int i = 0; i < 4; i++)
        value = value << bits | (unsigned char)at[i];
    return value;
}

// UTF-16 with its byte order mark, no lone surrogate and no end inside.
static void check_text(const char *at, const char *end)
{
    assert(end - at >= 2 && (end - at) % 2 == 0);
    assert((unsigned char)at[0] == 0xff && (unsigned char)at[1] == 0xfe);
    bool is_second = false;
    for (at += 2; at < end; at += 2) {
        unsigned unit = (unsigned char)at[0] | (unsigned)(unsigned char)at[1] << 8;
        assert((unit >= 0xdc00 && unit < 0xe000) == is_second);
        is_second = unit >= 0xd800 && unit < 0xdc00;
        assert(unit != 0);
    }
    assert(!is_second);
}

static const char *behind_text(const char *at, const char *end)
{
    const char *stop = memchr(at, '\0', (size_t)(end - at));
    assert(stop != NULL);
    return stop + 1;
}

static void check_frames(const char *at, const char *end);

static void check_frame(const char *id, const char *at, const char *end)
{
    if (id[0] == 'T') {
        assert(*at == ENCODING_UTF16);
        check_text(at + 1, end);
    } else if (memcmp(id, "COMM", 4) == 0 || memcmp(id, "USLT", 4) == 0) {
        assert(end - at > 8 && memcmp(at, "\1und\xff\xfe\0\0", 8) == 0);
        check_text(at + 8, end);
    } else if (memcmp(id, "APIC", 4) == 0) {
        const char *picture = behind_text(behind_text(at + 1, end) + 1, end);
        assert(end - picture > 4);
        assert(memcmp(picture, "\xff\xd8", 2) == 0 || memcmp(picture, "\x89PNG", 4) == 0);
    } else if (memcmp(id, "CHAP", 4) == 0) {
        const char *times = behind_text(at, end);
        assert(end - times > 16 && number_of(times, 8) < number_of(times + 4, 8));
        check_frames(times + 16, end);
    } else {
        assert(memcmp(id, "CTOC", 4) == 0);
        const char *entry = behind_text(at, end) + 2;
        for (int left = (unsigned char)entry[-1]; left > 0; left--)
            entry = behind_text(entry, end);
        assert(entry == end);
    }
}

static void check_frames(const char *at, const char *end)
{
    while (at < end) {
        assert(end - at > HEADER_BYTES);
        for (int i = 0; i < 4; i++)
            assert(isupper((unsigned char)at[i]) || isdigit((unsigned char)at[i]));
        size_t size = number_of(at + 4, 8);
        assert(size > 0 && size <= (size_t)(end - at - HEADER_BYTES));
        assert(at[8] == 0 && at[9] == 0);
        check_frame(at, at + HEADER_BYTES, at + HEADER_BYTES + size);
        at += HEADER_BYTES + size;
    }
}

static void check_tag(const struct media_metadata *metadata, const char *title)
{
    SCOPED_BUF struct buf tag;
    buf_init(&tag, MEDIA_TAGS_BYTES);
    media_tags_write(metadata, title, &tag);
    if (tag.size == 0)
        return;
    assert(tag.size > HEADER_BYTES && memcmp(tag.bytes, "ID3\3\0\0", 6) == 0);
    assert(number_of(tag.bytes + 6, 7) == tag.size - HEADER_BYTES);
    check_frames(tag.bytes + HEADER_BYTES, tag.bytes + tag.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct media_boxes boxes;
    struct media_failure why = {0};
    struct media_metadata metadata = {.fd = -1};
    int fd = fuzz_file(bytes, size);
    if (!media_boxes_read(fd, &boxes, &why))
        return 0;
    char title[64] = "";
    memcpy(title, bytes, size < sizeof title - 1 ? size : sizeof title - 1);
    media_metadata_read(fd, &boxes, &metadata);
    check_tag(&metadata, title);
    unsigned width, height;
    if (metadata.cover.mime != NULL)
        media_cover_measure(fd, &metadata.cover, &width, &height);
    media_metadata_cut(&metadata, 100, 400);
    check_tag(&metadata, NULL);
    media_metadata_finish(&metadata);
    return 0;
}
