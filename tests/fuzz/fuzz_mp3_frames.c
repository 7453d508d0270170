// Any bytes as an MP3 that came out of the media child: the checker and the parser of side
// information answer without a crash, and what is accepted holds what it says.

#include "mp3/mp3_frames.h"
#include "mp3/mp3_side_info.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void try_side_info(const uint8_t *bytes, size_t size)
{
    struct mp3_frame frame;
    struct mp3_side_info side;
    if (size < 4 || !mp3_frame_parse(bytes, &frame) ||
        !mp3_side_info_parse(&frame, bytes, size, &side))
        return;
    assert(frame.size_bytes <= MP3_FRAME_LIMIT_BYTES);
    assert(side.overhead_bytes <= frame.size_bytes && (size_t)side.overhead_bytes <= size);
    assert(side.main_data_begin <= mp3_side_info_farthest(&frame));
    assert(side.parts <= MP3_PARTS && side.main_data_bits <= 4095 * side.parts);
    unsigned char copy[MP3_FRAME_LIMIT_BYTES];
    memcpy(copy, bytes, (size_t)side.overhead_bytes);
    mp3_side_info_set_begin(&frame, copy, 0);
    mp3_side_info_set_begin(&frame, copy, side.main_data_begin);
    assert(memcmp(copy, bytes, (size_t)side.overhead_bytes) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static int fd = -1;
    if (fd < 0)
        fd = memfd_create("fuzz", MFD_CLOEXEC);
    try_side_info(bytes, size);
    assert(ftruncate(fd, 0) == 0);
    assert(pwrite(fd, bytes, size, 0) == (ssize_t)size);
    struct mp3_summary summary;
    struct error err = {0};
    if (!mp3_check_file(fd, &summary, &err)) {
        assert(err.kind == ERROR_INVALID && err.text[0] != '\0');
        return 0;
    }
    assert(summary.size_bytes == (int64_t)size && summary.frames > 0);
    assert(summary.samples >= 0 && summary.samples <= summary.frames * 1152);
    assert(summary.channels == 1 || summary.channels == 2);
    return 0;
}
