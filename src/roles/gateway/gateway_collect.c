#include "roles/gateway/gateway_collect.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/stop.h"

#include <stdio.h>
#include <string.h>

enum { BATCH = 64, PAUSE_MS = 20 };

// Keys are gathered while the store is listed and removed afterwards.
struct gathering {
    struct jobs *jobs; // NULL: every key is wanted
    char (*keys)[BLOB_KEY_SIZE];
    size_t count;
    int64_t unknown_count;
    bool has_failed;
    struct error *err;
};

// "source/ID" or "audio/ID/ATTEMPT".
static bool read_id(const char *key, char out[ID_SIZE])
{
    const char *start = strchr(key, '/');
    if (start == NULL || strlen(start + 1) < ID_SIZE - 1)
        return false;
    memcpy(out, start + 1, ID_SIZE - 1);
    out[ID_SIZE - 1] = '\0';
    char behind = start[ID_SIZE];
    return (behind == '\0' || behind == '/') && id_is_valid(out);
}

static bool gather(const char *key, int64_t changed_at_ms, void *context)
{
    (void)changed_at_ms;
    struct gathering *gathering = context;
    char id[ID_SIZE];
    bool is_known = false, is_garbage = true;
    if (gathering->jobs != NULL) {
        is_garbage = false;
        if (read_id(key, id) && !jobs_blob_is_garbage(gathering->jobs, id, key, &is_known,
                                                      &is_garbage, gathering->err)) {
            gathering->has_failed = true;
            return false;
        }
        if (!is_known) {
            gathering->unknown_count++;
            return true;
        }
    }
    if (is_garbage)
        snprintf(gathering->keys[gathering->count++], BLOB_KEY_SIZE, "%s", key);
    return gathering->count < BATCH && !stop_is_requested();
}

static bool remove_gathered(struct blobs *blobs, struct gathering *gathering, struct error *err)
{
    for (size_t i = 0; i < gathering->count; i++)
        if (!blobs_remove(blobs, gathering->keys[i], err))
            return false;
    return true;
}

// Lists and removes until a listing comes to its end with less than a batch.
static bool clear(struct jobs *jobs, struct blobs *blobs, const char *prefix, bool is_unfinished,
                  struct gateway_collected *out, struct error *err)
{
    struct gathering gathering = {.jobs = jobs, .err = err};
    gathering.keys = alloc_zeroed(BATCH, sizeof *gathering.keys);
    bool is_well;
    do {
        gathering.count = 0;
        gathering.unknown_count = 0;
        is_well = blobs_list(blobs, prefix, is_unfinished, gather, &gathering, err) &&
                  !gathering.has_failed && remove_gathered(blobs, &gathering, err);
        out->removed_count += (int64_t)gathering.count;
        if (gathering.count == BATCH)
            clock_sleep_ms(PAUSE_MS);
    } while (is_well && gathering.count == BATCH);
    out->unknown_count += gathering.unknown_count;
    free(gathering.keys);
    return is_well;
}

bool gateway_collect_conversion(struct blobs *blobs, const char *id, struct error *err)
{
    struct gateway_collected ignored = {0};
    char key[BLOB_KEY_SIZE];
    snprintf(key, sizeof key, "source/%s", id);
    if (!blobs_remove(blobs, key, err))
        return false;
    snprintf(key, sizeof key, "audio/%s/", id);
    return clear(NULL, blobs, key, false, &ignored, err) &&
           clear(NULL, blobs, key, true, &ignored, err);
}

bool gateway_collect_garbage(struct jobs *jobs, struct blobs *blobs, struct gateway_collected *out,
                             struct error *err)
{
    static const char *const prefixes[] = {"source/", "audio/"};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (!clear(jobs, blobs, prefixes[i], false, out, err) ||
            !clear(jobs, blobs, prefixes[i], true, out, err))
            return false;
    return true;
}
