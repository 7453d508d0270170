// Blobs as directories of a local file system.
//
//     DIR/incoming/source_ID/{data,meta.json}      being written
//     DIR/source/ID/, DIR/audio/ID/ATTEMPT/        committed: the same directory, renamed
//     DIR/incoming/trash_TOKEN/                    being removed
//
// Who holds the flock on incoming/KEY/data owns incoming/KEY, and only the owner renames it. The
// kernel gives the lock back when a process dies. A fsync that failed is never tried again: the
// kernel may have forgotten the pages, and the second one would lie.

#include "base/alloc.h"
#include "base/file.h"
#include "base/id.h"
#include "base/text.h"
#include "blobs/blobs_backend.h"
#include "blobs/blobs_files_meta.h"
#include "blobs/blobs_files_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    // So often the kernel is told to begin writing, so that the last fsync finds little to do.
    WRITEBACK_BYTES = 8 * 1024 * 1024,
    TRIES = 10, // against others that make and remove the same directory
};

struct files {
    struct blobs base;
    char *root, *incoming;
};

struct files_writer {
    struct blob_writer base;
    char *directory; // incoming/KEY
    int fd;          // holds the lock
    int64_t started_writeback_bytes;
    json_t *meta;
};

struct files_reader {
    struct blob_reader base;
    int fd;
};

static void files_close(struct blobs *blobs)
{
    struct files *files = (struct files *)blobs;
    free(files->root);
    free(files->incoming);
    free(files);
}

// What a process was removing when it died.
static bool empty_trash(const struct files *files, struct error *err)
{
    DIR *directory = opendir(files->incoming);
    if (directory == NULL)
        return error_set_errno(err, errno, "open directory %s", files->incoming);
    bool is_empty = true;
    for (struct dirent *entry; is_empty && (entry = readdir(directory)) != NULL;) {
        if (!text_starts_with(entry->d_name, "trash_"))
            continue;
        SCOPED(free) char *path = alloc_format("%s/%s", files->incoming, entry->d_name);
        is_empty = file_remove_tree(path, err);
    }
    closedir(directory);
    return is_empty;
}

static const char *root_of(const char *url, struct error *err)
{
    const char *root = url + strlen("file:");
    if (root[0] != '\0')
        return root;
    error_set(err, ERROR_INVALID, "file: needs a directory");
    return NULL;
}

static bool files_check_url(const char *url, struct error *err)
{
    return root_of(url, err) != NULL;
}

static const char *const parts[] = {"incoming", "source", "audio"};
enum { PARTS = sizeof parts / sizeof parts[0] };

static bool files_make(const char *url, struct error *err)
{
    const char *root = root_of(url, err);
    for (size_t i = 0; root != NULL && i < PARTS; i++) {
        SCOPED(free) char *path = alloc_format("%s/%s", root, parts[i]);
        if (!file_make_directory(path, 0700, err))
            return false;
    }
    return root != NULL;
}

static struct blobs *files_open(const char *url, struct error *err)
{
    const char *root = root_of(url, err);
    if (root == NULL)
        return NULL;
    struct files *files = alloc_zeroed(1, sizeof *files);
    SCOPED(blobs_close) struct blobs *blobs = &files->base;
    files->base.ops = &blobs_files_ops;
    files->root = alloc_text(root);
    files->incoming = alloc_format("%s/incoming", root);
    for (size_t i = 0; i < PARTS; i++) {
        SCOPED(free) char *path = alloc_format("%s/%s", root, parts[i]);
        if (access(path, F_OK) == 0)
            continue;
        error_set(err, ERROR_UNAVAILABLE,
                  "there is no %s: is a disk not mounted? `unreel migrate` makes a new store",
                  path);
        return NULL;
    }
    if (!empty_trash(files, err))
        return NULL;
    return TAKE(blobs);
}

