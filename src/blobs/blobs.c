#include "blobs/blobs.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/text.h"
#include "blobs/blobs_backend.h"
#include "blobs/blobs_digest.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

const struct blobs_ops *const blobs_backends[] = {
    &blobs_files_ops,
    &blobs_gridfs_ops,
    NULL,
};

static size_t part_length(const char *text)
{
    return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");
}

bool blobs_key_is_valid(const char *key)
{
    if (strnlen(key, BLOB_KEY_SIZE) >= BLOB_KEY_SIZE)
        return false;
    bool is_audio = text_starts_with(key, "audio/");
    if (!is_audio && !text_starts_with(key, "source/"))
        return false;
    const char *part = strchr(key, '/') + 1;
    size_t length = part_length(part);
    if (is_audio && length > 0 && part[length] == '/') {
        part += length + 1;
        length = part_length(part);
    } else if (is_audio) {
        return false;
    }
    return length > 0 && part[length] == '\0';
}

static bool check_key(const char *key, struct error *err)
{
    if (blobs_key_is_valid(key))
        return true;
    return error_set(err, ERROR_INVALID, "this is no key of a blob");
}

static const struct blobs_ops *find_backend(const char *url, struct error *err)
{
    for (size_t i = 0; blobs_backends[i] != NULL; i++)
        if (text_has_scheme_of(url, blobs_backends[i]->schemes))
            return blobs_backends[i];
    error_set(err, ERROR_INVALID, "no blob store is called '%.*s:'", (int)strcspn(url, ":"), url);
    return NULL;
}

bool blobs_check_url(const char *url, struct error *err)
{
    const struct blobs_ops *ops = find_backend(url, err);
    return ops != NULL && ops->check_url(url, err);
}

bool blobs_make(const char *url, struct error *err)
{
    const struct blobs_ops *ops = find_backend(url, err);
    return ops != NULL && ops->make(url, err);
}

struct blobs *blobs_open(const char *url, struct error *err)
{
    const struct blobs_ops *ops = find_backend(url, err);
    return ops == NULL ? NULL : ops->open(url, err);
}

void blobs_close(struct blobs *blobs)
{
    if (blobs != NULL)
        blobs->ops->close(blobs);
}

bool blobs_ready(struct blobs *blobs, int64_t *out_free_bytes, struct error *err)
{
    return blobs->ops->ready(blobs, out_free_bytes, err);
}

static void start_writer(struct blob_writer *writer, const char *key, int64_t size_bytes)
{
    text_copy(writer->key, sizeof writer->key, key);
    writer->size_bytes = size_bytes;
}

struct blob_writer *blobs_create(struct blobs *blobs, const char *key,
                                 const struct blob_about *about, struct error *err)
{
    if (!check_key(key, err))
        return NULL;
    struct blob_writer *writer = blobs->ops->create(blobs, key, about, err);
    if (writer == NULL)
        return NULL;
    start_writer(writer, key, 0);
    writer->digest = blob_digest_create();
    return writer;
}

struct blob_writer *blobs_resume(struct blobs *blobs, const char *key, int64_t *out_offset,
                                 struct error *err)
{
    if (!check_key(key, err))
        return NULL;
    struct blob_writer *writer = blobs->ops->resume(blobs, key, out_offset, err);
    if (writer == NULL)
        return NULL;
    // A large upload is resumed hundreds of times: read back at each, it would be read hundreds of
    // times too. Only the commit does it.
    start_writer(writer, key, *out_offset);
    return writer;
}

bool blob_write(struct blobs *blobs, struct blob_writer *writer, const void *bytes, size_t size,
                struct error *err)
{
    if (writer->is_broken)
        return error_set(err, ERROR_INTERNAL, "an earlier write of this blob failed");
    if (size == 0)
        return true;
    if (!blobs->ops->write(blobs, writer, bytes, size, err)) {
        writer->is_broken = true;
        return false;
    }
    writer->size_bytes += (int64_t)size;
    if (writer->digest != NULL)
        blob_digest_add(writer->digest, bytes, size);
    return true;
}

