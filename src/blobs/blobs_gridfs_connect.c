// From a URL to a connection and its collections; and making them.

#include "base/alloc.h"
#include "base/text.h"
#include "blobs/blobs_gridfs.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

// What a URL does not say itself. Nothing may wait for ever, and a primary is waited for while
// there is none. The library asks a server that did not answer again after 5 s, not earlier.
static const struct {
    const char *option;
    int32_t value_ms;
} default_timeouts[] = {
    {MONGOC_URI_SERVERSELECTIONTIMEOUTMS, 6000},
    {MONGOC_URI_CONNECTTIMEOUTMS, 3000},
    {MONGOC_URI_SOCKETTIMEOUTMS, 15000},
};
enum { WRITE_CONCERN_MS = 10000 };

// ---- the library ----

static _Thread_local bool has_warned; // since gridfs_check_url has looked last

// The library would write to standard error. What it warns of while it reads a URL is an option
// that it does not know; all else that matters comes as an error too.
static void hear_log(mongoc_log_level_t level, const char *domain, const char *message,
                     void *context)
{
    (void)domain;
    (void)message;
    (void)context;
    if (level <= MONGOC_LOG_LEVEL_WARNING)
        has_warned = true;
}

static void start_library_once(void)
{
    mongoc_init();
    mongoc_log_set_handler(hear_log, NULL);
}

static void start_library(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_library_once);
}

// ---- URLs ----

// The same URL with another user and password, for texts: the library's own may quote the URL.
static char *without_secrets(const char *url)
{
    const char *at = strrchr(url, '@'); // a password may hold any character by mistake
    return at == NULL ? alloc_text(url) : alloc_format("mongodb://user:password%s", at);
}

static void set_url_error(const char *url, const bson_error_t *problem, struct error *err)
{
    SCOPED(free) char *masked = without_secrets(url);
    bson_error_t same;
    mongoc_uri_t *uri = mongoc_uri_new_with_error(masked, &same);
    if (uri != NULL)
        error_set(err, ERROR_INVALID,
                  "mongodb: the URL cannot be read; is a character of the user or the password "
                  "not written as %%XX?");
    else
        error_set(err, ERROR_INVALID, "mongodb: %s",
                  strcmp(masked, url) == 0 ? problem->message : same.message);
    mongoc_uri_destroy(uri);
}

static mongoc_uri_t *parse(const char *url, struct error *err)
{
    bson_error_t problem;
    start_library();
    has_warned = false;
    mongoc_uri_t *uri = mongoc_uri_new_with_error(url, &problem);
    if (uri == NULL) {
        set_url_error(url, &problem, err);
        return NULL;
    }
    const char *database = mongoc_uri_get_database(uri);
    bool is_right =
        !has_warned ||
        error_set(err, ERROR_INVALID,
                  "mongodb: the URL has an option that MongoDB's library does not know, "
                  "or one with a wrong value");
    if (is_right && (database == NULL || database[0] == '\0'))
        is_right = error_set(err, ERROR_INVALID,
                             "mongodb: the URL needs the name of a database: "
                             "mongodb://HOST/DATABASE");
    if (!is_right) {
        mongoc_uri_destroy(uri);
        return NULL;
    }
    for (size_t i = 0; i < sizeof default_timeouts / sizeof default_timeouts[0]; i++)
        if (!mongoc_uri_has_option(uri, default_timeouts[i].option))
            mongoc_uri_set_option_as_int32(uri, default_timeouts[i].option,
                                           default_timeouts[i].value_ms);
    if (!mongoc_uri_has_option(uri, MONGOC_URI_SERVERSELECTIONTRYONCE))
        mongoc_uri_set_option_as_bool(uri, MONGOC_URI_SERVERSELECTIONTRYONCE, false);
    return uri;
}

bool gridfs_check_url(const char *url, struct error *err)
{
    mongoc_uri_t *uri = parse(url, err);
    mongoc_uri_destroy(uri);
    return uri != NULL;
}

// ---- connecting ----

// What is read is on a majority, what is written is on its disks.
static void set_concerns(struct gridfs *gridfs)
{
    mongoc_read_concern_t *reads = mongoc_read_concern_new();
    mongoc_read_concern_set_level(reads, MONGOC_READ_CONCERN_LEVEL_MAJORITY);
    mongoc_write_concern_t *writes = mongoc_write_concern_new();
    mongoc_write_concern_set_wmajority(writes, WRITE_CONCERN_MS);
    mongoc_write_concern_set_journal(writes, true);
    mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    mongoc_client_set_read_concern(gridfs->client, reads);
    mongoc_client_set_write_concern(gridfs->client, writes);
    mongoc_client_set_read_prefs(gridfs->client, primary);
    gridfs->transaction = mongoc_transaction_opts_new();
    mongoc_transaction_opts_set_read_concern(gridfs->transaction, reads);
    mongoc_transaction_opts_set_write_concern(gridfs->transaction, writes);
    mongoc_transaction_opts_set_read_prefs(gridfs->transaction, primary);
    mongoc_transaction_opts_set_max_commit_time_ms(gridfs->transaction, GRIDFS_CALL_MS);
    mongoc_read_prefs_destroy(primary);
    mongoc_write_concern_destroy(writes);
    mongoc_read_concern_destroy(reads);
}

