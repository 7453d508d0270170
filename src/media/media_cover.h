#pragma once
// Pictures that strangers' files carry, told by their first bytes: what a file says of a picture's
// kind is often wrong.

#include "media/media_box.h"
#include "media/media_metadata.h"

// The picture at that place, if it is a JPEG or PNG of a size that we take.
bool media_cover_at(const struct media_box_reader *reader, int64_t offset, int64_t size_bytes,
                    struct media_cover *out);

// A video track of one single picture, the other way to attach a cover.
bool media_cover_of_track(const struct media_box_reader *reader, const struct media_boxes *boxes,
                          struct media_cover *out);

// False when the picture's head does not say.
bool media_cover_measure(int fd, const struct media_cover *cover, unsigned *out_width,
                         unsigned *out_height);
