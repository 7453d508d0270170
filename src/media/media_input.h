#pragma once
// libavformat's mov demuxer, shut in: it reads one descriptor through our own callback, can open
// nothing else, and sees one track only. The other tracks' boxes reach it under the type `free`,
// so that a video's index is neither parsed nor held in memory. When we walk the sample table
// ourselves it sees that track's table empty: then it only tells codec and configuration. Texts,
// covers and chapters are hidden in the same way.

#include "media/media_boxes.h"

#include <libavformat/avformat.h>

struct media_input;

// NULL on failure. Codes: not_media, too_complex, internal.
struct media_input *media_input_open(int fd, const struct media_boxes *boxes,
                                     const struct media_track *track, bool is_table_hidden,
                                     struct media_failure *why);
void media_input_close(struct media_input *input);

// The stream of the track with this id; every other one is discarded. NULL: it is not there.
AVStream *media_input_stream(struct media_input *input, uint32_t track_id);

// The stream's next packet as av_read_frame gives it; the caller unrefs it.
int media_input_read(struct media_input *input, const AVStream *stream, AVPacket *out);