static mongoc_collection_t *get_collection(struct gridfs *gridfs, const char *bucket,
                                           const char *name)
{
    SCOPED(free) char *full = alloc_format("%s.%s", bucket, name);
    return mongoc_database_get_collection(gridfs->database, full);
}

static struct gridfs_bucket get_bucket(struct gridfs *gridfs, const char *name)
{
    return (struct gridfs_bucket){.files = get_collection(gridfs, name, "files"),
                                  .chunks = get_collection(gridfs, name, "chunks"),
                                  .unfinished = get_collection(gridfs, name, "unfinished")};
}

static void free_bucket(struct gridfs_bucket *bucket)
{
    mongoc_collection_destroy(bucket->files);
    mongoc_collection_destroy(bucket->chunks);
    mongoc_collection_destroy(bucket->unfinished);
}

struct gridfs_bucket *gridfs_bucket(struct gridfs *gridfs, const char *key)
{
    return text_starts_with(key, "audio/") ? &gridfs->mp3s : &gridfs->videos;
}

void gridfs_close(struct blobs *blobs)
{
    struct gridfs *gridfs = (struct gridfs *)blobs;
    free_bucket(&gridfs->videos);
    free_bucket(&gridfs->mp3s);
    if (gridfs->session != NULL)
        mongoc_client_session_destroy(gridfs->session);
    mongoc_transaction_opts_destroy(gridfs->transaction);
    mongoc_database_destroy(gridfs->database);
    mongoc_client_destroy(gridfs->client);
    free(gridfs);
}

static bool command(struct gridfs *gridfs, bson_t *command, const char *what, bson_t *out,
                    struct error *err)
{
    bson_error_t problem;
    return mongoc_database_command_simple(gridfs->database, command, NULL, out, &problem) ||
           gridfs_set_error(err, &problem, what);
}

// A server that stands alone has no transactions.
static bool check_replica_set(struct gridfs *gridfs, struct error *err)
{
    SCOPED_BSON bson_t *hello = BCON_NEW("isMaster", BCON_INT32(1));
    bson_t reply;
    bool is_fit = command(gridfs, hello, "say hello", &reply, err);
    if (is_fit && gridfs_text(&reply, "setName") == NULL && gridfs_text(&reply, "msg") == NULL)
        is_fit = error_set(err, ERROR_UNAVAILABLE,
                           "this MongoDB is no replica set, which the blob store needs: one member "
                           "is enough");
    bson_destroy(&reply);
    return is_fit;
}

static struct gridfs *connect_to(const char *url, struct error *err)
{
    mongoc_uri_t *uri = parse(url, err);
    if (uri == NULL)
        return NULL;
    struct gridfs *gridfs = alloc_zeroed(1, sizeof *gridfs);
    gridfs->base.ops = &blobs_gridfs_ops;
    bson_error_t problem;
    gridfs->client = mongoc_client_new_from_uri_with_error(uri, &problem);
    const char *name = mongoc_uri_get_database(uri);
    if (gridfs->client != NULL) {
        mongoc_client_set_error_api(gridfs->client, MONGOC_ERROR_API_VERSION_2);
        mongoc_client_set_appname(gridfs->client, "unreel");
        set_concerns(gridfs);
        gridfs->database = mongoc_client_get_database(gridfs->client, name);
        gridfs->videos = get_bucket(gridfs, "videos");
        gridfs->mp3s = get_bucket(gridfs, "mp3s");
        gridfs->session = mongoc_client_start_session(gridfs->client, NULL, &problem);
    }
    mongoc_uri_destroy(uri);
    if (gridfs->session == NULL)
        gridfs_set_error(err, &problem, "be reached");
    if (gridfs->session == NULL || !check_replica_set(gridfs, err)) {
        gridfs_close(&gridfs->base);
        return NULL;
    }
    return gridfs;
}

// ---- making ----

enum { CODE_NAMESPACE_NOT_FOUND = 26, CODE_NAMESPACE_EXISTS = 48 };

static bool make_collection(struct gridfs *gridfs, mongoc_collection_t *collection,
                            struct error *err)
{
    SCOPED_BSON bson_t *options = BCON_NEW("writeConcern", "{", "w", BCON_UTF8("majority"), "}");
    bson_error_t problem;
    mongoc_collection_t *made = mongoc_database_create_collection(
        gridfs->database, mongoc_collection_get_name(collection), options, &problem);
    bool is_there = made != NULL || problem.code == CODE_NAMESPACE_EXISTS;
    if (made != NULL)
        mongoc_collection_destroy(made);
    return is_there || gridfs_set_error(err, &problem, "make a collection");
}