// As error_set_errno; but where the whole store is gone, nothing is known about any one blob.
static bool set_store_errno(const struct files *files, struct error *err, int number,
                            const char *what)
{
    error_set_errno(err, number, "%s", what);
    if (err->kind == ERROR_NOT_FOUND && access(files->incoming, F_OK) != 0)
        err->kind = ERROR_UNAVAILABLE;
    return false;
}

static bool files_ready(struct blobs *blobs, int64_t *out_free_bytes, struct error *err)
{
    const struct files *files = (struct files *)blobs;
    struct statvfs about;
    if (access(files->incoming, W_OK | X_OK) != 0)
        return set_store_errno(files, err, errno, files->incoming);
    if (statvfs(files->incoming, &about) != 0)
        return set_store_errno(files, err, errno, files->incoming);
    if (about.f_files != 0 && about.f_favail == 0)
        return error_set(err, ERROR_NO_SPACE, "%s: no inode is free", files->incoming);
    *out_free_bytes = (int64_t)about.f_bavail * (int64_t)about.f_frsize;
    return true;
}

// A key has no '_', so this can be turned back.
static char *incoming_path(const struct files *files, const char *key)
{
    char *path = alloc_format("%s/%s", files->incoming, key);
    for (char *at = path + strlen(files->incoming) + 1; *at != '\0'; at++)
        if (*at == '/')
            *at = '_';
    return path;
}

static char *committed_path(const struct files *files, const char *key)
{
    return alloc_format("%s/%s", files->root, key);
}

static bool is_committed(const struct files *files, const char *key)
{
    SCOPED(free) char *path = committed_path(files, key);
    return access(path, F_OK) == 0;
}

static bool is_file_at(int fd, const char *path)
{
    struct stat open_file, named_file;
    return fstat(fd, &open_file) == 0 && stat(path, &named_file) == 0 &&
           open_file.st_ino == named_file.st_ino && open_file.st_dev == named_file.st_dev;
}

// Takes incoming/KEY: opens and locks its data file, making it when `flags` has O_CREAT.
static int own(const struct files *files, const char *key, int flags, struct error *err)
{
    SCOPED(free) char *directory = incoming_path(files, key);
    SCOPED(free) char *path = alloc_format("%s/data", directory);
    for (int i = 0; i < TRIES; i++) {
        if ((flags & O_CREAT) != 0 && mkdir(directory, 0700) != 0 && errno != EEXIST) {
            set_store_errno(files, err, errno, directory);
            return -1;
        }
        int fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
        if (fd < 0 && errno == ENOENT && (flags & O_CREAT) != 0)
            continue;
        if (fd < 0) {
            error_set_errno(err, errno, "open %s", path);
            return -1;
        }
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            error_set(err, ERROR_CONFLICT, "somebody is writing %s", key);
            close(fd);
            return -1;
        }
        if (is_file_at(fd, path))
            return fd;
        close(fd);
    }
    error_set(err, ERROR_CONFLICT, "others are writing and removing %s", key);
    return -1;
}

// From one rename on, nobody sees it any more; then its files go.
static bool throw_away(const struct files *files, const char *directory, struct error *err)
{
    char token[TOKEN_SIZE];
    token_new(token);
    SCOPED(free) char *trash = alloc_format("%s/trash_%s", files->incoming, token);
    if (rename(directory, trash) != 0)
        return error_set_errno(err, errno, "remove %s", directory);
    // Durable before the first file goes: a power cut must not bring back half a blob.
    SCOPED(free) char *copy = alloc_text(directory);
    struct error problem;
    if (!file_sync_directory(dirname(copy), &problem) && problem.kind != ERROR_NOT_FOUND) {
        *err = problem;
        return false;
    }
    return file_remove_tree(trash, err);
}

static void free_writer(struct blob_writer *base)
{
    struct files_writer *writer = (struct files_writer *)base;
    // A child between fork and exec still has the descriptor; closing ours would not unlock.
    flock(writer->fd, LOCK_UN);
    file_close(writer->fd);
    json_decref(writer->meta);
    free(writer->directory);
    free(writer);
}

