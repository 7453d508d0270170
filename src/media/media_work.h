#pragma once
// A conversion as a task of media_guard.h: what the converter's child and the command for people
// have in common. Source, MP3 and progress are on the descriptors of media_confine.h.

#include "media/media_guard.h"
#include "protocol/choices.h"

#include <stdint.h>

struct media_encoder;

struct media_work {
    const struct choices *choices; // checked
    const char *title;             // for a file without one of its own; may be NULL
    int64_t max_duration_ms;       // 0: no limit
    int threads;                   // that encode
    struct media_encoder *encoder; // its own: NULL at first
};

// Borrows `work` as the task's context.
struct media_task media_work_task(struct media_work *work);
