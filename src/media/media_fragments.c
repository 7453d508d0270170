#include "media/media_fragments.h"

#include "base/alloc.h"
#include "base/file.h"
#include "media/media_big_endian.h"

enum {
    WINDOW_BYTES = 4096,
    RUNS = 1024, // of our track in one fragment
};

enum {
    TFHD_BASE = 0x1,
    TFHD_DESCRIPTION = 0x2,
    TFHD_DURATION = 0x8,
    TFHD_SIZE = 0x10,
    TFHD_BASE_IS_MOOF = 0x20000,
    TRUN_DATA = 0x1,
    TRUN_FIRST_FLAGS = 0x4,
    TRUN_DURATION = 0x100,
    TRUN_SIZE = 0x200,
    TRUN_FLAGS = 0x400,
    TRUN_COMPOSITION = 0x800,
};

struct box {
    uint32_t type;
    int64_t start;
    int64_t body;
    int64_t end;
};

// A `trun`: samples that lie one behind the other.
struct run {
    int64_t entries; // where its table lies
    int64_t data;    // where its first sample lies
    int64_t time;    // of its first sample; -1: it goes on where the one before ended
    uint32_t count;
    uint32_t flags;
    uint32_t entry_bytes;
    struct media_fragment_defaults defaults;
};

struct media_fragments {
    int fd;
    const struct media_boxes *boxes;
    const struct media_track *track;
    int64_t next_box; // on the top level
    unsigned run;     // the one being given
    unsigned run_count;
    uint32_t sample; // how many of it were given
    int64_t position;
    int64_t time;
    int64_t bytes; // of the samples given
    // While a fragment is read: where data lies that has no place of its own.
    int64_t moof;
    int64_t implicit_data;
    int64_t window; // where the bytes below lie
    int64_t window_bytes;
    unsigned char bytes_at_window[WINDOW_BYTES];
    struct run runs[RUNS];
};

// One `traf` being read.
struct traf {
    bool is_ours;
    int64_t base;
    int64_t time; // -1: not said
    bool has_runs;
    struct media_fragment_defaults defaults;
};

static bool fail_damaged(struct media_failure *why)
{
    return media_fail(why, "not_media", "This file's index is damaged.");
}

// `size` bytes of the file through the window, NULL on failure.
static const unsigned char *bytes_at(struct media_fragments *fragments, int64_t offset, size_t size,
                                     struct media_failure *why)
{
    int64_t at = offset - fragments->window;
    if (at >= 0 && at + (int64_t)size <= fragments->window_bytes)
        return fragments->bytes_at_window + at;
    struct error err;
    ssize_t got =
        file_read_at(fragments->fd, fragments->bytes_at_window, WINDOW_BYTES, offset, &err);
    fragments->window = offset;
    fragments->window_bytes = got > 0 ? got : 0;
    if (got >= (ssize_t)size)
        return fragments->bytes_at_window;
    media_fail(why, got < 0 ? "internal" : "truncated", got < 0 ? "%s" : NULL, err.text);
    return NULL;
}

// The box at `start`, which must end at `end` or before: 1, 0 no box, -1 failed.
static int read_box(struct media_fragments *fragments, int64_t start, int64_t end, struct box *out,
                    struct media_failure *why)
{
    if (end - start < 8)
        return 0;
    const unsigned char *head = bytes_at(fragments, start, end - start < 16 ? 8 : 16, why);
    if (head == NULL)
        return -1;
    uint64_t size = big_endian_32(head);
    *out = (struct box){.type = big_endian_32(head + 4), .start = start, .body = start + 8};
    if (size == 1 && end - start >= 16) {
        size = big_endian_64(head + 8);
        out->body = start + 16;
    } else if (size == 0) {
        size = (uint64_t)(end - start);
    }
    if (size < (uint64_t)(out->body - start) || size > (uint64_t)(end - start))
        return 0;
    out->end = start + (int64_t)size;
    return 1;
}

static struct media_fragment_defaults defaults_of(const struct media_boxes *boxes, uint32_t track)
{
    for (unsigned i = 0; i < boxes->defaults_count; i++)
        if (boxes->defaults[i].track_id == track)
            return boxes->defaults[i];
    return (struct media_fragment_defaults){.track_id = track, .description = 1};
}

