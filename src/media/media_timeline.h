#pragma once
// Where decoded sound stands in what a player presents, counted in samples: what of a frame is
// heard, and how much silence stands before it. It holds no sound.
//
// Decoded frames follow each other by their own length, not by their time stamps, which many
// programs write in milliseconds. A stamp that jumps forward is a gap: silence, so that all behind
// it stays in place. A stamp that jumps back a little is passed over; from JUMPED_BACK_MS on the
// sound that was there already is left out.

#include "media/media_edits.h"

struct media_timeline {
    const struct media_presentation *presentation;
    uint32_t clock;       // of the packets' times
    int64_t start_ms;     // what is wanted of presented time
    int64_t end_ms;       // 0: to the end
    int64_t announced_ms; // 0: not said; gaps beyond it are damage, not silence
    int64_t media_stop;   // on the packets' clock; INT64_MAX: not known
    int rate_hz;          // 0: no frame was seen yet
    unsigned stretch;
    int64_t first, end; // start_ms and end_ms in samples
    int64_t given;      // presented time up to here is done
    // Of the current stretch, in samples of its media:
    int64_t media_first, media_end;
    int64_t shift;      // from media to presented time
    int64_t expected;   // where the next frame begins by the stamps; INT64_MIN: any place
    int64_t drift;      // how far counted samples are ahead of the stamps: rounding
    int64_t ahead;      // likewise: stamps that jumped back
    int64_t lost_until; // where the packets end behind the last frame; INT64_MIN: there are none
};

// What a frame gives: first so much silence, then `count` of its samples behind the first `skip`.
struct media_piece {
    int64_t silence;
    int skip;
    int count;
};

void media_timeline_init(struct media_timeline *timeline,
                         const struct media_presentation *presentation, uint32_t clock);

// Must be told before the first frame, and whenever the frames' rate changes.
void media_timeline_set_rate(struct media_timeline *timeline, int rate_hz);

// The first wanted stretch from `index` on becomes the current one; false: there is none.
bool media_timeline_enter(struct media_timeline *timeline, unsigned index);

// Where the current stretch begins to be heard, on the packets' clock; may be a little early.
int64_t media_timeline_entry(const struct media_timeline *timeline);

// Places a frame; `time` is INT64_MIN when the frame has none: then it follows the one before.
struct media_piece media_timeline_place(struct media_timeline *timeline, int64_t time, int samples);

// The media ends here, whatever more the decoder gives.
void media_timeline_end_at(struct media_timeline *timeline, int64_t time);

// A packet of this time and length is lost unless a frame comes behind it.
void media_timeline_lose(struct media_timeline *timeline, int64_t time, int samples);

// Whether a packet of this time is behind all that is heard of the current stretch.
bool media_timeline_is_behind(const struct media_timeline *timeline, int64_t time);

// At the end: the silence that stands for packets that failed last.
int64_t media_timeline_rest(struct media_timeline *timeline);
