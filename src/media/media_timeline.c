#include "media/media_timeline.h"

#include <libavutil/mathematics.h>

enum {
    JUMP_MS = 5, // less is a muxer's rounding
    JUMPED_BACK_MS = 100,
    ANNOUNCED_SLACK_MS = 5000,
    UNANNOUNCED_START_MS = 10 * 1000, // a recording that was cut out of a stream starts anywhere
    UNANNOUNCED_GAP_MS = 10 * 60 * 1000,
};

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t samples_of(const struct media_timeline *timeline, int64_t ticks, uint32_t clock)
{
    return av_rescale(ticks, timeline->rate_hz, clock);
}

static int64_t samples_of_ms(const struct media_timeline *timeline, int64_t ms)
{
    return av_rescale(ms, timeline->rate_hz, 1000);
}

void media_timeline_init(struct media_timeline *timeline,
                         const struct media_presentation *presentation, uint32_t clock)
{
    *timeline = (struct media_timeline){
        .presentation = presentation, .clock = clock, .media_stop = INT64_MAX};
}

// The current stretch in samples.
static void settle(struct media_timeline *timeline)
{
    const struct media_presentation *presentation = timeline->presentation;
    const struct media_stretch *stretch = &presentation->stretches[timeline->stretch];
    int64_t at = samples_of(timeline, stretch->at, presentation->movie_clock);
    timeline->media_first = samples_of(timeline, stretch->media_start, presentation->media_clock);
    timeline->media_end = INT64_MAX;
    if (stretch->length >= 0)
        timeline->media_end =
            timeline->media_first - at +
            samples_of(timeline, stretch->at + stretch->length, presentation->movie_clock);
    else if (stretch->media_end != INT64_MAX)
        timeline->media_end = samples_of(timeline, stretch->media_end, presentation->media_clock);
    if (timeline->media_stop != INT64_MAX)
        timeline->media_end = smaller(timeline->media_end,
                                      samples_of(timeline, timeline->media_stop, timeline->clock));
    timeline->shift = at - timeline->media_first;
    timeline->expected = timeline->lost_until = INT64_MIN;
    timeline->drift = timeline->ahead = 0;
}

void media_timeline_set_rate(struct media_timeline *timeline, int rate_hz)
{
    int before_hz = timeline->rate_hz;
    if (rate_hz == before_hz)
        return;
    timeline->rate_hz = rate_hz;
    timeline->first = samples_of_ms(timeline, timeline->start_ms);
    timeline->end = timeline->end_ms > 0 ? samples_of_ms(timeline, timeline->end_ms) : INT64_MAX;
    timeline->given =
        before_hz > 0 ? av_rescale(timeline->given, rate_hz, before_hz) : timeline->first;
    settle(timeline);
}

// In milliseconds, rounded up; INT64_MAX: not known.
static int64_t end_of_stretch_ms(const struct media_presentation *presentation,
                                 const struct media_stretch *stretch)
{
    int64_t at_ms = av_rescale_rnd(stretch->at, 1000, presentation->movie_clock, AV_ROUND_UP);
    if (stretch->length >= 0)
        return at_ms +
               av_rescale_rnd(stretch->length, 1000, presentation->movie_clock, AV_ROUND_UP);
    if (stretch->media_end == INT64_MAX)
        return INT64_MAX;
    return at_ms + av_rescale_rnd(stretch->media_end - stretch->media_start, 1000,
                                  presentation->media_clock, AV_ROUND_UP);
}

bool media_timeline_enter(struct media_timeline *timeline, unsigned index)
{
    const struct media_presentation *presentation = timeline->presentation;
    for (; index < presentation->count; index++) {
        const struct media_stretch *stretch = &presentation->stretches[index];
        int64_t at_ms = av_rescale_rnd(stretch->at, 1000, presentation->movie_clock, AV_ROUND_DOWN);
        bool is_before = end_of_stretch_ms(presentation, stretch) <= timeline->start_ms;
        bool is_after = timeline->end_ms > 0 && at_ms >= timeline->end_ms;
        if (is_before || is_after)
            continue;
        timeline->stretch = index;
        if (timeline->rate_hz > 0)
            settle(timeline);
        return true;
    }
    return false;
}

