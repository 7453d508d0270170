// Markers: who may change the chunks of a key, and what is not finished there. blobs_gridfs.c says
// why they are enough.

#include "base/alloc.h"
#include "base/id.h"
#include "base/text.h"
#include "blobs/blobs_gridfs.h"

#include <stdio.h>

// So many chunks go in one transaction: far below what MongoDB takes, and a second of work.
enum { CUT_CHUNKS = 512 };

bool gridfs_take(struct gridfs *gridfs, const char *key, const bson_t *condition, bool may_begin,
                 bson_t *set, struct gridfs_claim *out, bson_t **out_old, struct error *err)
{
    text_copy(out->key, sizeof out->key, key);
    token_new(out->token);
    BSON_APPEND_UTF8(set, "writer", out->token);
    SCOPED_BSON bson_t *change = BCON_NEW("$set", BCON_DOCUMENT(set), "$currentDate", "{",
                                          "changed_at", BCON_BOOL(true), "}");
    SCOPED_BSON bson_t *session = bson_new();
    bson_error_t problem;
    mongoc_client_session_append(gridfs->session, session, &problem);
    mongoc_find_and_modify_opts_t *options = mongoc_find_and_modify_opts_new();
    mongoc_find_and_modify_opts_set_update(options, change);
    mongoc_find_and_modify_opts_set_flags(options, may_begin ? MONGOC_FIND_AND_MODIFY_UPSERT
                                                             : MONGOC_FIND_AND_MODIFY_NONE);
    mongoc_find_and_modify_opts_set_max_time_ms(options, GRIDFS_CALL_MS);
    mongoc_find_and_modify_opts_append(options, session);
    bson_t reply;
    bson_iter_t old;
    bool is_done =
        mongoc_collection_find_and_modify_with_opts(gridfs_bucket(gridfs, key)->unfinished,
                                                    condition, options, &reply, &problem) ||
        gridfs_set_error(err, &problem, "take a blob for writing");
    *out_old = NULL;
    if (is_done && bson_iter_init_find(&old, &reply, "value") && BSON_ITER_HOLDS_DOCUMENT(&old)) {
        uint32_t size;
        const uint8_t *bytes;
        bson_iter_document(&old, &size, &bytes);
        *out_old = bson_new_from_data(bytes, size);
    }
    bson_destroy(&reply);
    mongoc_find_and_modify_opts_destroy(options);
    return is_done;
}

static bool set_lost(const struct gridfs_claim *claim, struct error *err)
{
    return error_set(err, ERROR_CONFLICT, "somebody else has taken %s", claim->key);
}

bool gridfs_touch(struct gridfs *gridfs, const struct gridfs_claim *claim, int64_t stored_bytes,
                  struct gridfs_failure *failure)
{
    SCOPED_BSON bson_t *filter =
        BCON_NEW("_id", BCON_UTF8(claim->key), "writer", BCON_UTF8(claim->token));
    SCOPED_BSON bson_t *change = BCON_NEW("$currentDate", "{", "changed_at", BCON_BOOL(true), "}");
    bson_t set;
    if (stored_bytes >= 0) {
        BSON_APPEND_DOCUMENT_BEGIN(change, "$set", &set);
        BSON_APPEND_INT64(&set, "bytes", stored_bytes);
        bson_append_document_end(change, &set);
    }
    int64_t matched;
    if (!gridfs_update(gridfs, gridfs_bucket(gridfs, claim->key)->unfinished, filter, change,
                       &matched, failure))
        return false;
    return matched == 1 || set_lost(claim, failure->err);
}

bool gridfs_release(struct gridfs *gridfs, const struct gridfs_claim *claim,
                    struct gridfs_failure *failure)
{
    SCOPED_BSON bson_t *filter =
        BCON_NEW("_id", BCON_UTF8(claim->key), "writer", BCON_UTF8(claim->token));
    int64_t deleted;
    if (!gridfs_delete(gridfs, gridfs_bucket(gridfs, claim->key)->unfinished, filter, &deleted,
                       failure))
        return false;
    return deleted == 1 || set_lost(claim, failure->err);
}

