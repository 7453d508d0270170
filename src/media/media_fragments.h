#pragma once
// Walks a track's samples in fragments (moof, traf, tfdt, trun), one fragment at a time and through
// a small window, as media_samples walks the sample table.

#include "base/scope.h"
#include "media/media_boxes.h"
#include "media/media_samples.h"

struct media_fragments;

// Borrows all.
struct media_fragments *media_fragments_open(int fd, const struct media_boxes *boxes,
                                             const struct media_track *track);
void media_fragments_close(struct media_fragments *fragments);
SCOPE_DEFINE(media_fragments_close, struct media_fragments *);

// Back to the first fragment. `time` is where its samples stand if the file does not say: behind
// those of the sample table.
void media_fragments_rewind(struct media_fragments *fragments, int64_t time);

// 1 a sample, 0 the end, -1 failed. Codes: truncated, not_media, too_complex, internal.
int media_fragments_next(struct media_fragments *fragments, struct media_sample *out,
                         struct media_failure *why);
