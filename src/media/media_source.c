#include "media/media_source.h"

#include "base/alloc.h"
#include "base/file.h"
#include "media/media_boxes.h"
#include "media/media_codecs.h"
#include "media/media_edits.h"
#include "media/media_input.h"
#include "media/media_metadata.h"
#include "media/media_samples.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>

static const int64_t LONGEST_MS = INT64_MAX / 4;

struct media_source {
    struct media_boxes boxes;
    struct media_metadata metadata;
    const struct media_track *track;
    struct media_input *input;
    int fd;
    struct media_samples *samples; // NULL: libavformat reads the packets
    struct media_presentation presented;
    int64_t position; // of the next frame, in samples of its own rate
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

// A header may announce any number: what is beyond all sense is a very long time.
static int64_t to_ms(uint64_t duration, uint32_t timescale)
{
    double ms = (double)duration * 1000 / timescale;
    return ms < (double)LONGEST_MS ? (int64_t)ms : LONGEST_MS;
}

static int64_t duration_of_track_ms(const struct media_boxes *boxes,
                                    const struct media_track *track)
{
    // The longer of the two clocks would count a video that goes on after its sound.
    if (track->timescale > 0 && track->duration > 0)
        return to_ms(track->duration, track->timescale);
    if (boxes->is_fragmented && boxes->timescale > 0)
        return to_ms(boxes->duration, boxes->timescale);
    return 0;
}

static bool look_at_boxes(struct media_source *source, const struct media_selection *selection,
                          struct media_failure *why)
{
    if (!media_boxes_read(source->fd, &source->boxes, why))
        return false;
    source->track = media_boxes_choose_audio(&source->boxes, selection->track, why);
    if (source->track == NULL)
        return false;
    int64_t longest_ms = selection->max_duration_ms;
    if (longest_ms > 0 && media_source_duration_ms(source) > longest_ms)
        return media_fail(why, "too_long", NULL);
    media_metadata_read(source->fd, &source->boxes, &source->metadata);
    media_metadata_cut(&source->metadata, selection->start_ms, selection->end_ms);
    return media_boxes_check_offsets(source->fd, &source->boxes, source->track, why);
}

// Our own walk keeps the track's clock, which is the stream's too.
static AVRational time_base(const struct media_source *source)
{
    if (source->samples != NULL)
        return (AVRational){1, (int)source->track->timescale};
    return source->stream->time_base;
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
    source->decoder->pkt_timebase = time_base(source);
    if (avcodec_open2(source->decoder, codec, NULL) < 0)
        return media_fail(why, "unsupported_codec", NULL);
    return true;
}

// What is presented, when there is no edit list but iTunes' comment.
static void apply_itunes_comment(struct media_source *source)
{
    const char *comment = source->metadata.itunes_priming;
    bool counts_samples = (int)source->track->timescale == source->stream->codecpar->sample_rate;
    if (source->track->edits.count == 0 && comment != NULL && counts_samples)
        media_edits_parse_itunes(comment, &source->presented);
}

static int pcm_frame_bytes(const AVCodecParameters *parameters)
{
    return av_get_bits_per_sample(parameters->codec_id) / 8 * parameters->ch_layout.nb_channels;
}

static bool open_input(struct media_source *source, bool is_walkable, struct media_failure *why)
{
    source->input = media_input_open(source->fd, &source->boxes, source->track, is_walkable, why);
    if (source->input == NULL)
        return false;
    source->stream = media_input_stream(source->input, source->track->id);
    if (source->stream == NULL)
        return media_fail(why, "no_audio", NULL);
    if (!is_walkable)
        return true;
    source->samples = media_samples_open(source->fd, &source->boxes, source->track,
                                         pcm_frame_bytes(source->stream->codecpar));
    apply_itunes_comment(source);
    return true;
}

// Plain files are walked by us, in little memory and to the exact sample; libavformat reads those
// in fragments or with several stretches, and cuts them by itself.
static bool choose_reader(struct media_source *source, bool *out_is_walkable,
                          struct media_failure *why)
{
    source->presented = (struct media_presentation){.start = INT64_MIN, .end = INT64_MAX};
    *out_is_walkable = false;
    if (!media_samples_can_walk(&source->boxes, source->track))
        return true;
    int64_t total;
    if (!media_samples_total(source->fd, source->track, &total, why))
        return false;
    struct media_presentation presented;
    enum media_edits edits =
        media_edits_read(source->fd, &source->boxes, source->track, total, &presented, why);
    *out_is_walkable = edits == MEDIA_EDITS_SIMPLE;
    if (*out_is_walkable)
        source->presented = presented;
    return edits != MEDIA_EDITS_FAILED;
}

struct media_source *media_source_open(int fd, const struct media_selection *selection,
                                       struct media_failure *why)
{
    SCOPED(media_source_close) struct media_source *source = alloc_zeroed(1, sizeof *source);
    source->fd = fd;
    bool is_walkable;
    if (!look_at_boxes(source, selection, why) || !choose_reader(source, &is_walkable, why) ||
        !open_input(source, is_walkable, why) || !open_decoder(source, why))
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
    media_samples_close(source->samples);
    media_input_close(source->input);
    media_metadata_finish(&source->metadata);
    free(source);
}

static void note_end(struct media_source *source, const AVPacket *packet)
{
    if (packet->pts == AV_NOPTS_VALUE || packet->pts > INT64_MAX - packet->duration)
        return;
    int64_t end_ms =
        av_rescale_q(packet->pts + packet->duration, time_base(source), (AVRational){1, 1000});
    if (end_ms > source->end_ms)
        source->end_ms = end_ms;
}

// The walk's next sample as a packet: as av_read_frame, AVERROR_EXIT when `why` is set.
static int read_sample(struct media_source *source, struct media_failure *why)
{
    struct media_sample sample;
    int step = media_samples_next(source->samples, &sample, why);
    if (step <= 0)
        return step == 0 ? AVERROR_EOF : AVERROR_EXIT;
    if (sample.size_bytes > MEDIA_PACKET_BYTES) {
        media_fail(why, "too_complex", NULL);
        return AVERROR_EXIT;
    }
    AVPacket *packet = source->packet;
    if (av_new_packet(packet, (int)sample.size_bytes) < 0)
        return AVERROR(ENOMEM);
    packet->pts = packet->dts = sample.time;
    packet->duration = sample.duration;
    struct error err;
    ssize_t got = file_read_at(source->fd, packet->data, (size_t)packet->size, sample.offset, &err);
    if (got == packet->size)
        return 0;
    av_packet_unref(packet);
    media_fail(why, got < 0 ? "internal" : "truncated", got < 0 ? "%s" : NULL, err.text);
    return AVERROR_EXIT;
}

static int read_packet(struct media_source *source, struct media_failure *why)
{
    if (source->samples != NULL)
        return read_sample(source, why);
    return media_input_read(source->input, source->stream, source->packet);
}

// Hands one packet to the decoder, or tells it that there are no more.
static bool feed(struct media_source *source, struct media_failure *why)
{
    int result = read_packet(source, why);
    if (result == AVERROR_EXIT)
        return false;
    // A packet is as large as the file says.
    if (result == AVERROR(ENOMEM))
        return media_fail(why, "too_complex", NULL);
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

// Ends more than a second and 2 % before its announced end. Only for what libavformat reads: our
// own walk has seen every sample in its place, and a wrong length in a header harms nothing. The
// movie's length says nothing about the track either: a picture may outlast its sound.
static bool is_cut(const struct media_source *source)
{
    if (source->samples != NULL || source->track->duration == 0)
        return false;
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
    return frame->nb_samples >= 0 && frame->nb_samples <= MEDIA_FRAME_SAMPLES &&
           frame->ch_layout.nb_channels > 0 && frame->ch_layout.nb_channels <= MEDIA_CHANNELS &&
           frame->sample_rate >= MEDIA_LOWEST_RATE_HZ &&
           frame->sample_rate <= MEDIA_HIGHEST_RATE_HZ;
}

// Cuts the frame down to what is presented of it; the frame's samples may become none.
static void cut_to_presented(struct media_source *source, AVFrame *frame)
{
    const AVRational rate = {1, frame->sample_rate};
    if (frame->pts != AV_NOPTS_VALUE)
        source->position = av_rescale_q(frame->pts, time_base(source), rate);
    int64_t first = source->position;
    source->position += frame->nb_samples;
    int64_t start = av_rescale_q(source->presented.start, time_base(source), rate);
    int64_t skip = start > first ? start - first : 0;
    if (source->presented.end != INT64_MAX) {
        int64_t end = av_rescale_q(source->presented.end, time_base(source), rate);
        int64_t kept = end > first ? end - first : 0;
        if (kept < frame->nb_samples)
            frame->nb_samples = (int)kept;
    }
    if (skip >= frame->nb_samples) {
        frame->nb_samples = 0;
        return;
    }
    int bytes = av_get_bytes_per_sample((enum AVSampleFormat)frame->format);
    bool is_planar = av_sample_fmt_is_planar((enum AVSampleFormat)frame->format) != 0;
    int planes = is_planar ? frame->ch_layout.nb_channels : 1;
    int64_t offset = skip * bytes * (is_planar ? 1 : frame->ch_layout.nb_channels);
    for (int i = 0; i < planes; i++)
        frame->data[i] += offset;
    frame->nb_samples -= (int)skip;
}

// 1 a frame with samples, 0 not yet, -1 failed.
static int take_frame(struct media_source *source, struct media_failure *why)
{
    AVFrame *frame = source->frame;
    av_frame_unref(frame);
    int result = avcodec_receive_frame(source->decoder, frame);
    if (result == AVERROR(ENOMEM)) {
        media_fail(why, "internal", "There is not enough memory.");
        return -1;
    }
    if (result < 0) {
        source->failed_packets += result != AVERROR(EAGAIN) && result != AVERROR_EOF ? 1 : 0;
        return 0;
    }
    if (!is_sane(frame)) {
        media_fail(why, "unsupported_codec", NULL);
        return -1;
    }
    source->frames++;
    if (source->samples != NULL)
        cut_to_presented(source, frame);
    return 1;
}

enum media_step media_source_next(struct media_source *source, AVFrame **out,
                                  struct media_failure *why)
{
    for (;;) {
        int taken = take_frame(source, why);
        if (taken < 0)
            return MEDIA_STEP_FAILED;
        if (taken > 0 && source->frame->nb_samples == 0)
            continue;
        if (taken > 0) {
            *out = source->frame;
            return MEDIA_STEP_FRAME;
        }
        if (source->is_drained)
            return judge_end(source, why);
        if (!feed(source, why))
            return MEDIA_STEP_FAILED;
    }
}

int64_t media_source_duration_ms(const struct media_source *source)
{
    return duration_of_track_ms(&source->boxes, source->track);
}

const struct media_metadata *media_source_metadata(const struct media_source *source)
{
    return &source->metadata;
}