static bool read_tfhd(struct media_fragments *fragments, const struct box *box, struct traf *traf,
                      struct media_failure *why)
{
    int64_t size = box->end - box->body;
    const unsigned char *at = bytes_at(fragments, box->body, size > 32 ? 32 : (size_t)size, why);
    if (at == NULL || size < 8)
        return at != NULL && fail_damaged(why);
    uint32_t flags = big_endian_32(at) & 0xffffff;
    int64_t wanted = 8 + (flags & TFHD_BASE ? 8 : 0) + (flags & TFHD_DESCRIPTION ? 4 : 0) +
                     (flags & TFHD_DURATION ? 4 : 0) + (flags & TFHD_SIZE ? 4 : 0);
    if (size < wanted)
        return fail_damaged(why);
    uint32_t track = big_endian_32(at + 4);
    traf->is_ours = track == fragments->track->id;
    traf->defaults = defaults_of(fragments->boxes, track);
    traf->base = flags & TFHD_BASE_IS_MOOF ? fragments->moof : fragments->implicit_data;
    at += 8;
    if (flags & TFHD_BASE) {
        uint64_t base = big_endian_64(at);
        if (base > (uint64_t)fragments->boxes->file_bytes)
            return media_fail(why, "truncated", NULL);
        traf->base = (int64_t)base;
        at += 8;
    }
    if (flags & TFHD_DESCRIPTION) {
        traf->defaults.description = big_endian_32(at);
        at += 4;
    }
    if (flags & TFHD_DURATION) {
        traf->defaults.duration = big_endian_32(at);
        at += 4;
    }
    if (flags & TFHD_SIZE)
        traf->defaults.size_bytes = big_endian_32(at);
    return true;
}

static bool read_tfdt(struct media_fragments *fragments, const struct box *box, struct traf *traf,
                      struct media_failure *why)
{
    const unsigned char *at = bytes_at(fragments, box->body, 8, why);
    if (at == NULL)
        return false;
    uint64_t time = big_endian_32(at + 4);
    if (at[0] == 1) {
        if ((at = bytes_at(fragments, box->body, 12, why)) == NULL)
            return false;
        time = big_endian_64(at + 4);
    }
    if (time > (uint64_t)media_samples_latest_time(fragments->track))
        return fail_damaged(why);
    traf->time = (int64_t)time;
    return true;
}

static uint32_t size_offset(uint32_t flags)
{
    return flags & TRUN_DURATION ? 4 : 0;
}

// Where the run's data ends; -1 on failure.
static int64_t end_of_run(struct media_fragments *fragments, const struct run *run,
                          struct media_failure *why)
{
    int64_t end = run->data;
    int64_t size = run->defaults.size_bytes;
    if (!(run->flags & TRUN_SIZE)) {
        if (run->count <= fragments->boxes->file_bytes / (size > 0 ? size : 1))
            return end + run->count * size;
        media_fail(why, "truncated", NULL);
        return -1;
    }
    for (uint32_t i = 0; i < run->count; i++) {
        const unsigned char *entry = bytes_at(
            fragments, run->entries + (int64_t)i * run->entry_bytes, run->entry_bytes, why);
        if (entry == NULL)
            return -1;
        end += big_endian_32(entry + size_offset(run->flags));
    }
    return end;
}

static bool read_trun(struct media_fragments *fragments, const struct box *box, struct traf *traf,
                      struct media_failure *why)
{
    int64_t size = box->end - box->body;
    const unsigned char *at = bytes_at(fragments, box->body, size > 16 ? 16 : (size_t)size, why);
    if (at == NULL || size < 8)
        return at != NULL && fail_damaged(why);
    uint32_t flags = big_endian_32(at) & 0xffffff;
    int64_t head = 8 + (flags & TRUN_DATA ? 4 : 0) + (flags & TRUN_FIRST_FLAGS ? 4 : 0);
    struct run run = {.entries = box->body + head,
                      .count = big_endian_32(at + 4),
                      .flags = flags,
                      .defaults = traf->defaults,
                      .data = traf->has_runs ? fragments->implicit_data : traf->base,
                      .time = traf->time};
    for (uint32_t field = TRUN_DURATION; field <= TRUN_COMPOSITION; field <<= 1)
        run.entry_bytes += flags & field ? 4 : 0;
    if (size < head || (int64_t)run.count * run.entry_bytes > size - head)
        return fail_damaged(why);
    if (flags & TRUN_DATA)
        run.data = traf->base + (int32_t)big_endian_32(at + 8);
    if (run.data < 0 || run.data > fragments->boxes->file_bytes)
        return media_fail(why, "truncated", NULL);
    int64_t end = end_of_run(fragments, &run, why);
    if (end < 0)
        return false;
    fragments->implicit_data = end;
    traf->has_runs = true;
    traf->time = -1;
    if (!traf->is_ours || run.count == 0)
        return true;
    if (fragments->run_count == RUNS)
        return media_fail(why, "too_complex", NULL);
    fragments->runs[fragments->run_count++] = run;
    return true;
}

