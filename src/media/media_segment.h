#pragma once
// A segment of the file on its way through one encoder. The encoder starts a lead-in earlier than
// the first frame that is used of it, and goes on past the segment's end until its frames can be
// joined to those of the next one (media_join.h). Where they never can, it goes on through the
// whole next segment, which is then thrown away, and tries the one behind it.

#include "media/media_join.h"
#include "media/media_lame.h"
#include "media/media_pcm.h"

#include <stdbool.h>
#include <stdint.h>

// A function of nothing: the same for every file, whatever the number of threads.
struct media_rules {
    // Encoders start at multiples of it. A multiple of 49, after which the padding of a constant
    // bit rate repeats at 44.1 kHz and its halves: the joined stream's is then the serial one's.
    int segment_frames;
    // LAME's adaptation to loudness takes about so many frames.
    int lead_in_frames;
    // For so many frames only an exact join is taken, then also a smooth one.
    int exact_frames;
    bool is_never_joined; // for tests
};

extern const struct media_rules media_rules_usual;

struct media_segment {
    struct media_segment *next; // the one behind it in the file, NULL where none has begun
    int64_t number;
    int64_t first_frame; // the encoder's first
    int64_t from;        // written, or another segment's: the frames before this one
    int64_t candidate;   // whether this frame is the join has to be found out next
    bool is_joined;      // `candidate` is: from there on the frames of `next` are used
    bool is_flushed;     // all frames up to the file's end are there
    int64_t known;       // frames are there up to this one
    int64_t position;    // the sample that is encoded next

    bool is_busy; // one thread works on it: only that one may use what is below
    struct media_lame *lame;
    struct media_frames *frames;
};

struct media_segment *media_segment_create(const struct media_rules *rules, int64_t number,
                                           int frame_samples, size_t frame_limit);
void media_segment_destroy(struct media_segment *segment);

// The first frame of a segment: where joins to it begin to be tried.
int64_t media_segment_start(const struct media_rules *rules, int64_t number);

// Encodes the samples from its position up to `end`; with `is_end` the file ends there.
bool media_segment_encode(struct media_segment *segment, const struct media_pcm *pcm, int64_t end,
                          bool is_end, struct media_failure *why);

// Tries its candidates before frame `limit`, as far as its own and the next one's frames are there.
void media_segment_try_join(struct media_segment *segment, const struct media_rules *rules,
                            int64_t limit);

// Up to which frame it has to encode for the next decision. Never more than it has while the next
// segment's encoder must come first.
int64_t media_segment_wanted(const struct media_segment *segment, const struct media_rules *rules);