static void files_abort(struct blobs *blobs, struct blob_writer *base)
{
    struct files_writer *writer = (struct files_writer *)base;
    struct error ignored; // what stays behind is unfinished, and listed as such
    throw_away((struct files *)blobs, writer->directory, &ignored);
    free_writer(&writer->base);
}

static struct files_writer *make_writer(const struct files *files, const char *key, int fd)
{
    struct files_writer *writer = alloc_zeroed(1, sizeof *writer);
    writer->base.destroy = free_writer;
    writer->directory = incoming_path(files, key);
    writer->fd = fd;
    return writer;
}

static bool empty_writer(struct files_writer *writer, const char *key,
                         const struct blob_about *about, struct error *err)
{
    if (ftruncate(writer->fd, 0) != 0)
        return error_set_errno(err, errno, "empty %s/data", writer->directory);
    writer->meta = blobs_meta_create(key, about, err);
    return writer->meta != NULL && blobs_meta_save(writer->meta, writer->directory, false, err);
}

static struct blob_writer *files_create(struct blobs *blobs, const char *key,
                                        const struct blob_about *about, struct error *err)
{
    struct files *files = (struct files *)blobs;
    int fd = own(files, key, O_CREAT, err);
    if (fd < 0)
        return NULL;
    struct files_writer *writer = make_writer(files, key, fd);
    // Looked at with the lock held: nobody can commit it any more.
    bool is_ready =
        !is_committed(files, key) || error_set(err, ERROR_CONFLICT, "%s is already committed", key);
    if (is_ready)
        is_ready = empty_writer(writer, key, about, err);
    if (!is_ready) {
        files_abort(blobs, &writer->base);
        return NULL;
    }
    return &writer->base;
}

// Cuts off what a power cut may have damaged and makes the rest durable.
static bool find_durable_end(struct files_writer *writer, int64_t *out_offset, struct error *err)
{
    struct stat about;
    if (fstat(writer->fd, &about) != 0)
        return error_set_errno(err, errno, "%s/data", writer->directory);
    int64_t durable = blobs_meta_durable(writer->meta, about.st_size);
    if (durable < about.st_size && ftruncate(writer->fd, durable) != 0)
        return error_set_errno(err, errno, "cut %s/data", writer->directory);
    if (lseek(writer->fd, durable, SEEK_SET) < 0)
        return error_set_errno(err, errno, "%s/data", writer->directory);
    if (fsync(writer->fd) != 0)
        return error_set_errno(err, errno, "fsync %s/data", writer->directory);
    writer->started_writeback_bytes = durable;
    *out_offset = durable;
    return true;
}

static struct blob_writer *files_resume(struct blobs *blobs, const char *key, int64_t *out_offset,
                                        struct error *err)
{
    struct files *files = (struct files *)blobs;
    int fd = own(files, key, 0, err);
    if (fd < 0) {
        if (err->kind == ERROR_NOT_FOUND && is_committed(files, key))
            error_set(err, ERROR_CONFLICT, "%s is already committed", key);
        return NULL;
    }
    struct files_writer *writer = make_writer(files, key, fd);
    writer->meta = blobs_meta_load(writer->directory, err);
    if (writer->meta == NULL) {
        // Damaged: its writer died before there was anything to go on with.
        if (err->kind == ERROR_INTERNAL)
            err->kind = ERROR_NOT_FOUND;
        free_writer(&writer->base);
        return NULL;
    }
    if (!find_durable_end(writer, out_offset, err)) {
        files_abort(blobs, &writer->base);
        return NULL;
    }
    return &writer->base;
}

// Only starts the writing: an error of it is still there for fsync to report.
static bool start_writeback(struct files_writer *writer, int64_t end, struct error *err)
{
    int64_t begin = writer->started_writeback_bytes;
    if (end - begin < WRITEBACK_BYTES)
        return true;
    writer->started_writeback_bytes = end;
    if (sync_file_range(writer->fd, begin, end - begin, SYNC_FILE_RANGE_WRITE) == 0)
        return true;
    // File systems that have no page cache of their own do not know this call.
    if (errno == ENOSYS || errno == EINVAL || errno == ESPIPE || errno == EOPNOTSUPP)
        return true;
    return error_set_errno(err, errno, "write %s/data", writer->directory);
}

