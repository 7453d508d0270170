#pragma once
// At which frame one encoder's frames can be followed by another's: the left one's up to there,
// the right one's, which began to encode a little earlier in the file, from there on. The rule
// looks at the frames only, so a file's joins do not depend on who encoded when.

#include "media/media_frames.h"

#include <stdbool.h>
#include <stdint.h>

enum { MEDIA_JOIN_SAME_FRAMES = 8 };

// Frames by their number in the file.
struct media_join_side {
    const struct media_frames *frames;
    int64_t first; // the number of the encoder's first one
};

// The frames before `frame` are the same sound in both, MEDIA_JOIN_SAME_FRAMES of them: what a
// decoder makes of the joined stream is what one encoder would have made of all of it. Needs the
// left side's frames before `frame` and the right one's up to it.
//
// Two would do for the decoder, whose memory reaches no further back. The others show that the
// encoder's own, longer memory is the same.
bool media_join_is_exact(struct media_join_side left, struct media_join_side right, int64_t frame);

// Both chose the same blocks in this frame and the one before, so that their windows go together
// and the decoder hears no seam. Needs both sides' frames up to `frame`.
bool media_join_is_smooth(struct media_join_side left, struct media_join_side right, int64_t frame);
