// One call to MongoDB, one transaction, and what their failures mean.

#include "base/alloc.h"
#include "base/clock.h"
#include "blobs/blobs_gridfs.h"

#include <string.h>

// ---- errors ----

enum { // of the server's own table of codes
    CODE_UNAUTHORIZED = 13,
    CODE_AUTHENTICATION_FAILED = 18,
    CODE_OUT_OF_DISK_SPACE = 14031,
};

static bool is_refused(const bson_error_t *problem)
{
    // A server that is silent is in the domain CLIENT too.
    if (problem->domain == MONGOC_ERROR_CLIENT)
        return problem->code == MONGOC_ERROR_CLIENT_AUTHENTICATE;
    if (problem->domain == MONGOC_ERROR_SASL || problem->domain == MONGOC_ERROR_SCRAM)
        return true;
    return problem->domain == MONGOC_ERROR_SERVER &&
           (problem->code == CODE_UNAUTHORIZED || problem->code == CODE_AUTHENTICATION_FAILED);
}

bool gridfs_set_error(struct error *err, const bson_error_t *problem, const char *what)
{
    if (problem->code == MONGOC_ERROR_DUPLICATE_KEY)
        return error_set(err, ERROR_CONFLICT, "MongoDB cannot %s: somebody else did", what);
    if (problem->code == CODE_OUT_OF_DISK_SPACE)
        return error_set(err, ERROR_NO_SPACE, "MongoDB cannot %s: its disk is full", what);
    if (is_refused(problem))
        return error_set(err, ERROR_UNAVAILABLE,
                         "MongoDB does not let this user %s; check the user, the password and the "
                         "user's roles: %.80s",
                         what, problem->message);
    return error_set(err, ERROR_UNAVAILABLE, "MongoDB cannot %s: %s", what, problem->message);
}

static bool fail(struct gridfs_failure *failure, const bson_error_t *problem, const bson_t *reply,
                 const char *what)
{
    failure->is_transient = mongoc_error_has_label(reply, "TransientTransactionError") ||
                            problem->domain == MONGOC_ERROR_STREAM ||
                            (problem->domain == MONGOC_ERROR_CLIENT && !is_refused(problem)) ||
                            problem->domain == MONGOC_ERROR_SERVER_SELECTION;
    return gridfs_set_error(failure->err, problem, what);
}

// ---- calls ----

static bson_t *with_session(struct gridfs *gridfs, bson_t *options)
{
    bson_error_t ignored; // only a session of another client is refused
    mongoc_client_session_append(gridfs->session, options, &ignored);
    return options;
}

bool gridfs_insert(struct gridfs *gridfs, mongoc_collection_t *collection, const bson_t **documents,
                   size_t count, struct gridfs_failure *failure)
{
    SCOPED_BSON bson_t *options = with_session(gridfs, bson_new());
    bson_t reply;
    bson_error_t problem;
    bool is_done =
        mongoc_collection_insert_many(collection, documents, count, options, &reply, &problem) ||
        fail(failure, &problem, &reply, "store a part of a blob");
    bson_destroy(&reply);
    return is_done;
}

bool gridfs_update(struct gridfs *gridfs, mongoc_collection_t *collection, const bson_t *filter,
                   const bson_t *change, int64_t *out_matched, struct gridfs_failure *failure)
{
    SCOPED_BSON bson_t *options = with_session(gridfs, bson_new());
    bson_t reply;
    bson_error_t problem;
    bool is_done =
        mongoc_collection_update_one(collection, filter, change, options, &reply, &problem) ||
        fail(failure, &problem, &reply, "change the marker of a blob");
    *out_matched = is_done ? gridfs_integer(&reply, "matchedCount") : 0;
    bson_destroy(&reply);
    return is_done;
}

bool gridfs_delete(struct gridfs *gridfs, mongoc_collection_t *collection, const bson_t *filter,
                   int64_t *out_deleted, struct gridfs_failure *failure)
{
    SCOPED_BSON bson_t *options = with_session(gridfs, bson_new());
    bson_t reply;
    bson_error_t problem;
    bool is_done = mongoc_collection_delete_many(collection, filter, options, &reply, &problem) ||
                   fail(failure, &problem, &reply, "delete parts of a blob");
    *out_deleted = is_done ? gridfs_integer(&reply, "deletedCount") : 0;
    bson_destroy(&reply);
    return is_done;
}

