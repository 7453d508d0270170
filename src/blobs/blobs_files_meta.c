#include "blobs/blobs_files_meta.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { META_LIMIT = 64 * 1024 };

// Changes with each start of the machine; "" where the kernel does not say.
static void read_boot_id(char *out, size_t out_size)
{
    out[0] = '\0';
    struct buf text;
    buf_init(&text, 256);
    struct error ignored;
    if (file_read("/proc/sys/kernel/random/boot_id", &text, &ignored)) {
        text.bytes[strcspn(text.bytes, "\n")] = '\0';
        text_copy(out, out_size, text.bytes);
    }
    buf_finish(&text);
}

json_t *blobs_meta_create(const char *key, const struct blob_about *about, struct error *err)
{
    json_t *meta =
        json_pack("{s:s, s:s, s:s, s:s, s:s}", "key", key, "owner", about->owner, "conversion",
                  about->conversion, "name", about->name, "content_type", about->content_type);
    if (meta == NULL) {
        error_set(err, ERROR_INVALID, "the description of a blob is not UTF-8");
        return NULL;
    }
    blobs_meta_set_durable(meta, 0);
    return meta;
}

json_t *blobs_meta_load(const char *directory, struct error *err)
{
    SCOPED(free) char *path = alloc_format("%s/meta.json", directory);
    SCOPED_BUF struct buf text;
    buf_init(&text, META_LIMIT);
    if (!file_read(path, &text, err))
        return NULL;
    json_t *meta = json_loadb(text.bytes, text.size, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(meta)) {
        json_decref(meta);
        error_set(err, ERROR_INTERNAL, "%s is damaged", path);
        return NULL;
    }
    return meta;
}

static bool write_text(const char *path, const char *text, bool is_durable, struct error *err)
{
    SCOPED_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(err, errno, "create %s", path);
    if (!file_write_all(fd, text, strlen(text), err))
        return error_prefix(err, "%s", path);
    if (is_durable && fsync(fd) != 0)
        return error_set_errno(err, errno, "fsync %s", path);
    return true;
}

bool blobs_meta_save(const json_t *meta, const char *directory, bool is_durable, struct error *err)
{
    SCOPED(free) char *unfinished = alloc_format("%s/meta.json.new", directory);
    SCOPED(free) char *path = alloc_format("%s/meta.json", directory);
    SCOPED(free) char *text = json_dumps(meta, JSON_INDENT(2));
    if (text == NULL)
        return error_set(err, ERROR_INTERNAL, "meta.json cannot be written as JSON");
    if (!write_text(unfinished, text, is_durable, err))
        return false;
    if (rename(unfinished, path) != 0)
        return error_set_errno(err, errno, "rename to %s", path);
    return true;
}

void blobs_meta_set_durable(json_t *meta, int64_t durable_bytes)
{
    char boot[64];
    read_boot_id(boot, sizeof boot);
    json_object_set_new(meta, "durable_bytes", json_integer(durable_bytes));
    json_object_set_new(meta, "boot", json_string(boot));
}

int64_t blobs_meta_durable(const json_t *meta, int64_t size_bytes)
{
    char boot[64];
    read_boot_id(boot, sizeof boot);
    const char *written_in = json_string_value(json_object_get(meta, "boot"));
    if (boot[0] != '\0' && written_in != NULL && strcmp(boot, written_in) == 0)
        return size_bytes;
    int64_t durable = json_integer_value(json_object_get(meta, "durable_bytes"));
    return durable < size_bytes ? durable : size_bytes;
}

void blobs_meta_set_info(json_t *meta, const struct blob_info *info)
{
    json_object_del(meta, "durable_bytes");
    json_object_del(meta, "boot");
    json_object_set_new(meta, "size", json_integer(info->size_bytes));
    json_object_set_new(meta, "sha256", json_string(info->sha256));
    json_object_set_new(meta, "committed_at_ms", json_integer(info->committed_at_ms));
}

bool blobs_meta_get_info(const json_t *meta, struct blob_info *out, struct error *err)
{
    const json_t *size = json_object_get(meta, "size");
    const char *key = json_string_value(json_object_get(meta, "key"));
    const char *sha256 = json_string_value(json_object_get(meta, "sha256"));
    const json_t *committed_at_ms = json_object_get(meta, "committed_at_ms");
    if (!json_is_integer(size) || key == NULL || sha256 == NULL ||
        !json_is_integer(committed_at_ms))
        return error_set(err, ERROR_INTERNAL, "meta.json lacks something");
    *out = (struct blob_info){.size_bytes = json_integer_value(size),
                              .committed_at_ms = json_integer_value(committed_at_ms)};
    text_copy(out->key, sizeof out->key, key);
    text_copy(out->sha256, sizeof out->sha256, sha256);
    return true;
}
