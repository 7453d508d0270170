#include "blobs_fixture.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/text.h"
#include "mongodb_under_test.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct temporary store_directory;
char *store_url;
struct blobs *store_blobs;
static struct error err;

const struct blob_about store_about = {.owner = "owner",
                                       .conversion = "conversion",
                                       .name = "Gr\xC3\xBC\xC3\x9F"
                                               "e.mp4",
                                       .content_type = "video/mp4"};

void store_choose(void)
{
    if (mongodb_under_test_is_wanted())
        store_url = alloc_text(mongodb_under_test_start());
}

int store_open(void **state)
{
    (void)state;
    temporary_create(&store_directory);
    if (store_url == NULL)
        store_url = alloc_format("file:%s/store", store_directory.path);
    store_blobs = blobs_make(store_url, &err) ? blobs_open(store_url, &err) : NULL;
    if (store_blobs == NULL)
        fprintf(stderr, "%s: %s\n", store_url, err.text);
    return store_blobs == NULL ? -1 : 0;
}

int store_close(void **state)
{
    (void)state;
    blobs_close(store_blobs);
    if (mongodb_under_test_is_wanted())
        mongodb_under_test_drop();
    free(store_url);
    temporary_remove(&store_directory);
    return 0;
}

void store_key(char out[BLOB_KEY_SIZE])
{
    char id[ID_SIZE];
    id_new(id);
    snprintf(out, BLOB_KEY_SIZE, "source/%s", id);
}

// Bytes that differ for each seed and do not repeat early.
char *store_bytes(size_t size, unsigned int seed)
{
    char *bytes = alloc_zeroed(size + 1, 1);
    uint32_t value = seed * 2654435761U + 1;
    for (size_t i = 0; i < size; i++) {
        value = value * 1664525U + 1013904223U;
        bytes[i] = (char)(value >> 24);
    }
    return bytes;
}

void store_sha256(const void *bytes, size_t size, char out[BLOB_SHA256_SIZE])
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned int sum_size = 0;
    assert_int_equal(EVP_Digest(bytes, size, sum, &sum_size, EVP_sha256(), NULL), 1);
    text_hex(sum, sum_size, out);
}

struct blob_writer *store_create(const char *key)
{
    struct blob_writer *writer = blobs_create(store_blobs, key, &store_about, &err);
    if (writer == NULL)
        fail_msg("create %s: %s", key, err.text);
    return writer;
}

void store_write(struct blob_writer *writer, const char *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t piece = size - at < 100000 ? size - at : 100000;
        if (!blob_write(store_blobs, writer, bytes + at, piece, &err))
            fail_msg("write: %s", err.text);
        at += piece;
    }
}

void store_commit(struct blob_writer *writer)
{
    struct blob_info info;
    if (!blob_commit(store_blobs, writer, &info, &err))
        fail_msg("commit: %s", err.text);
}

void store_put(const char *key, const char *bytes, size_t size)
{
    struct blob_writer *writer = store_create(key);
    store_write(writer, bytes, size);
    store_commit(writer);
}

void store_assert_holds(const char *key, const char *bytes, size_t size)
{
    struct blob_info info;
    struct blob_reader *reader = blobs_read(store_blobs, key, &info, &err);
    if (reader == NULL)
        fail_msg("read %s: %s", key, err.text);
    assert_int_equal(info.size_bytes, size);
    char sum[BLOB_SHA256_SIZE];
    store_sha256(bytes, size, sum);
    assert_string_equal(info.sha256, sum);
    assert_string_equal(info.key, key);
    char *read = alloc_zeroed(size + 100, 1);
    assert_int_equal(blob_read_at(store_blobs, reader, 0, read, size + 100, &err), size);
    assert_memory_equal(read, bytes, size);
    free(read);
    blob_close(reader);
}

void store_assert_absent(const char *key)
{
    struct blob_info info;
    assert_false(blobs_stat(store_blobs, key, &info, &err));
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
    assert_null(blobs_read(store_blobs, key, &info, &err));
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
    assert_int_equal(blobs_open_fd(store_blobs, key, store_directory.path, -1, &info, &err), -1);
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
}

bool store_look(const char *key, int64_t changed_at_ms, void *context)
{
    struct store_search *search = context;
    search->seen++;
    if (search->key != NULL && strcmp(key, search->key) == 0) {
        search->found++;
        search->changed_at_ms = changed_at_ms;
    }
    return search->seen != search->stop_after;
}

bool store_is_listed(const char *key, bool unfinished)
{
    struct store_search search = {.key = key};
    assert_true(blobs_list(store_blobs, "", unfinished, store_look, &search, &err));
    assert_in_range(search.found, 0, 1);
    if (search.found == 1)
        assert_in_range(search.changed_at_ms, clock_now_ms() - 600000, clock_now_ms() + 60000);
    return search.found == 1;
}
