// Writing to MongoDB: a few chunks at a time, each time in one transaction with the marker.

#include "base/alloc.h"
#include "base/text.h"
#include "blobs/blobs_gridfs.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

// Bytes that a writer holds back. One chunk at a time is half as fast, eight are no faster. A crowd
// of writers keeps the server busy with one chunk each, and must fit into memory.
enum {
    BATCH_CHUNKS = 4,
    BATCH_BYTES = BATCH_CHUNKS * GRIDFS_CHUNK_SIZE,
    CROWD = 32,
};

static atomic_int writers_count; // of this process

struct gridfs_writer {
    struct blob_writer base;
    struct gridfs_claim claim;
    bson_t *about;                        // what the marker and later the file says of the blob
    int64_t first;                        // the number of the chunk that `bytes` begins with
    size_t stored_tail;                   // so much of it is stored already, as a short chunk
    uint8_t *bytes;                       // whole chunks, and the beginning of one
    size_t filled, capacity;              // of `bytes`
    struct gridfs_window window;          // on what is stored; for read_back
    const struct blob_info *committed_as; // during the commit
};

static void free_writer(struct blob_writer *base)
{
    struct gridfs_writer *writer = (struct gridfs_writer *)base;
    writers_count--;
    bson_destroy(writer->about);
    free(writer->window.bytes);
    free(writer->bytes);
    free(writer);
}

// ---- beginning ----

static struct gridfs_writer *make_writer(const struct gridfs_claim *claim, bson_t *about)
{
    struct gridfs_writer *writer = alloc_zeroed(1, sizeof *writer);
    writers_count++;
    writer->base.destroy = free_writer;
    writer->claim = *claim;
    writer->about = about;
    return writer;
}

// With the marker in hand: nobody can commit it any more.
static bool check_uncommitted(struct gridfs *gridfs, const struct gridfs_claim *claim,
                              struct error *err)
{
    bool is_committed;
    if (!gridfs_is_committed(gridfs, claim->key, &is_committed, err))
        return false;
    if (!is_committed)
        return true;
    struct gridfs_failure ignored = {.err = err}; // then the marker of a committed blob stays
    gridfs_release(gridfs, claim, &ignored);
    return error_set(err, ERROR_CONFLICT, "%s is already committed", claim->key);
}

static bson_t *describe(const char *key, const struct blob_about *about, struct error *err)
{
    const char *const texts[] = {about->owner, about->conversion, about->name, about->content_type};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (!text_is_utf8(texts[i], strlen(texts[i]))) {
            error_set(err, ERROR_INVALID, "the description of a blob is not UTF-8");
            return NULL;
        }
    return BCON_NEW("key", BCON_UTF8(key), "owner", BCON_UTF8(about->owner), "conversion",
                    BCON_UTF8(about->conversion), "name", BCON_UTF8(about->name), "content_type",
                    BCON_UTF8(about->content_type));
}

struct blob_writer *gridfs_create(struct blobs *blobs, const char *key,
                                  const struct blob_about *about, struct error *err)
{
    struct gridfs *gridfs = (struct gridfs *)blobs;
    struct gridfs_claim claim;
    bson_t *description = describe(key, about, err);
    if (description == NULL)
        return NULL;
    SCOPED_BSON bson_t *condition = BCON_NEW("_id", BCON_UTF8(key));
    SCOPED_BSON bson_t *set = BCON_NEW("bytes", BCON_INT64(0), "about", BCON_DOCUMENT(description));
    SCOPED_BSON bson_t *old = NULL;
    bool is_ready = gridfs_take(gridfs, key, condition, true, set, &claim, &old, err) &&
                    check_uncommitted(gridfs, &claim, err) &&
                    (old == NULL || gridfs_cut(gridfs, &claim, 0, err));
    if (!is_ready) {
        bson_destroy(description);
        return NULL;
    }
    return &make_writer(&claim, description)->base;
}

// The last, short chunk comes back into memory; it stays stored until a longer one replaces it.
static bool load_tail(struct gridfs *gridfs, struct gridfs_writer *writer, int64_t stored_bytes,
                      struct error *err)
{
    writer->first = stored_bytes / GRIDFS_CHUNK_SIZE;
    writer->stored_tail = (size_t)(stored_bytes % GRIDFS_CHUNK_SIZE);
    writer->capacity = GRIDFS_CHUNK_SIZE;
    writer->bytes = alloc_resize(NULL, writer->capacity);
    writer->window.size_bytes = stored_bytes;
    writer->window.chunk_size = GRIDFS_CHUNK_SIZE;
    text_copy(writer->window.key, sizeof writer->window.key, writer->claim.key);
    ssize_t got =
        gridfs_window_read(gridfs, &writer->window, writer->first * (int64_t)GRIDFS_CHUNK_SIZE,
                           writer->bytes, writer->stored_tail, err);
    writer->filled = writer->stored_tail;
    return got >= 0;
}