static bool read_traf(struct media_fragments *fragments, const struct box *parent,
                      struct media_failure *why)
{
    struct traf traf = {.time = -1};
    struct box box;
    int step = 1;
    for (int64_t at = parent->body; at < parent->end; at = box.end) {
        step = read_box(fragments, at, parent->end, &box, why);
        if (step <= 0)
            break;
        bool is_read = true;
        if (box.type == MEDIA_FOURCC('t', 'f', 'h', 'd'))
            is_read = read_tfhd(fragments, &box, &traf, why);
        else if (box.type == MEDIA_FOURCC('t', 'f', 'd', 't'))
            is_read = read_tfdt(fragments, &box, &traf, why);
        else if (box.type == MEDIA_FOURCC('t', 'r', 'u', 'n'))
            is_read = read_trun(fragments, &box, &traf, why);
        if (!is_read)
            return false;
    }
    return step > 0 || (step == 0 && fail_damaged(why));
}

static bool read_moof(struct media_fragments *fragments, const struct box *moof,
                      struct media_failure *why)
{
    fragments->moof = fragments->implicit_data = moof->start;
    fragments->run = fragments->run_count = 0;
    struct box box;
    int step = 1;
    for (int64_t at = moof->body; at < moof->end; at = box.end) {
        step = read_box(fragments, at, moof->end, &box, why);
        if (step <= 0)
            break;
        if (box.type == MEDIA_FOURCC('t', 'r', 'a', 'f') && !read_traf(fragments, &box, why))
            return false;
    }
    return step > 0 || (step == 0 && fail_damaged(why));
}

// The next fragment with samples of our track: 1, 0 there is none, -1 failed.
static int next_fragment(struct media_fragments *fragments, struct media_failure *why)
{
    for (;;) {
        struct box box;
        int step =
            read_box(fragments, fragments->next_box, fragments->boxes->file_bytes, &box, why);
        if (step <= 0)
            return step;
        fragments->next_box = box.end;
        if (box.type != MEDIA_FOURCC('m', 'o', 'o', 'f'))
            continue;
        if (!read_moof(fragments, &box, why))
            return -1;
        if (fragments->run_count > 0)
            return 1;
    }
}

static void begin_run(struct media_fragments *fragments, const struct run *run)
{
    fragments->position = run->data;
    if (run->time >= 0)
        fragments->time = run->time;
}

static bool check_sample(const struct media_fragments *fragments, uint32_t size,
                         struct media_failure *why)
{
    if (size > MEDIA_PACKET_BYTES)
        return media_fail(why, "too_complex", NULL);
    if (fragments->position > fragments->boxes->file_bytes)
        return media_fail(why, "truncated", NULL);
    // Runs that lie over each other would make a small file the work of a huge one.
    bool is_damaged = fragments->bytes > fragments->boxes->file_bytes ||
                      fragments->time > media_samples_latest_time(fragments->track);
    return !is_damaged || fail_damaged(why);
}

int media_fragments_next(struct media_fragments *fragments, struct media_sample *out,
                         struct media_failure *why)
{
    if (fragments->run < fragments->run_count &&
        fragments->sample == fragments->runs[fragments->run].count) {
        fragments->run++;
        fragments->sample = 0;
    }
    if (fragments->run == fragments->run_count) {
        int step = next_fragment(fragments, why);
        if (step <= 0)
            return step;
    }
    const struct run *run = &fragments->runs[fragments->run];
    if (fragments->sample == 0)
        begin_run(fragments, run);
    uint32_t duration = run->defaults.duration, size = run->defaults.size_bytes;
    if (run->entry_bytes > 0) {
        int64_t offset = run->entries + (int64_t)fragments->sample * run->entry_bytes;
        const unsigned char *entry = bytes_at(fragments, offset, run->entry_bytes, why);
        if (entry == NULL)
            return -1;
        if (run->flags & TRUN_DURATION)
            duration = big_endian_32(entry);
        if (run->flags & TRUN_SIZE)
            size = big_endian_32(entry + size_offset(run->flags));
    }
    uint32_t description = run->defaults.description;
    *out = (struct media_sample){.offset = fragments->position,
                                 .size_bytes = size,
                                 .time = fragments->time,
                                 .duration = duration,
                                 .description = description > 0 ? description - 1 : 0};
    fragments->sample++;
    fragments->position += size;
    fragments->time += duration;
    fragments->bytes += size > 0 ? size : 1;
    return check_sample(fragments, size, why) ? 1 : -1;
}

void media_fragments_rewind(struct media_fragments *fragments, int64_t time)
{
    fragments->next_box = 0;
    fragments->run = fragments->run_count = 0;
    fragments->sample = 0;
    fragments->time = time;
    fragments->bytes = 0;
}

struct media_fragments *media_fragments_open(int fd, const struct media_boxes *boxes,
                                             const struct media_track *track)
{
    struct media_fragments *fragments = alloc_zeroed(1, sizeof *fragments);
    fragments->fd = fd;
    fragments->boxes = boxes;
    fragments->track = track;
    return fragments;
}

void media_fragments_close(struct media_fragments *fragments)
{
    free(fragments);
}