bool gridfs_is_committed(struct gridfs *gridfs, const char *key, bool *out, struct error *err)
{
    SCOPED_BSON bson_t *filter = BCON_NEW("_id", BCON_UTF8(key));
    SCOPED_BSON bson_t *only_id = BCON_NEW("_id", BCON_INT32(1));
    SCOPED_BSON bson_t *file = NULL;
    if (!gridfs_find_one(gridfs, gridfs_bucket(gridfs, key)->files, filter, NULL, only_id, &file,
                         err))
        return false;
    *out = file != NULL;
    return true;
}

// ---- deleting ----

struct cut {
    const struct gridfs_claim *claim;
    int64_t first;
    bool is_all, is_last; // the file too; and this is the last transaction
};

static bool delete_some(struct gridfs *gridfs, void *context, struct gridfs_failure *failure)
{
    const struct cut *cut = context;
    const struct gridfs_claim *claim = cut->claim;
    SCOPED_BSON bson_t *file = BCON_NEW("_id", BCON_UTF8(claim->key));
    SCOPED_BSON bson_t *chunks =
        BCON_NEW("files_id", BCON_UTF8(claim->key), "n", "{", "$gte", BCON_INT64(cut->first), "}");
    int64_t deleted;
    if (cut->is_all &&
        !gridfs_delete(gridfs, gridfs_bucket(gridfs, claim->key)->files, file, &deleted, failure))
        return false;
    if (!gridfs_delete(gridfs, gridfs_bucket(gridfs, claim->key)->chunks, chunks, &deleted,
                       failure))
        return false;
    return cut->is_all && cut->is_last ? gridfs_release(gridfs, claim, failure)
                                       : gridfs_touch(gridfs, claim, cut->is_all ? 0 : -1, failure);
}

// The number of the last chunk, -1 where there is none.
static bool find_last(struct gridfs *gridfs, const struct gridfs_claim *claim, int64_t *out,
                      struct error *err)
{
    SCOPED_BSON bson_t *filter = BCON_NEW("files_id", BCON_UTF8(claim->key));
    SCOPED_BSON bson_t *sort = BCON_NEW("files_id", BCON_INT32(-1), "n", BCON_INT32(-1));
    SCOPED_BSON bson_t *only_n = BCON_NEW("_id", BCON_INT32(0), "n", BCON_INT32(1));
    SCOPED_BSON bson_t *last = NULL;
    if (!gridfs_find_one(gridfs, gridfs_bucket(gridfs, claim->key)->chunks, filter, sort, only_n,
                         &last, err))
        return false;
    *out = last == NULL ? -1 : gridfs_integer(last, "n");
    return true;
}

// From the end, so that what is left after a fault is still a beginning of the blob.
static bool delete_from(struct gridfs *gridfs, struct cut *cut, int64_t first, struct error *err)
{
    int64_t last;
    if (!find_last(gridfs, cut->claim, &last, err))
        return false;
    cut->is_last = last < first && !cut->is_all;
    while (!cut->is_last) {
        cut->is_last = last - first < CUT_CHUNKS;
        cut->first = cut->is_last ? first : last - CUT_CHUNKS + 1;
        last = cut->first - 1;
        if (!gridfs_transaction(gridfs, delete_some, cut, err))
            return false;
    }
    return true;
}

bool gridfs_cut(struct gridfs *gridfs, const struct gridfs_claim *claim, int64_t first,
                struct error *err)
{
    struct cut cut = {.claim = claim};
    return delete_from(gridfs, &cut, first, err);
}

bool gridfs_clear(struct gridfs *gridfs, const struct gridfs_claim *claim, struct error *err)
{
    struct cut cut = {.claim = claim, .is_all = true};
    return delete_from(gridfs, &cut, 0, err);
}
