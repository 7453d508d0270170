#pragma once
// Files: whole reads with a limit, complete writes, and the order of fsyncs that makes a file
// survive a power cut (the file, then the rename, then the directory).

#include "base/buf.h"
#include "base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Reads the whole file; ERROR_TOO_LARGE when it is over the buffer's limit.
bool file_read(const char *path, struct buf *out, struct error *err);

// Writes all bytes, going on after short writes and EINTR.
bool file_write_all(int fd, const void *bytes, size_t size, struct error *err);

// Reads up to `size` bytes at the offset; fewer only at the end of the file. -1 on failure.
ssize_t file_read_at(int fd, void *out, size_t size, int64_t offset, struct error *err);

// Puts the bytes at `path` so that a power cut leaves the old file or the new one, never a mix.
bool file_replace(const char *path, const void *bytes, size_t size, mode_t mode, struct error *err);

// fsync of a directory, which makes renames and unlinks in it durable.
bool file_sync_directory(const char *path, struct error *err);

// As `mkdir -p`; what it made survives a power cut.
bool file_make_directory(const char *path, mode_t mode, struct error *err);

// Removes the file or the directory with all it holds; nothing there is fine.
bool file_remove_tree(const char *path, struct error *err);

// An unlinked file for reading and writing in the directory (not O_TMPFILE: NFS has none).
int file_open_scratch(const char *directory, struct error *err);

// Holds a descriptor: closed with the scope; -1 is "none".
void file_close(int fd);
static inline void scoped_fd(int *fd)
{
    file_close(*fd);
}
#define SCOPED_FD __attribute__((cleanup(scoped_fd)))