static bool make_index(struct gridfs *gridfs, mongoc_collection_t *collection, const char *one,
                       const char *two, bool is_unique, struct error *err)
{
    SCOPED(free) char *name = alloc_format("%s_1_%s_1", one, two);
    SCOPED_BSON bson_t *create = BCON_NEW(
        "createIndexes", BCON_UTF8(mongoc_collection_get_name(collection)), "indexes", "[", "{",
        "key", "{", one, BCON_INT32(1), two, BCON_INT32(1), "}", "name", BCON_UTF8(name), "unique",
        BCON_BOOL(is_unique), "}", "]", "writeConcern", "{", "w", BCON_UTF8("majority"), "}");
    bson_t reply;
    bool is_made = command(gridfs, create, "make an index", &reply, err);
    bson_destroy(&reply);
    return is_made;
}

static bool make_bucket(struct gridfs *gridfs, const struct gridfs_bucket *bucket,
                        struct error *err)
{
    return make_collection(gridfs, bucket->files, err) &&
           make_collection(gridfs, bucket->chunks, err) &&
           make_collection(gridfs, bucket->unfinished, err) &&
           make_index(gridfs, bucket->files, "filename", "uploadDate", false, err) &&
           make_index(gridfs, bucket->chunks, "files_id", "n", true, err);
}

bool gridfs_make(const char *url, struct error *err)
{
    struct gridfs *gridfs = connect_to(url, err);
    bool is_made = gridfs != NULL && make_bucket(gridfs, &gridfs->videos, err) &&
                   make_bucket(gridfs, &gridfs->mp3s, err);
    if (gridfs != NULL)
        gridfs_close(&gridfs->base);
    return is_made;
}

// The index without which a blob could get the same chunk twice.
static bool has_unique_index(const bson_t *index)
{
    return gridfs_integer(index, "key.files_id") == 1 && gridfs_integer(index, "key.n") == 1 &&
           gridfs_integer(index, "unique") == 1;
}

static bool check_bucket(struct gridfs *gridfs, const struct gridfs_bucket *bucket,
                         struct error *err)
{
    mongoc_cursor_t *cursor = mongoc_collection_find_indexes_with_opts(bucket->chunks, NULL);
    const bson_t *index;
    bool is_made = false;
    while (!is_made && mongoc_cursor_next(cursor, &index))
        is_made = has_unique_index(index);
    bson_error_t problem;
    bool has_answered = !mongoc_cursor_error(cursor, &problem) ||
                        problem.code == CODE_NAMESPACE_NOT_FOUND ||
                        gridfs_set_error(err, &problem, "list the indexes of the blob store");
    mongoc_cursor_destroy(cursor);
    if (has_answered && !is_made)
        error_set(
            err, ERROR_UNAVAILABLE,
            "there is no blob store in MongoDB's database %s: `unreel migrate` makes a new one",
            mongoc_database_get_name(gridfs->database));
    return has_answered && is_made;
}

struct blobs *gridfs_open(const char *url, struct error *err)
{
    struct gridfs *gridfs = connect_to(url, err);
    if (gridfs == NULL)
        return NULL;
    if (!check_bucket(gridfs, &gridfs->videos, err) || !check_bucket(gridfs, &gridfs->mp3s, err)) {
        gridfs_close(&gridfs->base);
        return NULL;
    }
    return &gridfs->base;
}

// A mongod that finds no room ends, so it is never filled to the brim; and what is written stands
// in the oplog too. What was deleted leaves room inside the server's files.
static int64_t usable_bytes(const bson_t *statistics)
{
    static const int64_t most_kept_bytes = INT64_C(4) << 30;
    int64_t total = gridfs_integer(statistics, "fsTotalSize");
    if (total <= 0) // older servers do not say it
        return INT64_MAX;
    int64_t kept = total / 4 < most_kept_bytes ? total / 4 : most_kept_bytes;
    int64_t left = total - gridfs_integer(statistics, "fsUsedSize") - kept;
    return left <= 0 ? 0 : left / 2 + gridfs_integer(statistics, "freeStorageSize");
}

bool gridfs_ready(struct blobs *blobs, int64_t *out_free_bytes, struct error *err)
{
    struct gridfs *gridfs = (struct gridfs *)blobs;
    SCOPED_BSON bson_t *statistics =
        BCON_NEW("dbStats", BCON_INT32(1), "freeStorage", BCON_INT32(1));
    bson_t reply;
    bool is_ready = command(gridfs, statistics, "tell its free space", &reply, err);
    if (is_ready)
        *out_free_bytes = usable_bytes(&reply);
    bson_destroy(&reply);
    return is_ready;
}
