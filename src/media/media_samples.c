#include "media/media_samples.h"

#include "base/alloc.h"
#include "base/file.h"
#include "media/media_big_endian.h"

#include <string.h>

enum { WINDOW_BYTES = 4096, PCM_PACKET_SAMPLES = 4096 };

// One table, read forwards.
struct window {
    int fd;
    struct media_table table;
    uint32_t entry_bytes;
    uint32_t first; // entry at the window's start
    uint32_t count; // entries in the window
    unsigned char bytes[WINDOW_BYTES];
};

struct media_samples {
    int fd;
    int64_t file_bytes;
    const struct media_track *track;
    int pcm_frame_bytes[MEDIA_DESCRIPTIONS];
    struct window times, chunks, sizes, offsets;
    uint32_t chunk; // how many were begun
    uint32_t chunk_run;
    uint32_t left_in_chunk;
    uint32_t description;
    uint32_t sample; // how many were given
    int64_t position;
    int64_t bytes; // of the samples given
    uint32_t time_run;
    uint32_t left_in_time_run;
    uint32_t delta;
    int64_t time;
};

// The entry's bytes, NULL on failure. The parser has seen that the table lies inside the file.
static const unsigned char *entry_at(struct window *window, uint32_t index,
                                     struct media_failure *why)
{
    if (index < window->first || index - window->first >= window->count) {
        uint32_t left = window->table.count - index;
        uint32_t fits = WINDOW_BYTES / window->entry_bytes;
        window->first = index;
        window->count = left < fits ? left : fits;
        struct error err;
        size_t wanted = (size_t)window->count * window->entry_bytes;
        ssize_t got =
            file_read_at(window->fd, window->bytes, wanted,
                         window->table.offset + (int64_t)index * window->entry_bytes, &err);
        if (got != (ssize_t)wanted) {
            window->count = 0;
            media_fail(why, got < 0 ? "internal" : "truncated", got < 0 ? "%s" : NULL, err.text);
            return NULL;
        }
    }
    return window->bytes + (size_t)(index - window->first) * window->entry_bytes;
}

static struct window open_window(int fd, const struct media_table *table, uint32_t entry_bytes)
{
    return (struct window){.fd = fd, .table = *table, .entry_bytes = entry_bytes};
}

bool media_samples_can_walk(const struct media_track *track)
{
    return track->times.count > 0 && track->chunks.count > 0 && track->sizes.count > 0 &&
           track->offsets.count > 0;
}

// Two sizes of four bits share a byte.
static struct window open_sizes(int fd, const struct media_track *track)
{
    struct media_table table = track->sizes;
    if (track->compact_size_bits == 4)
        table.count = table.count / 2 + table.count % 2;
    uint32_t bits = track->compact_size_bits;
    return open_window(fd, &table, bits == 0 ? 4 : bits == 16 ? 2 : 1);
}

struct media_samples *media_samples_open(int fd, const struct media_boxes *boxes,
                                         const struct media_track *track,
                                         const int pcm_frame_bytes[MEDIA_DESCRIPTIONS])
{
    struct media_samples *samples = alloc_zeroed(1, sizeof *samples);
    samples->fd = fd;
    samples->file_bytes = boxes->file_bytes;
    samples->track = track;
    if (pcm_frame_bytes != NULL)
        memcpy(samples->pcm_frame_bytes, pcm_frame_bytes, sizeof samples->pcm_frame_bytes);
    samples->times = open_window(fd, &track->times, 8);
    samples->chunks = open_window(fd, &track->chunks, 12);
    samples->sizes = open_sizes(fd, track);
    samples->offsets = open_window(fd, &track->offsets, track->has_wide_offsets ? 8 : 4);
    return samples;
}

void media_samples_rewind(struct media_samples *samples)
{
    samples->chunk = samples->chunk_run = samples->left_in_chunk = samples->sample = 0;
    samples->time_run = samples->left_in_time_run = 0;
    samples->bytes = samples->time = 0;
}

void media_samples_close(struct media_samples *samples)
{
    free(samples);
}

// The next chunk that has samples: 1, 0 at the end, -1 failed.
static int begin_chunk(struct media_samples *samples, struct media_failure *why)
{
    while (samples->left_in_chunk == 0) {
        if (samples->chunk == samples->offsets.table.count)
            return 0;
        const unsigned char *offset = entry_at(&samples->offsets, samples->chunk, why);
        if (offset == NULL)
            return -1;
        uint64_t position = big_endian_32(offset);
        if (samples->track->has_wide_offsets)
            position = position << 32 | big_endian_32(offset + 4);
        if (position >= (uint64_t)samples->file_bytes) {
            media_fail(why, "truncated", NULL);
            return -1;
        }
        samples->position = (int64_t)position;
        samples->chunk++;
        // A run of chunks goes on until the next run's first chunk, counted from 1.
        while (samples->chunk_run + 1 < samples->chunks.table.count) {
            const unsigned char *next = entry_at(&samples->chunks, samples->chunk_run + 1, why);
            if (next == NULL)
                return -1;
            if (big_endian_32(next) > samples->chunk)
                break;
            samples->chunk_run++;
        }
        const unsigned char *run = entry_at(&samples->chunks, samples->chunk_run, why);
        if (run == NULL)
            return -1;
        samples->left_in_chunk = big_endian_32(run + 4);
        uint32_t description = big_endian_32(run + 8); // from 1
        samples->description = description > 0 ? description - 1 : 0;
    }
    return 1;
}