static bool digest_read_back(struct blobs *blobs, struct blob_writer *writer, struct error *err)
{
    enum { PIECE_SIZE = 256 * 1024 };
    SCOPED(free) char *piece = alloc_zeroed(1, PIECE_SIZE);
    writer->digest = blob_digest_create();
    for (int64_t offset = 0; offset < writer->size_bytes;) {
        int64_t left = writer->size_bytes - offset;
        size_t wanted = left < PIECE_SIZE ? (size_t)left : PIECE_SIZE;
        ssize_t got = blobs->ops->read_back(blobs, writer, offset, piece, wanted, err);
        if (got < 0)
            return false;
        if (got == 0)
            return error_set(err, ERROR_INTERNAL, "an unfinished blob became shorter");
        blob_digest_add(writer->digest, piece, (size_t)got);
        offset += got;
    }
    return true;
}

static struct blob_digest *take_digest(struct blob_writer *writer)
{
    return TAKE(writer->digest);
}

void blob_abort(struct blobs *blobs, struct blob_writer *writer)
{
    if (writer == NULL)
        return;
    blob_digest_destroy(take_digest(writer));
    if (blobs == NULL)
        writer->destroy(writer);
    else
        blobs->ops->abort(blobs, writer);
}

bool blob_suspend(struct blobs *blobs, struct blob_writer *writer, struct error *err)
{
    if (writer->is_broken) {
        blob_abort(blobs, writer);
        return error_set(err, ERROR_INTERNAL, "an earlier write of this blob failed");
    }
    blob_digest_destroy(take_digest(writer));
    return blobs->ops->suspend(blobs, writer, err);
}

bool blob_commit(struct blobs *blobs, struct blob_writer *writer, struct blob_info *out,
                 struct error *err)
{
    bool is_sound = !writer->is_broken ||
                    error_set(err, ERROR_INTERNAL, "an earlier write of this blob failed");
    if (is_sound && writer->digest == NULL)
        is_sound = digest_read_back(blobs, writer, err);
    if (!is_sound) {
        blob_abort(blobs, writer);
        return false;
    }
    struct blob_info info = {.size_bytes = writer->size_bytes, .committed_at_ms = clock_now_ms()};
    text_copy(info.key, sizeof info.key, writer->key);
    struct blob_digest *digest = take_digest(writer);
    blob_digest_finish(digest, info.sha256);
    blob_digest_destroy(digest);
    if (!blobs->ops->commit(blobs, writer, &info, err))
        return false;
    *out = info;
    return true;
}

struct blob_reader *blobs_read(struct blobs *blobs, const char *key, struct blob_info *out,
                               struct error *err)
{
    return check_key(key, err) ? blobs->ops->read(blobs, key, out, err) : NULL;
}

ssize_t blob_read_at(struct blobs *blobs, struct blob_reader *reader, int64_t offset, void *out,
                     size_t size, struct error *err)
{
    assert(offset >= 0);
    return blobs->ops->read_at(blobs, reader, offset, out, size, err);
}

int blob_descriptor(struct blobs *blobs, struct blob_reader *reader)
{
    return blobs->ops->descriptor(blobs, reader);
}

void blob_close(struct blob_reader *reader)
{
    if (reader != NULL)
        reader->destroy(reader);
}

int blobs_open_fd(struct blobs *blobs, const char *key, const char *scratch_directory,
                  int cancel_fd, struct blob_info *out, struct error *err)
{
    if (!check_key(key, err))
        return -1;
    return blobs->ops->open_fd(blobs, key, scratch_directory, cancel_fd, out, err);
}

bool blobs_stat(struct blobs *blobs, const char *key, struct blob_info *out, struct error *err)
{
    return check_key(key, err) && blobs->ops->stat(blobs, key, out, err);
}

bool blobs_remove(struct blobs *blobs, const char *key, struct error *err)
{
    return check_key(key, err) && blobs->ops->remove(blobs, key, err);
}

bool blobs_list(struct blobs *blobs, const char *prefix, bool unfinished,
                bool (*each)(const char *key, int64_t changed_at_ms, void *context), void *context,
                struct error *err)
{
    return blobs->ops->list(blobs, prefix, unfinished, each, context, err);
}
