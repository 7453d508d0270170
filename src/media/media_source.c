#include "media/media_source.h"

#include "base/alloc.h"
#include "base/file.h"
#include "media/media_boxes.h"
#include "media/media_codecs.h"
#include "media/media_input.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
#include <stdio.h>

struct media_source {
    struct media_boxes boxes;
    const struct media_track *track;
    struct media_input *input;
    AVStream *stream;
    AVCodecContext *decoder;
    AVPacket *packet;
    AVFrame *frame;
    bool is_drained;
    int64_t packets;
    int64_t failed_packets;
    int64_t frames;
    int64_t end_ms; // where the demuxed audio ends on the stream's own clock
};

static int64_t duration_of_track_ms(const struct media_boxes *boxes,
                                    const struct media_track *track)
{
    // The longer of the two clocks would count a video that goes on after its sound.
    if (track->timescale > 0 && track->duration > 0)
        return (int64_t)((double)track->duration * 1000 / track->timescale);
    if (boxes->is_fragmented && boxes->timescale > 0)
        return (int64_t)((double)boxes->duration * 1000 / boxes->timescale);
    return 0;
}

static bool look_at_boxes(struct media_source *source, int fd, int64_t max_duration_ms,
                          struct media_failure *why)
{
    if (!media_boxes_read(fd, &source->boxes, why))
        return false;
    source->track = media_boxes_choose_audio(&source->boxes, why);
    if (source->track == NULL)
        return false;
    if (max_duration_ms > 0 && media_source_duration_ms(source) > max_duration_ms)
        return media_fail(why, "too_long", NULL);
    return media_boxes_check_offsets(fd, &source->boxes, source->track, why);
}

static bool open_decoder(struct media_source *source, struct media_failure *why)
{
    const AVCodec *codec = media_codec_find(source->stream->codecpar->codec_id);
    if (codec == NULL)
        return media_fail(why, "unsupported_codec", NULL);
    source->decoder = avcodec_alloc_context3(codec);
    source->packet = av_packet_alloc();
    source->frame = av_frame_alloc();
    if (source->decoder == NULL || source->packet == NULL || source->frame == NULL)
        return media_fail(why, "internal", "There is not enough memory.");
    if (avcodec_parameters_to_context(source->decoder, source->stream->codecpar) < 0)
        return media_fail(why, "unsupported_codec", NULL);
    source->decoder->thread_count = 1;
    source->decoder->pkt_timebase = source->stream->time_base;
    if (avcodec_open2(source->decoder, codec, NULL) < 0)
        return media_fail(why, "unsupported_codec", NULL);
    return true;
}

struct media_source *media_source_open(int fd, int64_t max_duration_ms, struct media_failure *why)
{
    SCOPED(media_source_close) struct media_source *source = alloc_zeroed(1, sizeof *source);
    if (!look_at_boxes(source, fd, max_duration_ms, why))
        return NULL;
    source->input = media_input_open(fd, &source->boxes, source->track, why);
    if (source->input == NULL)
        return NULL;
    source->stream = media_input_stream(source->input, source->track->id);
    if (source->stream == NULL) {
        media_fail(why, "no_audio", NULL);
        return NULL;
    }
    if (!open_decoder(source, why))
        return NULL;
    return TAKE(source);
}

void media_source_close(struct media_source *source)
{
    if (source == NULL)
        return;
    av_frame_free(&source->frame);
    av_packet_free(&source->packet);
    avcodec_free_context(&source->decoder);
    media_input_close(source->input);
    free(source);
}

static void note_end(struct media_source *source, const AVPacket *packet)
{
    if (packet->pts == AV_NOPTS_VALUE)
        return;
    int64_t end_ms = av_rescale_q(packet->pts + packet->duration, source->stream->time_base,
                                  (AVRational){1, 1000});
    if (end_ms > source->end_ms)
        source->end_ms = end_ms;
}

// Hands one packet to the decoder, or tells it that there are no more.
static bool feed(struct media_source *source, struct media_failure *why)
{
    int result = media_input_read(source->input, source->stream, source->packet);
    if (result == AVERROR(ENOMEM))
        return media_fail(why, "internal", "There is not enough memory.");
    if (result < 0) {
        source->is_drained = true;
        avcodec_send_packet(source->decoder, NULL);
        return true;
    }
    note_end(source, source->packet);
    source->packets++;
    bool is_whole = source->packet->size <= MEDIA_PACKET_BYTES;
    result = is_whole ? avcodec_send_packet(source->decoder, source->packet) : AVERROR_INVALIDDATA;
    av_packet_unref(source->packet);
    if (result == AVERROR(ENOMEM))
        return media_fail(why, "internal", "There is not enough memory.");
    if (result < 0)
        source->failed_packets++;
    return true;
}

// A file that was cut ends before its announced end: more than a second and 2 % of it.
static bool is_cut(const struct media_source *source)
{
    int64_t announced_ms = media_source_duration_ms(source);
    int64_t missing_ms = announced_ms - source->end_ms;
    return missing_ms > 1000 && missing_ms > announced_ms / 50;
}

static enum media_step judge_end(const struct media_source *source, struct media_failure *why)
{
    if (is_cut(source))
        media_fail(why, "truncated", NULL);
    else if (source->packets == 0)
        media_fail(why, "no_audio", "The audio track of this file is empty.");
    else if (source->frames == 0 || source->failed_packets > source->packets / 2)
        media_fail(why, "unsupported_codec", "The audio in this file could not be decoded.");
    else
        return MEDIA_STEP_END;
    return MEDIA_STEP_FAILED;
}

static bool is_sane(const AVFrame *frame)
{
    return frame->nb_samples > 0 && frame->nb_samples <= MEDIA_FRAME_SAMPLES &&
           frame->ch_layout.nb_channels > 0 && frame->ch_layout.nb_channels <= MEDIA_CHANNELS &&
           frame->sample_rate >= MEDIA_LOWEST_RATE_HZ &&
           frame->sample_rate <= MEDIA_HIGHEST_RATE_HZ;
}

enum media_step media_source_next(struct media_source *source, AVFrame **out,
                                  struct media_failure *why)
{
    for (;;) {
        av_frame_unref(source->frame);
        int result = avcodec_receive_frame(source->decoder, source->frame);
        if (result >= 0 && source->frame->nb_samples == 0)
            continue;
        if (result >= 0) {
            if (!is_sane(source->frame)) {
                media_fail(why, "unsupported_codec", NULL);
                return MEDIA_STEP_FAILED;
            }
            source->frames++;
            *out = source->frame;
            return MEDIA_STEP_FRAME;
        }
        if (result == AVERROR(ENOMEM)) {
            media_fail(why, "internal", "There is not enough memory.");
            return MEDIA_STEP_FAILED;
        }
        if (source->is_drained)
            return judge_end(source, why);
        if (result != AVERROR(EAGAIN))
            source->failed_packets++;
        if (!feed(source, why))
            return MEDIA_STEP_FAILED;
    }
}

int64_t media_source_duration_ms(const struct media_source *source)
{
    return duration_of_track_ms(&source->boxes, source->track);
}

const AVDictionary *media_source_tags(const struct media_source *source)
{
    return media_input_tags(source->input);
}
