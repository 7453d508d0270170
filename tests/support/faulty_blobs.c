#include "faulty_blobs.h"

#include "base/alloc.h"
#include "base/file.h"
#include "blobs/blobs_backend.h"

struct faulty {
    struct blobs base;
    struct blobs *inner;
    struct fault *fault;
};

static const struct blobs_ops faulty_ops;

struct blobs *faulty_blobs_wrap(struct blobs *inner, struct fault *fault)
{
    struct faulty *faulty = alloc_zeroed(1, sizeof *faulty);
    faulty->base.ops = &faulty_ops;
    faulty->inner = inner;
    faulty->fault = fault;
    return &faulty->base;
}

static struct blobs *inner_of(struct blobs *blobs)
{
    return ((struct faulty *)blobs)->inner;
}

static enum fault_answer next(struct blobs *blobs, struct error *err)
{
    enum fault_answer answer = fault_next(((struct faulty *)blobs)->fault);
    if (answer != FAULT_NONE)
        error_set(err, ERROR_UNAVAILABLE, "this call was chosen to fail");
    return answer;
}

static bool faulty_check_url(const char *url, struct error *err)
{
    (void)url;
    return error_set(err, ERROR_INVALID, "made by faulty_blobs_wrap only");
}

static struct blobs *faulty_open(const char *url, struct error *err)
{
    (void)url;
    error_set(err, ERROR_INVALID, "made by faulty_blobs_wrap only");
    return NULL;
}

static void faulty_close(struct blobs *blobs)
{
    blobs_close(inner_of(blobs));
    free(blobs);
}

static bool faulty_ready(struct blobs *blobs, int64_t *out_free_bytes, struct error *err)
{
    return next(blobs, err) == FAULT_NONE &&
           inner_of(blobs)->ops->ready(inner_of(blobs), out_free_bytes, err);
}

static struct blob_writer *faulty_create(struct blobs *blobs, const char *key,
                                         const struct blob_about *about, struct error *err)
{
    struct blobs *inner = inner_of(blobs);
    enum fault_answer fault = next(blobs, err);
    if (fault == FAULT_BEFORE)
        return NULL;
    struct blob_writer *writer = inner->ops->create(inner, key, about, err);
    struct error ignored;
    if (fault == FAULT_AFTER && writer != NULL)
        inner->ops->suspend(inner, TAKE(writer), &ignored);
    return writer;
}

static struct blob_writer *faulty_resume(struct blobs *blobs, const char *key, int64_t *out_offset,
                                         struct error *err)
{
    struct blobs *inner = inner_of(blobs);
    enum fault_answer fault = next(blobs, err);
    return fault == FAULT_NONE ? inner->ops->resume(inner, key, out_offset, err) : NULL;
}

static bool faulty_write(struct blobs *blobs, struct blob_writer *writer, const void *bytes,
                         size_t size, struct error *err)
{
    struct blobs *inner = inner_of(blobs);
    enum fault_answer fault = next(blobs, err);
    if (fault == FAULT_BEFORE)
        return false;
    return inner->ops->write(inner, writer, bytes, size, err) && fault == FAULT_NONE;
}

static ssize_t faulty_read_back(struct blobs *blobs, struct blob_writer *writer, int64_t offset,
                                void *out, size_t size, struct error *err)
{
    struct blobs *inner = inner_of(blobs);
    if (next(blobs, err) != FAULT_NONE)
        return -1;
    return inner->ops->read_back(inner, writer, offset, out, size, err);
}

static bool faulty_suspend(struct blobs *blobs, struct blob_writer *writer, struct error *err)
{
    struct blobs *inner = inner_of(blobs);
    enum fault_answer fault = next(blobs, err);
    if (fault != FAULT_BEFORE)
        return inner->ops->suspend(inner, writer, err) && fault == FAULT_NONE;
    inner->ops->abort(inner, writer);
    return false;
}

static bool faulty_commit(struct blobs *blobs, struct blob_writer *writer,
                          const struct blob_info *info, struct error *err)
{
    struct blobs *inner = inner_of(blobs);
    enum fault_answer fault = next(blobs, err);
    if (fault != FAULT_BEFORE)
        return inner->ops->commit(inner, writer, info, err) && fault == FAULT_NONE;
    inner->ops->abort(inner, writer);
    return false;
}

static void faulty_abort(struct blobs *blobs, struct blob_writer *writer)
{
    inner_of(blobs)->ops->abort(inner_of(blobs), writer);
}

static struct blob_reader *faulty_read(struct blobs *blobs, const char *key, struct blob_info *out,
                                       struct error *err)
{
    struct blobs *inner = inner_of(blobs);
    return next(blobs, err) == FAULT_NONE ? inner->ops->read(inner, key, out, err) : NULL;
}

static ssize_t faulty_read_at(struct blobs *blobs, struct blob_reader *reader, int64_t offset,
                              void *out, size_t size, struct error *err)
{
    struct blobs *inner = inner_of(blobs);
    if (next(blobs, err) != FAULT_NONE)
        return -1;
    return inner->ops->read_at(inner, reader, offset, out, size, err);
}

static int faulty_descriptor(struct blobs *blobs, struct blob_reader *reader)
{
    return inner_of(blobs)->ops->descriptor(inner_of(blobs), reader);
}

static int faulty_open_fd(struct blobs *blobs, const char *key, const char *scratch_directory,
                          int cancel_fd, struct blob_info *out, struct error *err)
{
    struct blobs *inner = inner_of(blobs);
    if (next(blobs, err) != FAULT_NONE)
        return -1;
    return inner->ops->open_fd(inner, key, scratch_directory, cancel_fd, out, err);
}

static bool faulty_stat(struct blobs *blobs, const char *key, struct blob_info *out,
                        struct error *err)
{
    struct blobs *inner = inner_of(blobs);
    return next(blobs, err) == FAULT_NONE && inner->ops->stat(inner, key, out, err);
}

static bool faulty_remove(struct blobs *blobs, const char *key, struct error *err)
{
    struct blobs *inner = inner_of(blobs);
    enum fault_answer fault = next(blobs, err);
    if (fault == FAULT_BEFORE)
        return false;
    return inner->ops->remove(inner, key, err) && fault == FAULT_NONE;
}

static bool faulty_list(struct blobs *blobs, const char *prefix, bool unfinished,
                        bool (*each)(const char *key, int64_t changed_at_ms, void *context),
                        void *context, struct error *err)
{
    struct blobs *inner = inner_of(blobs);
    return next(blobs, err) == FAULT_NONE &&
           inner->ops->list(inner, prefix, unfinished, each, context, err);
}

static const struct blobs_ops faulty_ops = {
    .schemes = (const char *const[]){"faulty", NULL},
    .check_url = faulty_check_url,
    .open = faulty_open,
    .close = faulty_close,
    .ready = faulty_ready,
    .create = faulty_create,
    .resume = faulty_resume,
    .write = faulty_write,
    .read_back = faulty_read_back,
    .suspend = faulty_suspend,
    .commit = faulty_commit,
    .abort = faulty_abort,
    .read = faulty_read,
    .read_at = faulty_read_at,
    .descriptor = faulty_descriptor,
    .open_fd = faulty_open_fd,
    .stat = faulty_stat,
    .remove = faulty_remove,
    .list = faulty_list,
};
