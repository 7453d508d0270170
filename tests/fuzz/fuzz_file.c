#include "fuzz_file.h"

#include "base/file.h"

#include <assert.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static int empty(int *fd)
{
    if (*fd < 0)
        *fd = memfd_create("fuzz", MFD_CLOEXEC);
    assert(*fd >= 0 && ftruncate(*fd, 0) == 0 && lseek(*fd, 0, SEEK_SET) == 0);
    return *fd;
}

int fuzz_file(const uint8_t *bytes, size_t size)
{
    static int fd = -1;
    struct error err;
    bool is_written = file_write_all(empty(&fd), bytes, size, &err);
    assert(is_written && lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

int fuzz_output(unsigned number)
{
    static int fds[2] = {-1, -1};
    assert(number < 2);
    return empty(&fds[number]);
}

void fuzz_expect_blame(const struct media_failure *why)
{
    if (!media_code_is_permanent(why->code))
        fprintf(stderr, "%s: %s\n", why->code, why->detail);
    assert(media_code_is_permanent(why->code) && why->detail[0] != '\0');
}
