#pragma once
// Chapters: QuickTime's text track, which another track names as its chapters, and Nero's `chpl`.

#include "media/media_box.h"
#include "media/media_metadata.h"

// The text track's where there is one that can be read, else chpl's.
void media_chapters_read(struct media_box_reader *reader, const struct media_boxes *boxes,
                         struct media_metadata *out);
