#pragma once
// What one track of sound is like, as far as its first sounds tell. A fact that is not known is 0,
// NULL or "".

#include "media/media_boxes.h"

#include <stdbool.h>
#include <stdint.h>

struct media_track_facts {
    const char *codec; // as people know it: "HE-AAC"; NULL: see the format
    const char *profile;
    int channels;
    char layout[64]; // "stereo", "5.1"
    int rate_hz;
    int64_t duration_ms;
    int64_t bit_rate; // the average
    bool is_convertible;
    struct media_failure why; // when it is not
};

// A header may announce any number: what is beyond all sense is 0, not known.
int64_t media_probe_ms(uint64_t ticks, uint32_t timescale);

// `number` counts the audio tracks from 1. Without `may_listen` only what the index says of its
// length is told, and it counts as too complex.
void media_probe_track(int fd, const struct media_boxes *boxes, const struct media_track *track,
                       unsigned number, bool may_listen, struct media_track_facts *out);
