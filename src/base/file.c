#include "base/file.h"

#include "base/alloc.h"
#include "base/id.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void file_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

bool file_read(const char *path, struct buf *out, struct error *err)
{
    SCOPED_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "open %s", path);
    char piece[8192];
    for (;;) {
        ssize_t got = read(fd, piece, sizeof piece);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(err, errno, "read %s", path);
        if (got == 0)
            return true;
        if (!buf_append(out, piece, (size_t)got))
            return error_set(err, ERROR_TOO_LARGE, "%s is larger than %zu bytes", path, out->limit);
    }
}

bool file_write_all(int fd, const void *bytes, size_t size, struct error *err)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t written = write(fd, at, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return error_set_errno(err, errno, "write");
        at += written;
        size -= (size_t)written;
    }
    return true;
}

ssize_t file_read_at(int fd, void *out, size_t size, int64_t offset, struct error *err)
{
    size_t filled = 0;
    while (filled < size) {
        ssize_t got = pread(fd, (char *)out + filled, size - filled, offset + (int64_t)filled);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            error_set_errno(err, errno, "read");
            return -1;
        }
        if (got == 0)
            break;
        filled += (size_t)got;
    }
    return (ssize_t)filled;
}

static bool write_and_sync(const char *path, const void *bytes, size_t size, mode_t mode,
                           struct error *err)
{
    SCOPED_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return error_set_errno(err, errno, "create %s", path);
    if (!file_write_all(fd, bytes, size, err))
        return error_prefix(err, "%s", path);
    if (fsync(fd) != 0)
        return error_set_errno(err, errno, "fsync %s", path);
    return true;
}

static bool sync_parent(const char *path, struct error *err)
{
    SCOPED(free) char *copy = alloc_text(path);
    return file_sync_directory(dirname(copy), err);
}

bool file_replace(const char *path, const void *bytes, size_t size, mode_t mode, struct error *err)
{
    char token[TOKEN_SIZE];
    token_new(token);
    SCOPED(free) char *unfinished = alloc_format("%s.%s.tmp", path, token);
    bool is_written = write_and_sync(unfinished, bytes, size, mode, err);
    if (is_written && rename(unfinished, path) != 0)
        is_written = error_set_errno(err, errno, "rename to %s", path);
    if (!is_written) {
        unlink(unfinished);
        return false;
    }
    return sync_parent(path, err);
}

bool file_sync_directory(const char *path, struct error *err)
{
    SCOPED_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "open directory %s", path);
    if (fsync(fd) != 0)
        return error_set_errno(err, errno, "fsync directory %s", path);
    return true;
}

static bool make_one_directory(const char *path, mode_t mode, struct error *err)
{
    if (mkdir(path, mode) == 0)
        return sync_parent(path, err);
    return errno == EEXIST || error_set_errno(err, errno, "create directory %s", path);
}

bool file_make_directory(const char *path, mode_t mode, struct error *err)
{
    SCOPED(free) char *part = alloc_text(path);
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (!make_one_directory(part, mode, err))
            return false;
        *slash = '/';
    }
    if (!make_one_directory(part, mode, err))
        return false;
    struct stat about;
    if (stat(part, &about) != 0 || !S_ISDIR(about.st_mode))
        return error_set(err, ERROR_UNAVAILABLE, "%s is not a directory", part);
    return true;
}

static int remove_one(const char *path, const struct stat *about, int type, struct FTW *walk)
{
    (void)about;
    (void)type;
    (void)walk;
    return remove(path) != 0 && errno != ENOENT ? -1 : 0;
}

bool file_remove_tree(const char *path, struct error *err)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        return error_set_errno(err, errno, "remove %s", path);
    return true;
}

int file_open_scratch(const char *directory, struct error *err)
{
    SCOPED(free) char *path = alloc_format("%s/scratch-XXXXXX", directory);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) {
        error_set_errno(err, errno, "create a temporary file in %s", directory);
        return -1;
    }
    unlink(path);
    return fd;
}
