#pragma once
// Which parts of a track a player presents, and when: the edit list (elst) cuts the encoder's
// priming off the front and its padding off the end, and can do more.
//
// An empty edit is silence: players wait that long before the sound begins, and so the MP3 does
// too. An edit of speed 0 holds one picture, which is silence as well; other speeds are played as
// 1, as players do. A list that presents nothing at all is damage: then everything is presented.

#include "base/scope.h"
#include "media/media_boxes.h"

// Several edits may present the same sound again.
struct media_stretch {
    int64_t at;          // in presented time, on the movie's clock
    int64_t length;      // likewise; -1: as long as its media
    int64_t media_start; // on the media's clock
    int64_t media_end;   // INT64_MAX: to the last sample
};

struct media_presentation {
    uint32_t movie_clock; // ticks a second, never 0
    uint32_t media_clock;
    unsigned count; // at least 1
    struct media_stretch *stretches;
};

// `total` is the sum of the samples' durations, 0 if it is not known. Codes: truncated, not_media,
// internal.
bool media_presentation_read(int fd, const struct media_boxes *boxes,
                             const struct media_track *track, int64_t total,
                             struct media_presentation *out, struct media_failure *why);
void media_presentation_finish(struct media_presentation *presentation);

// iTunes wrote no edit list but a comment: " 00000000 00000840 000001CA 00000000003F31F6 ...":
// priming, padding, samples. They count the samples of the sound or, with HE-AAC, of its half-rate
// core: `rate_hz` is one of both, and the media's length says which. False, and nothing is
// changed, when the comment is not of that form or of no such length.
bool media_presentation_cut_itunes(struct media_presentation *presentation, const char *text,
                                   int rate_hz, int64_t total);

// The encoder's delay of a track that has no edit list: `samples` at `rate_hz`.
void media_presentation_cut_delay(struct media_presentation *presentation, int samples,
                                  int rate_hz);

// How long the presentation takes; 0 if it is not known.
int64_t media_presentation_ms(const struct media_presentation *presentation);
