#pragma once
// One LAME encoder's output, split into frames whose own main data is gathered out of the bit
// reservoir. A frame is then complete in itself and can be laid into another stream
// (media_layout.h). Frames are numbered from 0 as the encoder made them; dropped ones keep their
// number. What LAME gives is checked like a stranger's file: a failure is `internal`.

#include "base/scope.h"
#include "media/media_failure.h"
#include "mp3/mp3_side_info.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct media_frame {
    uint16_t main_data_begin; // reservoir bytes that the encoder counted on
    uint16_t main_size;       // bytes of main data; the bits behind the last one are 0
    unsigned char overhead_size;
    unsigned char parts;
    unsigned char blocks[MP3_PARTS]; // enum mp3_block of each granule and channel
    unsigned char bytes[];           // header, side information, main data
};

struct media_frames;

// Holds at most `limit` frames at a time; more is a failure. Memory: what the held frames take as
// MP3, and about 30 bytes for each.
struct media_frames *media_frames_create(size_t limit);
void media_frames_destroy(struct media_frames *frames);
SCOPE_DEFINE(media_frames_destroy, struct media_frames *);

// Takes LAME's bytes in pieces of any size. Frames that are complete with them can be read at once.
bool media_frames_add(struct media_frames *frames, const unsigned char *bytes, size_t size,
                      struct media_failure *why);

// When the encoder has been flushed: a frame that is not complete is a failure.
bool media_frames_finish(struct media_frames *frames, struct media_failure *why);

// The held frames are those from `first` up to and without `next`.
int64_t media_frames_first(const struct media_frames *frames);
int64_t media_frames_next(const struct media_frames *frames);

// Borrowed until it is dropped; `index` must be that of a held frame.
const struct media_frame *media_frames_at(const struct media_frames *frames, int64_t index);

// Frees the frames before `index`, as far as they have come.
void media_frames_drop(struct media_frames *frames, int64_t index);

// Are both the same sound, wherever their main data lies and whatever bit rate made room for it?
bool media_frame_is_same(const struct media_frame *a, const struct media_frame *b);

// Do both have the same block types in every granule and channel?
bool media_frame_has_same_blocks(const struct media_frame *a, const struct media_frame *b);
