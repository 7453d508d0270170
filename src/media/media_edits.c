#include "media/media_edits.h"

#include "base/alloc.h"
#include "base/file.h"
#include "media/media_big_endian.h"
#include "media/media_samples.h"

#include <inttypes.h>
#include <libavutil/mathematics.h>
#include <stdio.h>

enum { EDIT_BYTES = 20, SPEED_ZERO = 0, ITUNES_SLACK_SAMPLES = 8192 };

struct edit {
    uint64_t duration; // in the movie's timescale
    int64_t media_time;
    uint32_t rate;
};

static bool read_edit(int fd, const struct media_track *track, uint32_t index, struct edit *out,
                      struct media_failure *why)
{
    unsigned char bytes[EDIT_BYTES];
    size_t size = track->has_wide_edits ? 20 : 12;
    struct error err;
    int64_t offset = track->edits.offset + (int64_t)(index * size);
    if (file_read_at(fd, bytes, size, offset, &err) != (ssize_t)size) {
        media_fail(why, "truncated", NULL);
        return false;
    }
    if (track->has_wide_edits) {
        out->duration = big_endian_64(bytes);
        out->media_time = (int64_t)big_endian_64(bytes + 8);
        out->rate = big_endian_32(bytes + 16);
    } else {
        out->duration = big_endian_32(bytes);
        out->media_time = (int32_t)big_endian_32(bytes + 4);
        out->rate = big_endian_32(bytes + 8);
    }
    return true;
}

// Everything, from the first sample to the last.
static void present_all(struct media_presentation *presentation, int64_t total)
{
    presentation->count = 1;
    presentation->stretches[0] =
        (struct media_stretch){.length = -1, .media_end = total > 0 ? total : INT64_MAX};
}

// The movie's clock is often coarse (ms). An end that it cannot tell from the last sample's end
// is the last sample's end.
static void find_end(const struct media_presentation *presentation, int64_t total,
                     struct media_stretch *stretch)
{
    stretch->media_end = total > 0 ? total : INT64_MAX;
    if (stretch->length < 0)
        return;
    int64_t end = stretch->media_start +
                  av_rescale(stretch->length, presentation->media_clock, presentation->movie_clock);
    int64_t tick =
        av_rescale_rnd(1, presentation->media_clock, presentation->movie_clock, AV_ROUND_UP);
    if (total > 0 && end + tick >= total)
        stretch->length = -1;
    else
        stretch->media_end = end > stretch->media_start ? end : stretch->media_start + 1;
}

// False: nonsense.
static bool add_edit(struct media_presentation *presentation, const struct edit *edit,
                     const struct media_track *track, int64_t total, int64_t *at)
{
    int64_t latest = (int64_t)presentation->movie_clock << 30;
    if (edit->duration > (uint64_t)latest || *at + (int64_t)edit->duration > latest ||
        edit->media_time > media_samples_latest_time(track))
        return false;
    struct media_stretch stretch = {.at = *at,
                                    .length = edit->duration > 0 ? (int64_t)edit->duration : -1,
                                    .media_start = edit->media_time};
    *at += (int64_t)edit->duration;
    bool is_empty = edit->media_time < 0 || edit->rate == SPEED_ZERO;
    if (is_empty || (total > 0 && edit->media_time >= total))
        return true;
    find_end(presentation, total, &stretch);
    presentation->stretches[presentation->count++] = stretch;
    return true;
}

bool media_presentation_read(int fd, const struct media_boxes *boxes,
                             const struct media_track *track, int64_t total,
                             struct media_presentation *out, struct media_failure *why)
{
    *out = (struct media_presentation){.movie_clock = boxes->timescale,
                                       .media_clock = track->timescale};
    if (out->movie_clock == 0 || out->movie_clock > INT32_MAX)
        out->movie_clock = track->timescale;
    out->stretches = alloc_zeroed(track->edits.count + 1, sizeof *out->stretches);
    int64_t at = 0;
    bool is_sane = true;
    for (uint32_t i = 0; i < track->edits.count && is_sane; i++) {
        struct edit edit;
        if (!read_edit(fd, track, i, &edit, why)) {
            media_presentation_finish(out);
            return false;
        }
        // The length of a file in fragments was often not known when its edit list was written.
        if (boxes->is_fragmented && i + 1 == track->edits.count)
            edit.duration = 0;
        is_sane = add_edit(out, &edit, track, total, &at);
    }
    if (!is_sane || out->count == 0)
        present_all(out, total);
    return true;
}

void media_presentation_finish(struct media_presentation *presentation)
{
    free(presentation->stretches);
    presentation->stretches = NULL;
}

static void cut(struct media_presentation *presentation, int64_t start, int64_t end, int rate_hz)
{
    struct media_stretch *stretch = &presentation->stretches[0];
    if (end == INT64_MAX && stretch->media_end != INT64_MAX)
        end = av_rescale(stretch->media_end, rate_hz, presentation->media_clock);
    if (end <= start)
        return;
    presentation->media_clock = (uint32_t)rate_hz;
    stretch->media_start = start;
    stretch->media_end = end;
}

bool media_presentation_cut_itunes(struct media_presentation *presentation, const char *text,
                                   int rate_hz, int64_t total)
{
    unsigned priming, padding;
    uint64_t samples;
    if (rate_hz <= 0 || total <= 0 ||
        sscanf(text, " %*8x %8x %8x %16" SCNx64, &priming, &padding, &samples) != 3)
        return false;
    if (priming > 16384 || padding > 16384 || samples == 0 || samples > INT64_MAX / 4)
        return false;
    int64_t sum = (int64_t)(priming + samples + padding);
    const int rates[] = {rate_hz, rate_hz * 2, rate_hz / 2};
    int best_hz = 0;
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        int64_t all = av_rescale(total, rates[i], presentation->media_clock);
        int64_t apart = sum > all ? sum - all : all - sum;
        if (apart < least && apart <= all / 16 + ITUNES_SLACK_SAMPLES) {
            least = apart;
            best_hz = rates[i];
        }
    }
    if (best_hz > 0)
        cut(presentation, priming, (int64_t)(priming + samples), best_hz);
    return best_hz > 0;
}

void media_presentation_cut_delay(struct media_presentation *presentation, int samples, int rate_hz)
{
    cut(presentation, samples, INT64_MAX, rate_hz);
}

int64_t media_presentation_ms(const struct media_presentation *presentation)
{
    const struct media_stretch *last = &presentation->stretches[presentation->count - 1];
    int64_t at_ms = av_rescale(last->at, 1000, presentation->movie_clock);
    if (last->length >= 0)
        return at_ms + av_rescale(last->length, 1000, presentation->movie_clock);
    if (last->media_end == INT64_MAX)
        return 0;
    return at_ms + av_rescale(last->media_end - last->media_start, 1000, presentation->media_clock);
}