mongoc_cursor_t *gridfs_find(struct gridfs *gridfs, mongoc_collection_t *collection,
                             const bson_t *filter, const bson_t *sort, const bson_t *projection,
                             int64_t limit)
{
    SCOPED_BSON bson_t *options = BCON_NEW("maxTimeMS", BCON_INT64(GRIDFS_CALL_MS));
    with_session(gridfs, options);
    if (sort != NULL)
        BSON_APPEND_DOCUMENT(options, "sort", sort);
    if (projection != NULL)
        BSON_APPEND_DOCUMENT(options, "projection", projection);
    if (limit != 0) {
        BSON_APPEND_INT64(options, "limit", limit);
        BSON_APPEND_BOOL(options, "singleBatch", true);
    }
    return mongoc_collection_find_with_opts(collection, filter, options, NULL);
}

bool gridfs_find_one(struct gridfs *gridfs, mongoc_collection_t *collection, const bson_t *filter,
                     const bson_t *sort, const bson_t *projection, bson_t **out, struct error *err)
{
    mongoc_cursor_t *cursor = gridfs_find(gridfs, collection, filter, sort, projection, 1);
    const bson_t *document = NULL;
    bson_error_t problem;
    *out = mongoc_cursor_next(cursor, &document) ? bson_copy(document) : NULL;
    bool is_done =
        !mongoc_cursor_error(cursor, &problem) || gridfs_set_error(err, &problem, "find a blob");
    mongoc_cursor_destroy(cursor);
    return is_done;
}

int64_t gridfs_integer(const bson_t *document, const char *path)
{
    bson_iter_t top, at;
    bool is_there = bson_iter_init(&top, document) && bson_iter_find_descendant(&top, path, &at);
    if (!is_there)
        return 0;
    return BSON_ITER_HOLDS_DATE_TIME(&at) ? bson_iter_date_time(&at) : bson_iter_as_int64(&at);
}

const char *gridfs_text(const bson_t *document, const char *path)
{
    bson_iter_t top, at;
    bool is_there = bson_iter_init(&top, document) && bson_iter_find_descendant(&top, path, &at) &&
                    BSON_ITER_HOLDS_UTF8(&at);
    return is_there ? bson_iter_utf8(&at, NULL) : NULL;
}

// ---- transactions ----

// Looks for a primary already.
static bool begin(struct gridfs *gridfs, struct gridfs_failure *failure)
{
    const bson_t no_reply = BSON_INITIALIZER;
    bson_error_t problem;
    return mongoc_client_session_start_transaction(gridfs->session, gridfs->transaction,
                                                   &problem) ||
           fail(failure, &problem, &no_reply, "begin a transaction");
}

// Where it is not known whether it happened, asking again gives the same answer: the server
// remembers the session's last transaction, and so does the next primary if it has it.
static bool commit(struct gridfs *gridfs, int64_t deadline_ms, struct gridfs_failure *failure)
{
    for (int attempt = 1;; attempt++) {
        bson_t reply;
        bson_error_t problem;
        bool is_done = mongoc_client_session_commit_transaction(gridfs->session, &reply, &problem);
        bool is_undone = mongoc_error_has_label(&reply, "TransientTransactionError");
        bool is_unknown = mongoc_error_has_label(&reply, "UnknownTransactionCommitResult");
        if (!is_done)
            fail(failure, &problem, &reply, "commit");
        bson_destroy(&reply);
        if (is_done)
            return true;
        if (is_undone || (!is_unknown && !failure->is_transient))
            return false;
        if (clock_monotonic_ms() >= deadline_ms) {
            failure->is_transient = false;
            return false;
        }
        clock_sleep_ms(clock_backoff_ms(attempt, GRIDFS_PAUSE_MS, GRIDFS_LONGEST_PAUSE_MS));
    }
}

bool gridfs_transaction(struct gridfs *gridfs,
                        bool (*work)(struct gridfs *gridfs, void *context,
                                     struct gridfs_failure *failure),
                        void *context, struct error *err)
{
    int64_t deadline_ms = clock_monotonic_ms() + GRIDFS_PATIENCE_MS;
    for (int attempt = 1;; attempt++) {
        struct error problem = {0}; // forgotten if the next attempt succeeds
        struct gridfs_failure failure = {.err = &problem};
        bool is_worked = begin(gridfs, &failure) && work(gridfs, context, &failure);
        if (is_worked && commit(gridfs, deadline_ms, &failure))
            return true;
        if (mongoc_client_session_in_transaction(gridfs->session))
            mongoc_client_session_abort_transaction(gridfs->session, NULL);
        if (!failure.is_transient || clock_monotonic_ms() >= deadline_ms) {
            *err = problem;
            return false;
        }
        clock_sleep_ms(clock_backoff_ms(attempt, GRIDFS_PAUSE_MS, GRIDFS_LONGEST_PAUSE_MS));
    }
}
