#include "media/media_segment.h"

#include "base/alloc.h"

const struct media_rules media_rules_usual = {
    .segment_frames = 1470,
    .lead_in_frames = 80,
    .exact_frames = 32,
};

struct media_segment *media_segment_create(const struct media_rules *rules, int64_t number,
                                           int frame_samples, size_t frame_limit)
{
    struct media_segment *segment = alloc_zeroed(1, sizeof *segment);
    segment->number = number;
    segment->first_frame = number * rules->segment_frames;
    segment->from = number == 0 ? 0 : media_segment_start(rules, number);
    segment->candidate = media_segment_start(rules, number + 1);
    segment->known = segment->first_frame;
    segment->position = segment->first_frame * frame_samples;
    segment->frames = media_frames_create(frame_limit);
    return segment;
}

void media_segment_destroy(struct media_segment *segment)
{
    if (segment == NULL)
        return;
    media_lame_close(segment->lame);
    media_frames_destroy(segment->frames);
    free(segment);
}

int64_t media_segment_start(const struct media_rules *rules, int64_t number)
{
    return number * rules->segment_frames + rules->lead_in_frames;
}

bool media_segment_encode(struct media_segment *segment, const struct media_pcm *pcm, int64_t end,
                          bool is_end, struct media_failure *why)
{
    for (int64_t position = segment->position; position < end;) {
        const float *left, *right;
        size_t count = media_pcm_at(pcm, position, (size_t)(end - position), &left, &right);
        if (!media_lame_encode(segment->lame, left, right, count, segment->frames, why))
            return false;
        position += (int64_t)count;
    }
    return !is_end || media_lame_flush(segment->lame, segment->frames, why);
}

static bool is_exact_time(const struct media_segment *segment, const struct media_rules *rules)
{
    int64_t start = media_segment_start(rules, segment->next->number);
    return segment->candidate - start < rules->exact_frames;
}

static bool fits(const struct media_segment *segment, const struct media_rules *rules)
{
    const struct media_segment *next = segment->next;
    struct media_join_side left = {segment->frames, segment->first_frame};
    struct media_join_side right = {next->frames, next->first_frame};
    if (rules->is_never_joined)
        return false;
    return media_join_is_exact(left, right, segment->candidate) ||
           (!is_exact_time(segment, rules) &&
            media_join_is_smooth(left, right, segment->candidate));
}

int64_t media_segment_wanted(const struct media_segment *segment, const struct media_rules *rules)
{
    const struct media_segment *next = segment->next;
    if (next == NULL)
        return segment->candidate;
    if (next->known > segment->candidate)
        return segment->candidate + (is_exact_time(segment, rules) ? 0 : 1);
    bool is_at_start = segment->candidate == media_segment_start(rules, next->number);
    return is_at_start ? segment->candidate : segment->known;
}

void media_segment_try_join(struct media_segment *segment, const struct media_rules *rules,
                            int64_t limit)
{
    const struct media_segment *next = segment->next;
    while (!segment->is_joined && segment->candidate < limit && next->known > segment->candidate &&
           segment->known >= media_segment_wanted(segment, rules)) {
        if (fits(segment, rules))
            segment->is_joined = true;
        else
            segment->candidate++;
    }
}
