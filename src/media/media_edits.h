#pragma once
// Which part of a track a player presents: the edit list (elst) cuts the encoder's priming off the
// front and its padding off the end.

#include "media/media_boxes.h"

struct media_presentation {
    int64_t start; // in the track's timescale
    int64_t end;   // INT64_MAX: to the last sample
};

enum media_edits { MEDIA_EDITS_SIMPLE, MEDIA_EDITS_COMPLEX, MEDIA_EDITS_FAILED };

// SIMPLE: one stretch at normal speed, whatever silence stands in front of it; `total` is the sum
// of the samples' durations. COMPLEX: several stretches, left to libavformat.
enum media_edits media_edits_read(int fd, const struct media_boxes *boxes,
                                  const struct media_track *track, int64_t total,
                                  struct media_presentation *out, struct media_failure *why);

// iTunes wrote no edit list but a comment: " 00000000 00000840 000001CA 00000000003F31F6 ...":
// priming, padding, samples. False when it is not of that form.
bool media_edits_parse_itunes(const char *text, struct media_presentation *out);
