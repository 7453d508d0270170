#pragma once
// What the files of the MongoDB backend share; blobs_gridfs.c says what the store looks like.

#include "base/error.h"
#include "base/scope.h"
#include "blobs/blobs_backend.h"

#include <mongoc/mongoc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GRIDFS_CHUNK_SIZE = 255 * 1024, // the specification's default
    GRIDFS_CALL_MS = 10000,         // how long the server may work on one call
    GRIDFS_PATIENCE_MS = 15000,     // an election with MongoDB's defaults takes 10 to 12 seconds
    GRIDFS_PAUSE_MS = 20,
    GRIDFS_LONGEST_PAUSE_MS = 500,
};

struct gridfs_bucket {
    mongoc_collection_t *files, *chunks, *unfinished;
};

struct gridfs {
    struct blobs base;
    mongoc_client_t *client;
    mongoc_database_t *database;
    mongoc_client_session_t *session; // every call goes through it, so each sees those before it
    mongoc_transaction_opt_t *transaction;
    struct gridfs_bucket videos, mp3s;
};

static inline void scoped_bson(bson_t **document)
{
    bson_destroy(*document);
}
#define SCOPED_BSON __attribute__((cleanup(scoped_bson)))

// ---- blobs_gridfs_connect.c ----

bool gridfs_check_url(const char *url, struct error *err);
bool gridfs_make(const char *url, struct error *err);
struct blobs *gridfs_open(const char *url, struct error *err);
void gridfs_close(struct blobs *blobs);
bool gridfs_ready(struct blobs *blobs, int64_t *out_free_bytes, struct error *err);

// The bucket of the blobs whose keys begin so.
struct gridfs_bucket *gridfs_bucket(struct gridfs *gridfs, const char *key);

// ---- blobs_gridfs_call.c ----

// Says what failed, with MongoDB's own words. Returns false.
bool gridfs_set_error(struct error *err, const bson_error_t *problem, const char *what);

// A transaction's steps are tried again where MongoDB says that it helps.
struct gridfs_failure {
    struct error *err;
    bool is_transient;
};

// Each of these is one call. Outside a transaction `is_transient` says nothing.
bool gridfs_insert(struct gridfs *gridfs, mongoc_collection_t *collection, const bson_t **documents,
                   size_t count, struct gridfs_failure *failure);
bool gridfs_update(struct gridfs *gridfs, mongoc_collection_t *collection, const bson_t *filter,
                   const bson_t *change, int64_t *out_matched, struct gridfs_failure *failure);
bool gridfs_delete(struct gridfs *gridfs, mongoc_collection_t *collection, const bson_t *filter,
                   int64_t *out_deleted, struct gridfs_failure *failure);

// The first document that `filter` matches, in the order of `sort` (NULL: any), with the members
// of `projection` (NULL: all). `*out` is NULL where there is none; the caller destroys it.
bool gridfs_find_one(struct gridfs *gridfs, mongoc_collection_t *collection, const bson_t *filter,
                     const bson_t *sort, const bson_t *projection, bson_t **out, struct error *err);
// At most `limit` of them; 0 is all. The caller destroys the cursor.
mongoc_cursor_t *gridfs_find(struct gridfs *gridfs, mongoc_collection_t *collection,
                             const bson_t *filter, const bson_t *sort, const bson_t *projection,
                             int64_t limit);

// Runs `work` in a transaction, again and again while MongoDB calls the failure transient and some
// seconds have not passed. True: committed, on a majority's disks.
bool gridfs_transaction(struct gridfs *gridfs,
                        bool (*work)(struct gridfs *gridfs, void *context,
                                     struct gridfs_failure *failure),
                        void *context, struct error *err);

// 0 and NULL where there is no such member. A dot leads into a member.
int64_t gridfs_integer(const bson_t *document, const char *path);
const char *gridfs_text(const bson_t *document, const char *path);

// ---- blobs_gridfs_marker.c ----

// The right to change the unfinished blob of a key: while the marker holds this token.
struct gridfs_claim {
    char key[BLOB_KEY_SIZE];
    char token[32];
};

// Takes the key from whoever had it. `change` is what else the marker gets; `may_begin` makes a
// marker where there is none. `*out_old` is the marker of before, or NULL.
bool gridfs_take(struct gridfs *gridfs, const char *key, const bson_t *condition, bool may_begin,
                 bson_t *set, struct gridfs_claim *out, bson_t **out_old, struct error *err);

// Within a transaction: touches the marker (`stored_bytes` >= 0: and notes so many bytes), or
// deletes it. CONFLICT when somebody else has taken the key since.
bool gridfs_touch(struct gridfs *gridfs, const struct gridfs_claim *claim, int64_t stored_bytes,
                  struct gridfs_failure *failure);
bool gridfs_release(struct gridfs *gridfs, const struct gridfs_claim *claim,
                    struct gridfs_failure *failure);

// Deletes the chunks from number `first` on.
bool gridfs_cut(struct gridfs *gridfs, const struct gridfs_claim *claim, int64_t first,
                struct error *err);
// Deletes the file and its chunks, then the marker. Cut off on its way, it leaves the marker of a
// blob without a byte.
bool gridfs_clear(struct gridfs *gridfs, const struct gridfs_claim *claim, struct error *err);
bool gridfs_is_committed(struct gridfs *gridfs, const char *key, bool *out, struct error *err);

// ---- blobs_gridfs_read.c ----

// A window on the chunks of a key that moves ahead of who reads in order.
struct gridfs_window {
    char key[BLOB_KEY_SIZE];
    int64_t size_bytes, chunk_size;
    bool reads_ahead;        // four chunks at once; a download keeps one, for there are many
    int64_t begin;           // of the window
    size_t filled, capacity; // bytes in it
    uint8_t *bytes;
};

ssize_t gridfs_window_read(struct gridfs *gridfs, struct gridfs_window *window, int64_t offset,
                           void *out, size_t size, struct error *err);

struct blob_reader *gridfs_read(struct blobs *blobs, const char *key, struct blob_info *out,
                                struct error *err);
ssize_t gridfs_read_at(struct blobs *blobs, struct blob_reader *reader, int64_t offset, void *out,
                       size_t size, struct error *err);
int gridfs_descriptor(struct blobs *blobs, struct blob_reader *reader);
int gridfs_open_fd(struct blobs *blobs, const char *key, const char *scratch_directory,
                   int cancel_fd, struct blob_info *out, struct error *err);
bool gridfs_stat(struct blobs *blobs, const char *key, struct blob_info *out, struct error *err);

// ---- blobs_gridfs_write.c ----

struct blob_writer *gridfs_create(struct blobs *blobs, const char *key,
                                  const struct blob_about *about, struct error *err);
struct blob_writer *gridfs_resume(struct blobs *blobs, const char *key, int64_t *out_offset,
                                  struct error *err);
bool gridfs_write(struct blobs *blobs, struct blob_writer *writer, const void *bytes, size_t size,
                  struct error *err);
ssize_t gridfs_read_back(struct blobs *blobs, struct blob_writer *writer, int64_t offset, void *out,
                         size_t size, struct error *err);
bool gridfs_suspend(struct blobs *blobs, struct blob_writer *writer, struct error *err);
bool gridfs_commit(struct blobs *blobs, struct blob_writer *writer, const struct blob_info *info,
                   struct error *err);
void gridfs_abort(struct blobs *blobs, struct blob_writer *writer);
