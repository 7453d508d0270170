#pragma once
// libavformat's mov demuxer, shut in: it reads one descriptor through our own callback, can open
// nothing else, and sees one track only. The other tracks' boxes reach it under the type `free`,
// so that a video's index is neither parsed nor held in memory. It sees the track's own tables
// empty: media_packets reads the samples, here are only codec and configuration. Texts, covers and
// chapters are hidden in the same way. Its file ends with the index: a fragment can cost it seconds
// (a track number of 2^31 or more makes it count up to it).

#include "base/scope.h"
#include "media/media_boxes.h"

#include <libavformat/avformat.h>

struct media_input;

// With the track's sample entry `description`, from 0. NULL on failure. Codes: not_media,
// too_complex, internal.
struct media_input *media_input_open(int fd, const struct media_boxes *boxes,
                                     const struct media_track *track, unsigned description,
                                     struct media_failure *why);
void media_input_close(struct media_input *input);
SCOPE_DEFINE(media_input_close, struct media_input *);

// The stream of the track with this id; every other one is discarded. NULL: it is not there.
AVStream *media_input_stream(struct media_input *input, uint32_t track_id);