// Behind the last run of durations, its last one goes on.
static bool begin_time_run(struct media_samples *samples, struct media_failure *why)
{
    while (samples->left_in_time_run == 0 && samples->time_run < samples->times.table.count) {
        const unsigned char *run = entry_at(&samples->times, samples->time_run, why);
        if (run == NULL)
            return false;
        samples->time_run++;
        samples->left_in_time_run = big_endian_32(run);
        samples->delta = big_endian_32(run + 4);
    }
    if (samples->left_in_time_run == 0)
        samples->left_in_time_run = UINT32_MAX;
    return true;
}

static int pcm_frame_bytes(const struct media_samples *samples)
{
    uint32_t description = samples->description;
    return description < MEDIA_DESCRIPTIONS ? samples->pcm_frame_bytes[description] : 0;
}

static bool size_of_next(struct media_samples *samples, uint32_t count, int64_t *out,
                         struct media_failure *why)
{
    if (pcm_frame_bytes(samples) > 0) {
        *out = (int64_t)count * pcm_frame_bytes(samples);
        return true;
    }
    *out = samples->track->fixed_size_bytes;
    if (*out != 0)
        return true;
    uint32_t bits = samples->track->compact_size_bits;
    uint32_t entry = bits == 4 ? samples->sample / 2 : samples->sample;
    const unsigned char *size = entry_at(&samples->sizes, entry, why);
    if (size == NULL)
        return false;
    if (bits == 0)
        *out = big_endian_32(size);
    else if (bits == 16)
        *out = size[0] << 8 | size[1];
    else if (bits == 8)
        *out = size[0];
    else
        *out = samples->sample % 2 == 0 ? size[0] >> 4 : size[0] & 15;
    return true;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

int64_t media_samples_latest_time(const struct media_track *track)
{
    return (int64_t)track->timescale << 30;
}

int media_samples_next(struct media_samples *samples, struct media_sample *out,
                       struct media_failure *why)
{
    if (samples->sample == samples->track->sizes.count)
        return 0;
    int has_chunk = begin_chunk(samples, why);
    if (has_chunk <= 0)
        return has_chunk;
    if (!begin_time_run(samples, why))
        return -1;
    uint32_t count = 1;
    if (pcm_frame_bytes(samples) > 0) {
        count = smaller(PCM_PACKET_SAMPLES, samples->left_in_chunk);
        count = smaller(count, samples->track->sizes.count - samples->sample);
        count = smaller(count, samples->left_in_time_run);
    }
    if (!size_of_next(samples, count, &out->size_bytes, why))
        return -1;
    if (out->size_bytes > samples->file_bytes - samples->position) {
        media_fail(why, "truncated", NULL);
        return -1;
    }
    out->offset = samples->position;
    out->time = samples->time;
    out->duration = (int64_t)count * samples->delta;
    out->description = samples->description;
    samples->position += out->size_bytes;
    samples->bytes += out->size_bytes;
    samples->time += out->duration;
    // Chunks that lie over each other would make a small file the work of a huge one.
    if (samples->bytes > samples->file_bytes ||
        samples->time > media_samples_latest_time(samples->track)) {
        media_fail(why, "not_media", "This file's index is damaged.");
        return -1;
    }
    samples->sample += count;
    samples->left_in_chunk -= count;
    samples->left_in_time_run -= count;
    return 1;
}

bool media_samples_total(int fd, const struct media_track *track, int64_t *out,
                         struct media_failure *why)
{
    struct window times = open_window(fd, &track->times, 8);
    uint32_t delta = 0;
    *out = 0;
    for (uint32_t i = 0; i < track->times.count; i++) {
        const unsigned char *run = entry_at(&times, i, why);
        if (run == NULL)
            return false;
        uint64_t ticks = (uint64_t)big_endian_32(run) * big_endian_32(run + 4);
        if (ticks > (uint64_t)(media_samples_latest_time(track) - *out))
            return media_fail(why, "not_media", "This file's index is damaged.");
        *out += (int64_t)ticks;
        // Programs that did not know how long the last sample is wrote 0.
        bool is_last_unknown = i + 1 == track->times.count && i > 0 && ticks == 0;
        if (is_last_unknown && big_endian_32(run) == 1)
            *out += delta;
        delta = big_endian_32(run + 4);
    }
    return true;
}
