#pragma once
// A track's packets in order, of its sample table and then of its fragments, read from the file.

#include "base/scope.h"
#include "media/media_boxes.h"
#include "media/media_samples.h"

struct AVPacket;
struct media_packets;

// Borrows all. `pcm_frame_bytes` as for media_samples_open.
struct media_packets *media_packets_open(int fd, const struct media_boxes *boxes,
                                         const struct media_track *track,
                                         const int pcm_frame_bytes[MEDIA_DESCRIPTIONS]);
void media_packets_close(struct media_packets *packets);
SCOPE_DEFINE(media_packets_close, struct media_packets *);

// The next packet is the one that sounds at this time, or the first behind it; nothing in between
// is read. Codes: as media_packets_next, and too_complex when the file asks for it too often.
bool media_packets_seek(struct media_packets *packets, int64_t time, struct media_failure *why);

struct media_packet_facts {
    uint32_t description; // sample entry, from 0
    bool is_last;
};

// 1 a packet, 0 the end, -1 failed. The time is in the track's timescale; `out` owns its data, and
// has none when the sample is empty. Codes: truncated, not_media, too_complex, internal.
int media_packets_next(struct media_packets *packets, struct AVPacket *out,
                       struct media_packet_facts *out_facts, struct media_failure *why);