static bool files_write(struct blobs *blobs, struct blob_writer *base, const void *bytes,
                        size_t size, struct error *err)
{
    (void)blobs;
    struct files_writer *writer = (struct files_writer *)base;
    if (!file_write_all(writer->fd, bytes, size, err))
        return error_prefix(err, "%s/data", writer->directory);
    return start_writeback(writer, base->size_bytes + (int64_t)size, err);
}

static ssize_t files_read_back(struct blobs *blobs, struct blob_writer *base, int64_t offset,
                               void *out, size_t size, struct error *err)
{
    (void)blobs;
    return file_read_at(((struct files_writer *)base)->fd, out, size, offset, err);
}

// Data, description and their names: all on the disk, under incoming/.
static bool make_durable(struct files_writer *writer, struct error *err)
{
    if (fsync(writer->fd) != 0)
        return error_set_errno(err, errno, "fsync %s/data", writer->directory);
    return blobs_meta_save(writer->meta, writer->directory, true, err) &&
           file_sync_directory(writer->directory, err);
}

static bool files_suspend(struct blobs *blobs, struct blob_writer *base, struct error *err)
{
    struct files *files = (struct files *)blobs;
    struct files_writer *writer = (struct files_writer *)base;
    blobs_meta_set_durable(writer->meta, base->size_bytes);
    if (!make_durable(writer, err) || !file_sync_directory(files->incoming, err)) {
        files_abort(blobs, base);
        return false;
    }
    free_writer(&writer->base);
    return true;
}

// Renames incoming/KEY to its final place. A directory that is already there is never empty, so
// rename cannot replace it.
static bool put_in_place(const struct files_writer *writer, const char *place, const char *parent,
                         struct error *err)
{
    for (int i = 0; i < TRIES; i++) {
        if (mkdir(parent, 0700) != 0 && errno != EEXIST)
            break;
        if (rename(writer->directory, place) == 0)
            return true;
        if (errno == ENOTEMPTY || errno == EEXIST)
            return error_set(err, ERROR_CONFLICT, "%s is already committed", writer->base.key);
        // The removal of a neighbour may just have taken the empty parent away.
        if (errno != ENOENT || access(writer->directory, F_OK) != 0)
            break;
    }
    return error_set_errno(err, errno, "put %s in place", writer->base.key);
}

// The directories that put_in_place has changed.
static bool sync_names(const struct files *files, const char *parent, struct error *err)
{
    SCOPED(free) char *copy = alloc_text(parent);
    return file_sync_directory(parent, err) && file_sync_directory(dirname(copy), err) &&
           file_sync_directory(files->incoming, err);
}

static bool files_commit(struct blobs *blobs, struct blob_writer *base,
                         const struct blob_info *info, struct error *err)
{
    struct files *files = (struct files *)blobs;
    struct files_writer *writer = (struct files_writer *)base;
    SCOPED(free) char *place = committed_path(files, info->key);
    SCOPED(free) char *copy = alloc_text(place);
    const char *parent = dirname(copy);
    blobs_meta_set_info(writer->meta, info);
    if (!make_durable(writer, err) || !put_in_place(writer, place, parent, err)) {
        files_abort(blobs, base);
        return false;
    }
    bool is_durable = sync_names(files, parent, err);
    if (!is_durable) {
        struct error ignored; // the first one says what happened
        throw_away(files, place, &ignored);
    }
    free_writer(&writer->base);
    return is_durable;
}

static bool files_stat(struct blobs *blobs, const char *key, struct blob_info *out,
                       struct error *err)
{
    const struct files *files = (struct files *)blobs;
    SCOPED(free) char *directory = committed_path(files, key);
    SCOPED_META json_t *meta = blobs_meta_load(directory, err);
    if (meta == NULL && err->kind == ERROR_NOT_FOUND)
        return set_store_errno(files, err, ENOENT, directory);
    return meta != NULL && blobs_meta_get_info(meta, out, err);
}