int64_t media_timeline_entry(const struct media_timeline *timeline)
{
    const struct media_presentation *presentation = timeline->presentation;
    const struct media_stretch *stretch = &presentation->stretches[timeline->stretch];
    int64_t entry = av_rescale_rnd(stretch->media_start, timeline->clock, presentation->media_clock,
                                   AV_ROUND_DOWN);
    int64_t at_ms = av_rescale_rnd(stretch->at, 1000, presentation->movie_clock, AV_ROUND_UP);
    int64_t into_ms = timeline->start_ms - at_ms - 1;
    return into_ms > 0 ? entry + av_rescale_rnd(into_ms, timeline->clock, 1000, AV_ROUND_DOWN)
                       : entry;
}

// Follows the stamps: how far the count is ahead of them from this frame on.
static void follow(struct media_timeline *timeline, int64_t position)
{
    if (timeline->expected == INT64_MIN)
        return;
    int64_t jump = position - timeline->expected;
    int64_t least = samples_of_ms(timeline, JUMP_MS);
    if (jump >= -least && jump <= least) {
        timeline->drift -= jump;
    } else if (jump > 0) {
        timeline->ahead -= smaller(jump, timeline->ahead);
    } else {
        timeline->ahead -= jump;
        if (timeline->ahead > samples_of_ms(timeline, JUMPED_BACK_MS))
            timeline->ahead = 0;
    }
}

// Whether a gap up to there is one that the file can mean.
static bool is_credible(const struct media_timeline *timeline, int64_t until)
{
    if (timeline->announced_ms > 0)
        return until <= samples_of_ms(timeline, timeline->announced_ms + ANNOUNCED_SLACK_MS);
    int64_t longest_ms =
        timeline->given == timeline->first ? UNANNOUNCED_START_MS : UNANNOUNCED_GAP_MS;
    return until - timeline->given <= samples_of_ms(timeline, longest_ms);
}

static struct media_piece give(struct media_timeline *timeline, int64_t at, int skip, int count)
{
    struct media_piece piece = {.skip = skip, .count = count};
    if (at > timeline->given && !is_credible(timeline, at)) {
        timeline->shift -= at - timeline->given;
        at = timeline->given;
    }
    int64_t overlap = smaller(larger(timeline->given - at, 0), count);
    piece.skip += (int)overlap;
    at += overlap;
    int64_t stop = smaller(at + piece.count - overlap, timeline->end);
    piece.silence = larger(smaller(at, timeline->end) - timeline->given, 0);
    piece.count = (int)larger(stop - at, 0);
    timeline->given += piece.silence + piece.count;
    return piece;
}

struct media_piece media_timeline_place(struct media_timeline *timeline, int64_t time, int samples)
{
    int64_t position = timeline->expected;
    if (time != INT64_MIN)
        position = samples_of(timeline, time, timeline->clock);
    else if (position == INT64_MIN)
        position = timeline->media_first;
    follow(timeline, position);
    timeline->expected = position + samples;
    timeline->lost_until = INT64_MIN;
    int64_t from = larger(position, timeline->media_first);
    int64_t to = smaller(position + samples, timeline->media_end);
    if (from >= to) {
        // What is decoded ahead of a stretch only warms the decoder up.
        if (position < timeline->media_first)
            timeline->drift = timeline->ahead = 0;
        return (struct media_piece){0};
    }
    if (position <= timeline->media_first)
        timeline->drift = timeline->ahead = 0;
    return give(timeline, from + timeline->drift + timeline->ahead + timeline->shift,
                (int)(from - position), (int)(to - from));
}

void media_timeline_end_at(struct media_timeline *timeline, int64_t time)
{
    timeline->media_stop = time;
    if (timeline->rate_hz > 0)
        timeline->media_end =
            smaller(timeline->media_end, samples_of(timeline, time, timeline->clock));
}

void media_timeline_lose(struct media_timeline *timeline, int64_t time, int samples)
{
    if (timeline->rate_hz > 0)
        timeline->lost_until = samples_of(timeline, time, timeline->clock) + samples;
}

bool media_timeline_is_behind(const struct media_timeline *timeline, int64_t time)
{
    if (timeline->rate_hz == 0)
        return false;
    if (timeline->given >= timeline->end)
        return true;
    return samples_of(timeline, time, timeline->clock) >= timeline->media_end;
}

int64_t media_timeline_rest(struct media_timeline *timeline)
{
    if (timeline->rate_hz == 0 || timeline->lost_until == INT64_MIN)
        return 0;
    int64_t until = smaller(timeline->lost_until, timeline->media_end) + timeline->drift +
                    timeline->ahead + timeline->shift;
    timeline->lost_until = INT64_MIN;
    if (until <= timeline->given || !is_credible(timeline, until))
        return 0;
    struct media_piece piece = give(timeline, until, 0, 0);
    return piece.silence;
}
