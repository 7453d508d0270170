// Blobs in MongoDB, to the GridFS specification: any driver reads them. Keys `source/…` are in the
// bucket `videos`, `audio/…` in `mp3s`; in each there are three collections:
//
//     BUCKET.files       {_id: KEY, length, chunkSize, uploadDate, filename, metadata}   committed
//     BUCKET.chunks      {_id, files_id: KEY, n, data}
//     BUCKET.unfinished  {_id: KEY, writer, bytes, changed_at, about}                    a marker
//
// Chunks are there only with a file or with a marker. Whoever wants to change a key's chunks first
// puts a random token of its own into the marker, and every change is one transaction that also
// changes the marker and finds that token still there. So the newest writer wins; whoever was
// before fails with its next call and can harm nothing, however late that call arrives.
// docs/decisions/0008-the-newest-writer-wins.md says what else was considered.

#include "blobs/blobs_gridfs.h"

#include "base/alloc.h"
#include "base/text.h"

#include <string.h>

// From here on no writer can go on with it, and if we die the marker stays for a later list.
static bool gridfs_remove(struct blobs *blobs, const char *key, struct error *err)
{
    struct gridfs *gridfs = (struct gridfs *)blobs;
    SCOPED_BSON bson_t *condition = BCON_NEW("_id", BCON_UTF8(key));
    SCOPED_BSON bson_t *marker = NULL;
    bool is_committed;
    if (!gridfs_find_one(gridfs, gridfs_bucket(gridfs, key)->unfinished, condition, NULL, NULL,
                         &marker, err) ||
        !gridfs_is_committed(gridfs, key, &is_committed, err))
        return false;
    if (marker == NULL && !is_committed)
        return true;
    struct gridfs_claim claim;
    SCOPED_BSON bson_t *set = BCON_NEW("bytes", BCON_INT64(0));
    SCOPED_BSON bson_t *old = NULL;
    return gridfs_take(gridfs, key, condition, true, set, &claim, &old, err) &&
           gridfs_clear(gridfs, &claim, err);
}

struct listing {
    const char *prefix;
    bool unfinished;
    bool (*each)(const char *key, int64_t changed_at_ms, void *context);
    void *context;
    bool is_stopped;
};

static bool list_bucket(struct gridfs *gridfs, const struct gridfs_bucket *bucket,
                        struct listing *listing, struct error *err)
{
    const char *at_name = listing->unfinished ? "changed_at" : "uploadDate";
    // Keys are ASCII, so all that begin with the prefix lie between it and it with a DEL.
    SCOPED(free) char *end = alloc_format("%s\x7f", listing->prefix);
    SCOPED_BSON bson_t *filter =
        BCON_NEW("_id", "{", "$gte", BCON_UTF8(listing->prefix), "$lt", BCON_UTF8(end), "}");
    SCOPED_BSON bson_t *projection = BCON_NEW(at_name, BCON_INT32(1));
    mongoc_cursor_t *cursor =
        gridfs_find(gridfs, listing->unfinished ? bucket->unfinished : bucket->files, filter, NULL,
                    projection, 0);
    const bson_t *document;
    while (!listing->is_stopped && mongoc_cursor_next(cursor, &document)) {
        const char *key = gridfs_text(document, "_id");
        if (key != NULL && blobs_key_is_valid(key))
            listing->is_stopped =
                !listing->each(key, gridfs_integer(document, at_name), listing->context);
    }
    bson_error_t problem;
    bool is_done =
        !mongoc_cursor_error(cursor, &problem) || gridfs_set_error(err, &problem, "list blobs");
    mongoc_cursor_destroy(cursor);
    return is_done;
}

static bool gridfs_list(struct blobs *blobs, const char *prefix, bool unfinished,
                        bool (*each)(const char *key, int64_t changed_at_ms, void *context),
                        void *context, struct error *err)
{
    struct gridfs *gridfs = (struct gridfs *)blobs;
    struct listing listing = {
        .prefix = prefix, .unfinished = unfinished, .each = each, .context = context};
    return (text_starts_with(prefix, "audio/") ||
            list_bucket(gridfs, &gridfs->videos, &listing, err)) &&
           (text_starts_with(prefix, "source/") ||
            list_bucket(gridfs, &gridfs->mp3s, &listing, err));
}

const struct blobs_ops blobs_gridfs_ops = {
    .schemes = (const char *const[]){"mongodb", NULL},
    .check_url = gridfs_check_url,
    .make = gridfs_make,
    .open = gridfs_open,
    .close = gridfs_close,
    .ready = gridfs_ready,
    .create = gridfs_create,
    .resume = gridfs_resume,
    .write = gridfs_write,
    .read_back = gridfs_read_back,
    .suspend = gridfs_suspend,
    .commit = gridfs_commit,
    .abort = gridfs_abort,
    .read = gridfs_read,
    .read_at = gridfs_read_at,
    .descriptor = gridfs_descriptor,
    .open_fd = gridfs_open_fd,
    .stat = gridfs_stat,
    .remove = gridfs_remove,
    .list = gridfs_list,
};
