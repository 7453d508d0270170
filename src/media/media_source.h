#pragma once
// A stranger's MP4, M4A or MOV as decoded audio frames: media_boxes looks first, libavformat (mov
// demuxer only, on one descriptor, unable to open anything) tells codec and settings, media_packets
// reads, and an audio decoder of a short list decodes.
//
// The samples that come out are those that a player presents: priming and padding are cut off,
// edits are obeyed, and what is not there is silence: gaps between time stamps, an empty edit in
// front, packets that are damaged. So all sound stays in its place. The frames' rate and channels
// may change midway.

#include "base/scope.h"
#include "media/media_failure.h"

#include <stdbool.h>
#include <stdint.h>

struct AVFrame;
struct media_metadata;
struct media_source;

// What is wanted of the file.
struct media_selection {
    const char *track; // number from 1 among the audio tracks, or a language; NULL: the main one
    int64_t start_ms;  // in presented time
    int64_t end_ms;    // 0: to the end
    int64_t max_duration_ms; // a longer file is refused; 0: no limit
};

// Borrows the descriptor. NULL on failure. Codes: all that blame the file, and internal.
struct media_source *media_source_open(int fd, const struct media_selection *selection,
                                       struct media_failure *why);
void media_source_close(struct media_source *source);
SCOPE_DEFINE(media_source_close, struct media_source *);

enum media_step { MEDIA_STEP_FRAME, MEDIA_STEP_END, MEDIA_STEP_FAILED };

// The next frame, borrowed until the next call. Packets that do not decode are passed over; at the
// end it FAILED when most of them did not, or when the announced length was not reached.
enum media_step media_source_next(struct media_source *source, struct AVFrame **out,
                                  struct media_failure *why);

// What the file announces; 0 when it does not say.
int64_t media_source_duration_ms(const struct media_source *source);

// What the file knows about itself, borrowed; its times are those of the selected stretch.
const struct media_metadata *media_source_metadata(const struct media_source *source);
