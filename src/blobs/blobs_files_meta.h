#pragma once
// meta.json of the file backend: what a blob is, beside its bytes, readable by people and by jq.
//
// While the blob is unfinished it also says how far the bytes are known to be on the disk, and
// since which start of the machine: before the next start, the page cache has all that was written.

#include "base/error.h"
#include "blobs/blobs.h"

#include <jansson.h>

static inline void scoped_meta(json_t **meta)
{
    json_decref(*meta);
}
#define SCOPED_META __attribute__((cleanup(scoped_meta)))

// INVALID when a text is not UTF-8. The caller owns the result.
json_t *blobs_meta_create(const char *key, const struct blob_about *about, struct error *err);

// NOT_FOUND when there is none, INTERNAL when it cannot be understood.
json_t *blobs_meta_load(const char *directory, struct error *err);

// Writes directory/meta.json; a half-written one is never seen there.
bool blobs_meta_save(const json_t *meta, const char *directory, bool is_durable, struct error *err);

void blobs_meta_set_durable(json_t *meta, int64_t durable_bytes);
// How much of a data file of that size can be trusted.
int64_t blobs_meta_durable(const json_t *meta, int64_t size_bytes);

void blobs_meta_set_info(json_t *meta, const struct blob_info *info);
bool blobs_meta_get_info(const json_t *meta, struct blob_info *out, struct error *err);
