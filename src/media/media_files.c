#include "media/media_files.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int media_files_scratch(struct error *err)
{
    return file_open_scratch(P_tmpdir, err);
}

bool media_files_copy(int from, int to, struct error *err)
{
    SCOPED(free) char *piece = alloc_zeroed(1, 65536);
    for (;;) {
        ssize_t got = read(from, piece, 65536);
        if (got < 0 && errno == EINTR && !stop_is_requested())
            continue;
        if (got < 0)
            return error_set_errno(err, errno, "read");
        if (got == 0)
            return true;
        if (stop_is_requested())
            return error_set(err, ERROR_UNAVAILABLE, "stopped");
        if (!file_write_all(to, piece, (size_t)got, err))
            return false;
    }
}

static bool can_seek(int fd)
{
    struct stat about;
    return fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
}

// All of a pipe in a file of our own; -1 on failure.
static int spool(int fd, struct error *err)
{
    int scratch = media_files_scratch(err);
    if (scratch < 0 || media_files_copy(fd, scratch, err))
        return scratch;
    file_close(scratch);
    return -1;
}

int media_files_open(const char *name, struct error *err)
{
    int fd = strcmp(name, "-") == 0 ? dup(STDIN_FILENO) : open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        error_set(err, ERROR_NOT_FOUND, "%s", strerrordesc_np(errno));
        return -1;
    }
    if (can_seek(fd))
        return fd;
    struct stat about;
    int scratch = -1;
    if (fstat(fd, &about) == 0 && S_ISDIR(about.st_mode))
        error_set(err, ERROR_INVALID, "This is a folder.");
    else
        scratch = spool(fd, err);
    file_close(fd);
    return scratch;
}