static int files_open_fd(struct blobs *blobs, const char *key, const char *scratch_directory,
                         int cancel_fd, struct blob_info *out, struct error *err)
{
    (void)scratch_directory;
    (void)cancel_fd;
    SCOPED(free) char *path = alloc_format("%s/%s/data", ((struct files *)blobs)->root, key);
    struct blob_info info;
    if (!files_stat(blobs, key, &info, err))
        return -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        error_set_errno(err, errno, "open %s", path);
        return -1;
    }
    struct stat about;
    if (fstat(fd, &about) != 0 || about.st_size != info.size_bytes) {
        error_set(err, ERROR_INTERNAL, "%s does not have the size that its meta.json says", path);
        close(fd);
        return -1;
    }
    *out = info;
    return fd;
}

static void free_reader(struct blob_reader *reader)
{
    file_close(((struct files_reader *)reader)->fd);
    free(reader);
}

static struct blob_reader *files_read(struct blobs *blobs, const char *key, struct blob_info *out,
                                      struct error *err)
{
    int fd = files_open_fd(blobs, key, NULL, -1, out, err);
    if (fd < 0)
        return NULL;
    struct files_reader *reader = alloc_zeroed(1, sizeof *reader);
    reader->base.destroy = free_reader;
    reader->fd = fd;
    return &reader->base;
}

static ssize_t files_read_at(struct blobs *blobs, struct blob_reader *reader, int64_t offset,
                             void *out, size_t size, struct error *err)
{
    (void)blobs;
    return file_read_at(((struct files_reader *)reader)->fd, out, size, offset, err);
}

static int files_descriptor(struct blobs *blobs, struct blob_reader *reader)
{
    (void)blobs;
    return fcntl(((struct files_reader *)reader)->fd, F_DUPFD_CLOEXEC, 0);
}

static bool remove_committed(const struct files *files, const char *key, struct error *err)
{
    SCOPED(free) char *place = committed_path(files, key);
    struct error problem;
    if (!throw_away(files, place, &problem) && problem.kind != ERROR_NOT_FOUND) {
        *err = problem;
        return false;
    }
    if (text_starts_with(key, "audio/"))
        rmdir(dirname(place)); // fails while other attempts are there
    return true;
}

static bool remove_unfinished(const struct files *files, const char *key, struct error *err)
{
    SCOPED(free) char *directory = incoming_path(files, key);
    if (access(directory, F_OK) != 0)
        return errno == ENOENT || error_set_errno(err, errno, "%s", directory);
    SCOPED_FD int fd = own(files, key, O_CREAT, err);
    return fd >= 0 && throw_away(files, directory, err);
}

static bool files_remove(struct blobs *blobs, const char *key, struct error *err)
{
    // In this order: what its writer commits in between is found by the second step.
    const struct files *files = (struct files *)blobs;
    return remove_unfinished(files, key, err) && remove_committed(files, key, err);
}

static bool files_list(struct blobs *blobs, const char *prefix, bool unfinished,
                       bool (*each)(const char *key, int64_t changed_at_ms, void *context),
                       void *context, struct error *err)
{
    return blobs_files_walk(((struct files *)blobs)->root, prefix, unfinished, each, context, err);
}

const struct blobs_ops blobs_files_ops = {
    .schemes = (const char *const[]){"file", NULL},
    .check_url = files_check_url,
    .make = files_make,
    .open = files_open,
    .close = files_close,
    .ready = files_ready,
    .create = files_create,
    .resume = files_resume,
    .write = files_write,
    .read_back = files_read_back,
    .suspend = files_suspend,
    .commit = files_commit,
    .abort = files_abort,
    .read = files_read,
    .read_at = files_read_at,
    .descriptor = files_descriptor,
    .open_fd = files_open_fd,
    .stat = files_stat,
    .remove = files_remove,
    .list = files_list,
};
