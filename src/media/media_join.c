#include "media/media_join.h"

#include "media/media_layout.h"

static const struct media_frame *at(struct media_join_side side, int64_t frame)
{
    return media_frames_at(side.frames, frame - side.first);
}

// The right side's frames then find the room that their encoder counted on, this one and all that
// follow.
static bool has_room(struct media_join_side left, struct media_join_side right, int64_t frame)
{
    return media_layout_left_by(at(left, frame - 1)) >= at(right, frame)->main_data_begin;
}

bool media_join_is_exact(struct media_join_side left, struct media_join_side right, int64_t frame)
{
    if (!has_room(left, right, frame))
        return false;
    for (int64_t i = frame - MEDIA_JOIN_SAME_FRAMES; i < frame; i++)
        if (!media_frame_is_same(at(left, i), at(right, i)))
            return false;
    return true;
}

bool media_join_is_smooth(struct media_join_side left, struct media_join_side right, int64_t frame)
{
    return has_room(left, right, frame) &&
           media_frame_has_same_blocks(at(left, frame - 1), at(right, frame - 1)) &&
           media_frame_has_same_blocks(at(left, frame), at(right, frame));
}
