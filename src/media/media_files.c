#include "media/media_files.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/stop.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int media_files_scratch(struct error *err)
{
    return file_open_scratch(P_tmpdir, err);
}

// Until there is something to read, or its end. A read that waits would not be woken by a signal.
static bool wait_for(int fd)
{
    struct pollfd polled[] = {{.fd = fd, .events = POLLIN}, {.fd = stop_fd(), .events = POLLIN}};
    while (polled[0].revents == 0 && !stop_is_requested())
        if (poll(polled, 2, -1) < 0)
            polled[0].revents = 0;
    return !stop_is_requested();
}

bool media_files_copy(int from, int to, struct error *err)
{
    SCOPED(free) char *piece = alloc_zeroed(1, 65536);
    while (wait_for(from)) {
        ssize_t got = read(from, piece, 65536);
        if (got == 0)
            return true;
        if (got > 0 && !file_write_all(to, piece, (size_t)got, err))
            return false;
        if (got < 0 && errno != EINTR && errno != EAGAIN)
            return error_set_errno(err, errno, "read");
    }
    return error_set(err, ERROR_UNAVAILABLE, "stopped");
}

static bool read_all(int from, struct buf *out, struct error *err)
{
    char piece[4096];
    ssize_t got;
    while ((got = read(from, piece, sizeof piece)) != 0) {
        if (got < 0 && errno != EINTR)
            return error_set_errno(err, errno, "read");
        if (got > 0 && !buf_append(out, piece, (size_t)got))
            return error_set(err, ERROR_INVALID, "more text than there can be");
    }
    return true;
}

bool media_files_copy_text(int from, int to, size_t limit_bytes, struct error *err)
{
    enum { GROWTH = 3 }; // a malformed byte becomes U+FFFD
    SCOPED_BUF struct buf text = {0};
    buf_init(&text, limit_bytes);
    if (!read_all(from, &text, err))
        return false;
    SCOPED(free) char *clean = alloc_resize(NULL, text.size * GROWTH + 1);
    for (size_t at = 0; at < text.size;) {
        const char *line = text.bytes + at, *end = memchr(line, '\n', text.size - at);
        size_t size = end != NULL ? (size_t)(end - line) : text.size - at;
        text_clean(clean, size * GROWTH + 1, line, size);
        if (!file_write_all(to, clean, strlen(clean), err) ||
            (end != NULL && !file_write_all(to, "\n", 1, err)))
            return false;
        at += size + (end != NULL);
    }
    return true;
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

// A pipe that nobody has opened yet is waited for when it is read.
int media_files_open(const char *name, struct error *err)
{
    int fd =
        strcmp(name, "-") == 0 ? dup(STDIN_FILENO) : open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
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