struct blob_writer *gridfs_resume(struct blobs *blobs, const char *key, int64_t *out_offset,
                                  struct error *err)
{
    struct gridfs *gridfs = (struct gridfs *)blobs;
    struct gridfs_claim claim;
    SCOPED_BSON bson_t *condition =
        BCON_NEW("_id", BCON_UTF8(key), "about", "{", "$exists", BCON_BOOL(true), "}");
    SCOPED_BSON bson_t *set = bson_new();
    SCOPED_BSON bson_t *old = NULL;
    bool is_committed;
    if (!gridfs_take(gridfs, key, condition, false, set, &claim, &old, err))
        return NULL;
    if (old == NULL) {
        if (gridfs_is_committed(gridfs, key, &is_committed, err))
            error_set(err, is_committed ? ERROR_CONFLICT : ERROR_NOT_FOUND,
                      is_committed ? "%s is already committed" : "nothing of %s is there", key);
        return NULL;
    }
    int64_t stored_bytes = gridfs_integer(old, "bytes");
    int64_t chunks = (stored_bytes + GRIDFS_CHUNK_SIZE - 1) / GRIDFS_CHUNK_SIZE;
    bson_iter_t about;
    uint32_t size = 0;
    const uint8_t *bytes = NULL;
    if (bson_iter_init_find(&about, old, "about") && BSON_ITER_HOLDS_DOCUMENT(&about))
        bson_iter_document(&about, &size, &bytes);
    struct gridfs_writer *writer = make_writer(&claim, bson_new_from_data(bytes, size));
    // A writer that took the key and died before it had emptied it left more chunks than it says.
    if (!check_uncommitted(gridfs, &claim, err) || !gridfs_cut(gridfs, &claim, chunks, err) ||
        !load_tail(gridfs, writer, stored_bytes, err)) {
        free_writer(&writer->base);
        return NULL;
    }
    *out_offset = stored_bytes;
    return &writer->base;
}

// ---- going on ----

static int64_t begin_of(const struct gridfs_writer *writer)
{
    return writer->first * (int64_t)GRIDFS_CHUNK_SIZE;
}

static bool insert_chunks(struct gridfs *gridfs, const struct gridfs_writer *writer,
                          struct gridfs_failure *failure)
{
    bson_t *owned[BATCH_CHUNKS];
    const bson_t *documents[BATCH_CHUNKS];
    size_t count = 0;
    for (size_t at = 0; at < writer->filled; at += GRIDFS_CHUNK_SIZE, count++) {
        size_t left = writer->filled - at;
        uint32_t size = (uint32_t)(left < GRIDFS_CHUNK_SIZE ? left : GRIDFS_CHUNK_SIZE);
        int32_t number = (int32_t)(writer->first + (int64_t)count);
        documents[count] = owned[count] =
            BCON_NEW("files_id", BCON_UTF8(writer->claim.key), "n", BCON_INT32(number), "data",
                     BCON_BIN(BSON_SUBTYPE_BINARY, writer->bytes + at, size));
    }
    bool is_done = gridfs_insert(gridfs, gridfs_bucket(gridfs, writer->claim.key)->chunks,
                                 documents, count, failure);
    for (size_t i = 0; i < count; i++)
        bson_destroy(owned[i]);
    return is_done;
}

// All that the writer holds, into the transaction.
static bool store(struct gridfs *gridfs, const struct gridfs_writer *writer,
                  struct gridfs_failure *failure)
{
    if (writer->filled == writer->stored_tail)
        return true;
    SCOPED_BSON bson_t *tail =
        BCON_NEW("files_id", BCON_UTF8(writer->claim.key), "n", BCON_INT64(writer->first));
    int64_t deleted;
    if (writer->stored_tail != 0 &&
        !gridfs_delete(gridfs, gridfs_bucket(gridfs, writer->claim.key)->chunks, tail, &deleted,
                       failure))
        return false;
    return insert_chunks(gridfs, writer, failure);
}

// The marker comes last: until then the transaction of a writer that dies is in nobody's way but
// that of one who goes on at the same chunk.
static bool store_and_touch(struct gridfs *gridfs, void *context, struct gridfs_failure *failure)
{
    const struct gridfs_writer *writer = context;
    int64_t stored_bytes = begin_of(writer) + (int64_t)writer->filled;
    return store(gridfs, writer, failure) &&
           gridfs_touch(gridfs, &writer->claim, stored_bytes, failure);
}

// At how many bytes the writer stores: whole chunks, and more than it holds.
static size_t batch_bytes(const struct gridfs_writer *writer)
{
    size_t begun = (writer->filled / GRIDFS_CHUNK_SIZE + 1) * GRIDFS_CHUNK_SIZE;
    return writers_count > CROWD ? begun : BATCH_BYTES;
}

