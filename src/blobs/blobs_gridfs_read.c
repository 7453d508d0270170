// Reading from MongoDB: ranges of chunks by their numbers, a few ahead of who reads in order. The
// library's own streams cannot seek.

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "blobs/blobs_digest.h"
#include "blobs/blobs_gridfs.h"

#include <poll.h>
#include <string.h>

static const int64_t read_ahead_bytes = INT64_C(4) * GRIDFS_CHUNK_SIZE;

struct gridfs_reader {
    struct blob_reader base;
    struct gridfs_window window;
};

// ---- windows ----

static bool set_damaged(struct gridfs *gridfs, const struct gridfs_window *window, int64_t number,
                        struct error *err)
{
    bool is_there;
    if (!gridfs_is_committed(gridfs, window->key, &is_there, err))
        return false;
    if (!is_there)
        return error_set(err, ERROR_NOT_FOUND, "%s was removed while it was read", window->key);
    return error_set(err, ERROR_INTERNAL,
                     "%s is damaged: chunk %lld is missing or has another size", window->key,
                     (long long)number);
}

static size_t chunk_length(const struct gridfs_window *window, int64_t number)
{
    int64_t left = window->size_bytes - number * window->chunk_size;
    return (size_t)(left < window->chunk_size ? left : window->chunk_size);
}

// Takes the next chunk, which must be this one.
static bool take_chunk(struct gridfs_window *window, mongoc_cursor_t *cursor, int64_t number)
{
    const bson_t *document;
    bson_iter_t data;
    bson_subtype_t subtype;
    uint32_t size = 0;
    const uint8_t *bytes = NULL;
    if (!mongoc_cursor_next(cursor, &document) || gridfs_integer(document, "n") != number ||
        !bson_iter_init_find(&data, document, "data") || !BSON_ITER_HOLDS_BINARY(&data))
        return false;
    bson_iter_binary(&data, &subtype, &size, &bytes);
    if (size != chunk_length(window, number) || size > window->capacity - window->filled)
        return false;
    memcpy(window->bytes + window->filled, bytes, size);
    window->filled += size;
    return true;
}

static bool fetch(struct gridfs *gridfs, struct gridfs_window *window, int64_t first, int64_t count,
                  struct error *err)
{
    SCOPED_BSON bson_t *filter = BCON_NEW("files_id", BCON_UTF8(window->key), "n", "{", "$gte",
                                          BCON_INT64(first), "$lt", BCON_INT64(first + count), "}");
    SCOPED_BSON bson_t *sort = BCON_NEW("files_id", BCON_INT32(1), "n", BCON_INT32(1));
    SCOPED_BSON bson_t *projection =
        BCON_NEW("_id", BCON_INT32(0), "n", BCON_INT32(1), "data", BCON_INT32(1));
    size_t needed = (size_t)(count * window->chunk_size);
    if (window->capacity < needed) {
        window->bytes = alloc_resize(window->bytes, needed);
        window->capacity = needed;
    }
    window->begin = first * window->chunk_size;
    window->filled = 0;
    mongoc_cursor_t *cursor = gridfs_find(gridfs, gridfs_bucket(gridfs, window->key)->chunks,
                                          filter, sort, projection, count);
    int64_t taken = 0;
    while (taken < count && take_chunk(window, cursor, first + taken))
        taken++;
    bson_error_t problem;
    bool is_done =
        !mongoc_cursor_error(cursor, &problem) || gridfs_set_error(err, &problem, "read a blob");
    mongoc_cursor_destroy(cursor);
    if (is_done && taken < count)
        is_done = set_damaged(gridfs, window, first + taken, err);
    if (!is_done)
        window->filled = 0;
    return is_done;
}

// Who is in the middle of a blob waits for a new primary.
static bool fetch_patiently(struct gridfs *gridfs, struct gridfs_window *window, int64_t first,
                            int64_t count, struct error *err)
{
    int64_t deadline_ms = clock_monotonic_ms() + GRIDFS_PATIENCE_MS;
    for (int attempt = 1;; attempt++) {
        struct error problem = {0}; // forgotten if the next attempt succeeds
        if (fetch(gridfs, window, first, count, &problem))
            return true;
        if (problem.kind != ERROR_UNAVAILABLE || clock_monotonic_ms() >= deadline_ms) {
            *err = problem;
            return false;
        }
        clock_sleep_ms(clock_backoff_ms(attempt, GRIDFS_PAUSE_MS, GRIDFS_LONGEST_PAUSE_MS));
    }
}

// Moves the window to where `offset` is in it.
static bool move(struct gridfs *gridfs, struct gridfs_window *window, int64_t offset, size_t size,
                 struct error *err)
{
    int64_t first = offset / window->chunk_size;
    int64_t end = (window->size_bytes + window->chunk_size - 1) / window->chunk_size;
    int64_t wanted = (offset + (int64_t)size - 1) / window->chunk_size + 1 - first;
    int64_t most = window->reads_ahead ? read_ahead_bytes / window->chunk_size : 1;
    bool is_in_order = offset == window->begin + (int64_t)window->filled;
    if (is_in_order || wanted > most)
        wanted = most > 0 ? most : 1;
    if (wanted > end - first)
        wanted = end - first;
    return fetch_patiently(gridfs, window, first, wanted, err);
}

