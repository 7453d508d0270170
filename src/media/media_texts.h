#pragma once
// The texts in a file's index, in each of the four ways that programs write them: iTunes' `ilst`,
// `keys` beside an `ilst` (QuickTime and Android), QuickTime's `udta`, and 3GPP's. The covers of
// the first two come along.

#include "media/media_box.h"
#include "media/media_metadata.h"

// Reads the children of moov. Of several texts for the same thing the one from the way that is
// named first above is kept.
void media_texts_read(struct media_box_reader *reader, int64_t start, int64_t end,
                      struct media_metadata *out);