static size_t take_bytes(struct gridfs_writer *writer, const void *bytes, size_t size, size_t limit)
{
    size_t piece = limit - writer->filled < size ? limit - writer->filled : size;
    size_t needed = writer->filled + piece;
    if (writer->bytes == NULL || needed > writer->capacity) {
        size_t twice = 2 * writer->capacity < limit ? 2 * writer->capacity : limit;
        writer->capacity = needed > twice ? needed : twice;
        writer->bytes = alloc_resize(writer->bytes, writer->capacity);
    }
    memcpy(writer->bytes + writer->filled, bytes, piece);
    writer->filled += piece;
    return piece;
}

static void forget_stored(struct gridfs_writer *writer)
{
    writer->first += (int64_t)(writer->filled / GRIDFS_CHUNK_SIZE);
    writer->filled = writer->stored_tail = 0;
    if (writers_count > CROWD) {
        free(TAKE(writer->bytes));
        writer->capacity = 0;
    }
}

bool gridfs_write(struct blobs *blobs, struct blob_writer *base, const void *bytes, size_t size,
                  struct error *err)
{
    struct gridfs *gridfs = (struct gridfs *)blobs;
    struct gridfs_writer *writer = (struct gridfs_writer *)base;
    for (size_t at = 0; at < size;) {
        size_t limit = batch_bytes(writer);
        at += take_bytes(writer, (const uint8_t *)bytes + at, size - at, limit);
        if (writer->filled < limit)
            continue;
        if (!gridfs_transaction(gridfs, store_and_touch, writer, err))
            return false;
        forget_stored(writer);
    }
    return true;
}

ssize_t gridfs_read_back(struct blobs *blobs, struct blob_writer *base, int64_t offset, void *out,
                         size_t size, struct error *err)
{
    struct gridfs_writer *writer = (struct gridfs_writer *)base;
    int64_t inside = offset - begin_of(writer);
    if (inside >= 0) {
        size_t left = inside < (int64_t)writer->filled ? writer->filled - (size_t)inside : 0;
        size_t piece = left < size ? left : size;
        if (piece > 0)
            memcpy(out, writer->bytes + inside, piece);
        return (ssize_t)piece;
    }
    writer->window.size_bytes = begin_of(writer);
    writer->window.reads_ahead = true;
    ssize_t got =
        gridfs_window_read((struct gridfs *)blobs, &writer->window, offset, out, size, err);
    if (got < 0 && err->kind == ERROR_NOT_FOUND)
        err->kind = ERROR_CONFLICT; // another writer has begun anew
    return got;
}

// ---- ending ----

void gridfs_abort(struct blobs *blobs, struct blob_writer *base)
{
    struct gridfs_writer *writer = (struct gridfs_writer *)base;
    struct error ignored; // what stays behind is unfinished, and listed as such
    gridfs_clear((struct gridfs *)blobs, &writer->claim, &ignored);
    free_writer(&writer->base);
}

bool gridfs_suspend(struct blobs *blobs, struct blob_writer *base, struct error *err)
{
    struct gridfs_writer *writer = (struct gridfs_writer *)base;
    bool is_stored = gridfs_transaction((struct gridfs *)blobs, store_and_touch, writer, err);
    free_writer(&writer->base);
    return is_stored;
}

static bool insert_file(struct gridfs *gridfs, const struct gridfs_writer *writer,
                        struct gridfs_failure *failure)
{
    const struct blob_info *info = writer->committed_as;
    SCOPED_BSON bson_t *metadata = bson_copy(writer->about);
    BSON_APPEND_UTF8(metadata, "sha256", info->sha256);
    SCOPED_BSON bson_t *file =
        BCON_NEW("_id", BCON_UTF8(info->key), "length", BCON_INT64(info->size_bytes), "chunkSize",
                 BCON_INT32(GRIDFS_CHUNK_SIZE), "uploadDate", BCON_DATE_TIME(info->committed_at_ms),
                 "filename", BCON_UTF8(info->key), "metadata", BCON_DOCUMENT(metadata));
    const bson_t *documents[] = {file};
    return gridfs_insert(gridfs, gridfs_bucket(gridfs, writer->claim.key)->files, documents, 1,
                         failure);
}

static bool store_and_finish(struct gridfs *gridfs, void *context, struct gridfs_failure *failure)
{
    const struct gridfs_writer *writer = context;
    return store(gridfs, writer, failure) && insert_file(gridfs, writer, failure) &&
           gridfs_release(gridfs, &writer->claim, failure);
}

bool gridfs_commit(struct blobs *blobs, struct blob_writer *base, const struct blob_info *info,
                   struct error *err)
{
    struct gridfs_writer *writer = (struct gridfs_writer *)base;
    writer->committed_as = info;
    bool is_committed = gridfs_transaction((struct gridfs *)blobs, store_and_finish, writer, err);
    free_writer(&writer->base);
    return is_committed;
}
