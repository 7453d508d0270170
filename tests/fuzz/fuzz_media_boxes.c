// Any bytes as an MP4: what the parser lets pass lies inside the file, and walking its tables ends.

#include "fuzz_file.h"
#include "media/media_boxes.h"
#include "media/media_edits.h"
#include "media/media_fragments.h"
#include "media/media_samples.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void expect_inside(const struct media_boxes *boxes, const struct media_table *table,
                          int64_t entry_bytes)
{
    assert(table->offset >= 0 && table->count_offset >= 0);
    assert(table->offset + table->count * entry_bytes <= boxes->file_bytes);
}

static void expect_sound(const struct media_boxes *boxes)
{
    assert(boxes->track_count <= MEDIA_TRACKS && boxes->defaults_count <= MEDIA_TRACKS);
    for (unsigned i = 0; i < boxes->track_count; i++) {
        const struct media_track *track = &boxes->tracks[i];
        expect_inside(boxes, &track->times, 8);
        expect_inside(boxes, &track->chunks, 12);
        expect_inside(boxes, &track->sizes,
                      track->fixed_size_bytes == 0 && track->compact_size_bits == 0 ? 4 : 0);
        expect_inside(boxes, &track->offsets, track->has_wide_offsets ? 8 : 4);
        expect_inside(boxes, &track->edits, track->has_wide_edits ? 20 : 12);
        assert(memchr(track->language, '\0', sizeof track->language) != NULL);
        assert(memchr(track->name, '\0', sizeof track->name) != NULL);
    }
}

static void expect_sample(const struct media_boxes *boxes, const struct media_sample *sample)
{
    assert(sample->offset >= 0 && sample->size_bytes >= 0 && sample->duration >= 0);
    assert(sample->offset + sample->size_bytes <= boxes->file_bytes);
    assert(sample->time >= 0);
}

// Two samples of four bits share a byte of the table.
static void walk(int fd, const struct media_boxes *boxes, const struct media_track *track,
                 const int *pcm_frame_bytes)
{
    struct media_failure why = {0};
    struct media_sample sample;
    int64_t before = 0, steps = 0, bytes = 0;
    int step;
    SCOPED(media_samples_close)
    struct media_samples *samples = media_samples_open(fd, boxes, track, pcm_frame_bytes);
    while ((step = media_samples_next(samples, &sample, &why)) > 0) {
        expect_sample(boxes, &sample);
        assert(sample.time >= before);
        before = sample.time;
        bytes += sample.size_bytes;
        assert(bytes <= boxes->file_bytes && steps++ <= 2 * boxes->file_bytes);
    }
    if (step < 0)
        fuzz_expect_blame(&why);
}

static void walk_fragments(int fd, const struct media_boxes *boxes, const struct media_track *track)
{
    struct media_failure why = {0};
    struct media_sample sample;
    int64_t steps = 0;
    int step;
    SCOPED(media_fragments_close)
    struct media_fragments *fragments = media_fragments_open(fd, boxes, track);
    while ((step = media_fragments_next(fragments, &sample, &why)) > 0) {
        expect_sample(boxes, &sample);
        assert(steps++ <= boxes->file_bytes);
    }
    if (step < 0)
        fuzz_expect_blame(&why);
}

static void present(int fd, const struct media_boxes *boxes, const struct media_track *track,
                    int64_t total)
{
    struct media_failure why = {0};
    struct media_presentation presentation;
    if (!media_presentation_read(fd, boxes, track, total, &presentation, &why)) {
        fuzz_expect_blame(&why);
        return;
    }
    assert(presentation.count > 0 && presentation.movie_clock > 0);
    for (unsigned i = 0; i < presentation.count; i++) {
        const struct media_stretch *stretch = &presentation.stretches[i];
        assert(stretch->at >= 0 && stretch->media_start >= 0 &&
               stretch->media_start < stretch->media_end);
    }
    media_presentation_finish(&presentation);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct media_boxes boxes;
    struct media_failure why = {0};
    int64_t total;
    int fd = fuzz_file(bytes, size);
    if (!media_boxes_read(fd, &boxes, &why)) {
        fuzz_expect_blame(&why);
        return 0;
    }
    expect_sound(&boxes);
    static const char *const wanted[] = {"1", "deu", NULL};
    const struct media_track *track = NULL;
    for (size_t i = 0; i < 3; i++)
        if ((track = media_boxes_choose_audio(&boxes, wanted[i], &why)) == NULL)
            fuzz_expect_blame(&why);
    if (track == NULL)
        return 0;
    if (!media_boxes_check_offsets(fd, &boxes, track, &why))
        fuzz_expect_blame(&why);
    if (track->timescale == 0 || track->timescale > INT32_MAX)
        return 0;
    if (boxes.is_fragmented)
        walk_fragments(fd, &boxes, track);
    if (!media_samples_total(fd, track, &total, &why)) {
        fuzz_expect_blame(&why);
        return 0;
    }
    present(fd, &boxes, track, total);
    if (!media_samples_can_walk(track))
        return 0;
    static const int pcm[MEDIA_DESCRIPTIONS] = {4, 4, 6};
    walk(fd, &boxes, track, NULL);
    walk(fd, &boxes, track, pcm);
    return 0;
}
