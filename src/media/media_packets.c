#include "media/media_packets.h"

#include "base/alloc.h"
#include "base/file.h"
#include "media/media_fragments.h"

#include <libavcodec/packet.h>
#include <string.h>

enum {
    PASSED_OVER_LIMIT = 50 * 1000 * 1000, // samples, in all seeks: about two seconds
    PCM_PACKET_FRAMES = 4096,
};

struct media_packets {
    int fd;
    struct media_samples *samples;     // NULL: there is no table
    struct media_fragments *fragments; // NULL: there are none
    bool is_in_fragments;
    bool has_next;
    struct media_sample next; // taken already, not given yet
    int64_t behind;           // where the sample taken last ends in time
    int64_t passed_over;
    int pcm_frame_bytes[MEDIA_DESCRIPTIONS];
};

struct media_packets *media_packets_open(int fd, const struct media_boxes *boxes,
                                         const struct media_track *track,
                                         const int pcm_frame_bytes[MEDIA_DESCRIPTIONS])
{
    struct media_packets *packets = alloc_zeroed(1, sizeof *packets);
    packets->fd = fd;
    memcpy(packets->pcm_frame_bytes, pcm_frame_bytes, sizeof packets->pcm_frame_bytes);
    if (media_samples_can_walk(track))
        packets->samples = media_samples_open(fd, boxes, track, pcm_frame_bytes);
    if (boxes->is_fragmented)
        packets->fragments = media_fragments_open(fd, boxes, track);
    return packets;
}

void media_packets_close(struct media_packets *packets)
{
    if (packets == NULL)
        return;
    media_samples_close(packets->samples);
    media_fragments_close(packets->fragments);
    free(packets);
}

static void rewind_packets(struct media_packets *packets)
{
    if (packets->samples != NULL)
        media_samples_rewind(packets->samples);
    if (packets->fragments != NULL)
        media_fragments_rewind(packets->fragments, 0);
    packets->is_in_fragments = packets->has_next = false;
    packets->behind = 0;
}

static int walk(struct media_packets *packets, struct media_sample *out, struct media_failure *why)
{
    if (!packets->is_in_fragments && packets->samples != NULL) {
        int step = media_samples_next(packets->samples, out, why);
        if (step != 0)
            return step;
    }
    if (packets->fragments == NULL)
        return 0;
    if (!packets->is_in_fragments)
        media_fragments_rewind(packets->fragments, packets->behind);
    packets->is_in_fragments = true;
    return media_fragments_next(packets->fragments, out, why);
}

static int take(struct media_packets *packets, struct media_sample *out, struct media_failure *why)
{
    if (packets->has_next) {
        *out = packets->next;
        packets->has_next = false;
        return 1;
    }
    int step = walk(packets, out, why);
    if (step > 0)
        packets->behind = out->time + out->duration;
    return step;
}

static void put_back(struct media_packets *packets, const struct media_sample *sample)
{
    packets->next = *sample;
    packets->has_next = true;
}

bool media_packets_seek(struct media_packets *packets, int64_t time, struct media_failure *why)
{
    if (packets->behind > time)
        rewind_packets(packets);
    for (;;) {
        struct media_sample sample;
        int step = take(packets, &sample, why);
        if (step < 0)
            return false;
        if (step == 0)
            return true;
        if (sample.time + sample.duration > time) {
            put_back(packets, &sample);
            return true;
        }
        if (packets->passed_over++ == PASSED_OVER_LIMIT)
            return media_fail(why, "too_complex", NULL);
    }
}

static int pcm_frame_bytes(const struct media_packets *packets, const struct media_sample *sample)
{
    return sample->description < MEDIA_DESCRIPTIONS ? packets->pcm_frame_bytes[sample->description]
                                                    : 0;
}

// In fragments each PCM frame may be a sample: those that follow each other make one packet.
static bool join_pcm(struct media_packets *packets, struct media_sample *sample,
                     struct media_failure *why)
{
    int64_t limit = (int64_t)PCM_PACKET_FRAMES * pcm_frame_bytes(packets, sample);
    while (sample->size_bytes < limit) {
        struct media_sample next;
        int step = take(packets, &next, why);
        if (step <= 0)
            return step == 0;
        if (next.offset != sample->offset + sample->size_bytes ||
            next.time != sample->time + sample->duration ||
            next.description != sample->description ||
            sample->size_bytes + next.size_bytes > limit) {
            put_back(packets, &next);
            return true;
        }
        sample->size_bytes += next.size_bytes;
        sample->duration += next.duration;
    }
    return true;
}

static int fail(struct media_failure *why, const char *code)
{
    media_fail(why, code, NULL);
    return -1;
}

int media_packets_next(struct media_packets *packets, AVPacket *out,
                       struct media_packet_facts *out_facts, struct media_failure *why)
{
    struct media_sample sample;
    int step = take(packets, &sample, why);
    if (step <= 0)
        return step;
    if (pcm_frame_bytes(packets, &sample) > 0 && !join_pcm(packets, &sample, why))
        return -1;
    struct media_sample behind;
    step = take(packets, &behind, why);
    if (step < 0)
        return -1;
    if (step > 0)
        put_back(packets, &behind);
    *out_facts =
        (struct media_packet_facts){.description = sample.description, .is_last = step == 0};
    // A packet is as large as the file says.
    if (sample.size_bytes > MEDIA_PACKET_BYTES || av_new_packet(out, (int)sample.size_bytes) < 0)
        return fail(why, "too_complex");
    out->pts = out->dts = sample.time;
    out->duration = sample.duration;
    struct error err;
    ssize_t got = file_read_at(packets->fd, out->data, (size_t)out->size, sample.offset, &err);
    if (got == out->size)
        return 1;
    av_packet_unref(out);
    if (got >= 0)
        return fail(why, "truncated");
    media_fail(why, "internal", "%s", err.text);
    return -1;
}