ssize_t gridfs_window_read(struct gridfs *gridfs, struct gridfs_window *window, int64_t offset,
                           void *out, size_t size, struct error *err)
{
    size_t done = 0;
    while (done < size && offset + (int64_t)done < window->size_bytes) {
        int64_t at = offset + (int64_t)done;
        int64_t inside = at - window->begin;
        if (inside < 0 || inside >= (int64_t)window->filled) {
            if (!move(gridfs, window, at, size - done, err))
                return -1;
            inside = at - window->begin;
        }
        size_t piece = window->filled - (size_t)inside;
        if (piece > size - done)
            piece = size - done;
        memcpy((uint8_t *)out + done, window->bytes + inside, piece);
        done += piece;
    }
    return (ssize_t)done;
}

// ---- files ----

static bool find_file(struct gridfs *gridfs, const char *key, struct blob_info *out,
                      int64_t *out_chunk_size, struct error *err)
{
    SCOPED_BSON bson_t *filter = BCON_NEW("_id", BCON_UTF8(key));
    SCOPED_BSON bson_t *file = NULL;
    if (!gridfs_find_one(gridfs, gridfs_bucket(gridfs, key)->files, filter, NULL, NULL, &file, err))
        return false;
    if (file == NULL)
        return error_set(err, ERROR_NOT_FOUND, "there is no blob %s", key);
    const char *sha256 = gridfs_text(file, "metadata.sha256");
    struct blob_info info = {.size_bytes = gridfs_integer(file, "length"),
                             .committed_at_ms = gridfs_integer(file, "uploadDate")};
    int64_t chunk_size = gridfs_integer(file, "chunkSize");
    // 16 MiB is the largest document.
    if (sha256 == NULL || strlen(sha256) != BLOB_SHA256_SIZE - 1 || info.size_bytes < 0 ||
        chunk_size <= 0 || chunk_size > INT64_C(16) << 20)
        return error_set(err, ERROR_INTERNAL, "the document of %s is damaged", key);
    text_copy(info.key, sizeof info.key, key);
    text_copy(info.sha256, sizeof info.sha256, sha256);
    *out = info;
    *out_chunk_size = chunk_size;
    return true;
}

bool gridfs_stat(struct blobs *blobs, const char *key, struct blob_info *out, struct error *err)
{
    int64_t chunk_size = 0;
    return find_file((struct gridfs *)blobs, key, out, &chunk_size, err);
}

static void free_reader(struct blob_reader *reader)
{
    free(((struct gridfs_reader *)reader)->window.bytes);
    free(reader);
}

struct blob_reader *gridfs_read(struct blobs *blobs, const char *key, struct blob_info *out,
                                struct error *err)
{
    struct blob_info info = {0};
    int64_t chunk_size = 0;
    if (!find_file((struct gridfs *)blobs, key, &info, &chunk_size, err))
        return NULL;
    struct gridfs_reader *reader = alloc_zeroed(1, sizeof *reader);
    reader->base.destroy = free_reader;
    text_copy(reader->window.key, sizeof reader->window.key, key);
    reader->window.size_bytes = info.size_bytes;
    reader->window.chunk_size = chunk_size;
    *out = info;
    return &reader->base;
}

ssize_t gridfs_read_at(struct blobs *blobs, struct blob_reader *reader, int64_t offset, void *out,
                       size_t size, struct error *err)
{
    struct gridfs_window *window = &((struct gridfs_reader *)reader)->window;
    return gridfs_window_read((struct gridfs *)blobs, window, offset, out, size, err);
}

int gridfs_descriptor(struct blobs *blobs, struct blob_reader *reader)
{
    (void)blobs;
    (void)reader;
    return -1;
}

// Copies the blob to the descriptor and compares its SHA-256.
static bool spool(struct blobs *blobs, struct blob_reader *reader, const struct blob_info *info,
                  int fd, int cancel_fd, struct error *err)
{
    enum { PIECE_SIZE = GRIDFS_CHUNK_SIZE };
    SCOPED(blob_digest_destroy) struct blob_digest *digest = blob_digest_create();
    SCOPED(free) char *piece = alloc_zeroed(1, PIECE_SIZE);
    ssize_t got;
    struct pollfd cancelled = {.fd = cancel_fd, .events = POLLIN};
    for (int64_t offset = 0; offset < info->size_bytes; offset += got) {
        if (poll(&cancelled, 1, 0) > 0)
            return error_set(err, ERROR_UNAVAILABLE, "copying %s was cancelled", info->key);
        got = gridfs_read_at(blobs, reader, offset, piece, PIECE_SIZE, err);
        if (got < 0 || !file_write_all(fd, piece, (size_t)got, err))
            return false;
        blob_digest_add(digest, piece, (size_t)got);
    }
    char sha256[BLOB_SHA256_SIZE];
    blob_digest_finish(digest, sha256);
    return strcmp(sha256, info->sha256) == 0 ||
           error_set(err, ERROR_INTERNAL, "%s is damaged: its SHA-256 is another", info->key);
}

int gridfs_open_fd(struct blobs *blobs, const char *key, const char *scratch_directory,
                   int cancel_fd, struct blob_info *out, struct error *err)
{
    struct blob_info info;
    struct blob_reader *reader = gridfs_read(blobs, key, &info, err);
    if (reader == NULL)
        return -1;
    int fd = file_open_scratch(scratch_directory, err);
    ((struct gridfs_reader *)reader)->window.reads_ahead = true;
    bool is_whole =
        fd >= 0 && spool(blobs, reader, &info, fd, cancel_fd, err) &&
        (lseek(fd, 0, SEEK_SET) == 0 || error_set_errno(err, errno, "rewind a scratch file"));
    free_reader(reader);
    if (!is_whole) {
        file_close(fd);
        return -1;
    }
    *out = info;
    return fd;
}
