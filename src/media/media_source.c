#include "media/media_source.h"

#include "base/alloc.h"
#include "base/file.h"
#include "media/media_boxes.h"
#include "media/media_decoder.h"
#include "media/media_edits.h"
#include "media/media_input.h"
#include "media/media_metadata.h"
#include "media/media_packets.h"
#include "media/media_samples.h"
#include "media/media_timeline.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
#include <libavutil/samplefmt.h>

static const int64_t LONGEST_MS = INT64_MAX / 4;

enum { SILENCE_SAMPLES = 4096 };

struct media_source {
    int fd;
    struct media_selection selection;
    struct media_boxes boxes;
    struct media_metadata metadata;
    struct media_track *track;
    struct media_input *input;
    AVStream *stream;
    struct media_decoder *decoder;
    struct media_packets *packets_read;
    struct media_presentation presentation;
    struct media_timeline timeline;
    AVPacket *packet;
    AVFrame *frame;
    AVFrame *silence;       // shaped as the last frame
    int64_t silent_samples; // to be given before the frame
    bool has_frame;         // taken, not given yet
    bool is_drained;
    int frame_samples; // of the frame before
    int64_t packets;
    int64_t failed_packets;
    int64_t frames;
    double sent_seconds; // as the packets say
    double decoded_seconds;
    int64_t end_ms; // where the packets end on their own clock
};

// A header may announce any number: what is beyond all sense is a very long time.
static int64_t to_ms(uint64_t duration, uint32_t timescale)
{
    double ms = timescale > 0 ? (double)duration * 1000 / timescale : 0;
    return ms < (double)LONGEST_MS ? (int64_t)ms : LONGEST_MS;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

// A file that goes on in fragments behind its sample table: its headers speak of the table only.
static bool is_continued(const struct media_source *source)
{
    return source->boxes.is_fragmented && source->track->sizes.count > 0;
}

// How long the headers say that the file is; 0 if they do not.
static int64_t announced_ms(const struct media_source *source)
{
    const struct media_boxes *boxes = &source->boxes;
    if (is_continued(source))
        return to_ms(boxes->fragments_duration, boxes->timescale);
    int64_t movie_ms = to_ms(boxes->duration, boxes->timescale);
    int64_t fragments_ms = to_ms(boxes->fragments_duration, boxes->timescale);
    int64_t track_ms = to_ms(source->track->duration, source->track->timescale);
    return larger(larger(movie_ms, fragments_ms), track_ms);
}

// The longer of the movie's and the track's clock would count a video that goes on after its
// sound; only for fragments there may be nothing else.
static int64_t presented_ms(const struct media_source *source)
{
    if (!source->boxes.is_fragmented)
        return media_presentation_ms(&source->presentation);
    if (source->track->duration > 0 && !is_continued(source))
        return to_ms(source->track->duration, source->track->timescale);
    return announced_ms(source);
}

static bool look_at_boxes(struct media_source *source, struct media_failure *why)
{
    if (!media_boxes_read(source->fd, &source->boxes, why))
        return false;
    const struct media_track *track =
        media_boxes_choose_audio(&source->boxes, source->selection.track, why);
    if (track == NULL)
        return false;
    source->track = &source->boxes.tracks[track - source->boxes.tracks];
    media_metadata_read(source->fd, &source->boxes, &source->metadata);
    media_metadata_cut(&source->metadata, source->selection.start_ms, source->selection.end_ms);
    return media_boxes_check_offsets(source->fd, &source->boxes, track, why);
}

static bool open_input(struct media_source *source, struct media_failure *why)
{
    source->input = media_input_open(source->fd, &source->boxes, source->track, 0, why);
    if (source->input == NULL)
        return false;
    source->stream = media_input_stream(source->input, source->track->id);
    if (source->stream == NULL)
        return media_fail(why, "no_audio", NULL);
    struct media_track *track = source->track;
    if (track->timescale == 0 || track->timescale > INT32_MAX)
        track->timescale = (uint32_t)larger(source->stream->codecpar->sample_rate, 1);
    return true;
}

static bool open_decoder(struct media_source *source, struct media_failure *why)
{
    source->decoder = media_decoder_open(source->fd, &source->boxes, source->track,
                                         source->stream->codecpar, why);
    if (source->decoder == NULL)
        return false;
    source->packet = av_packet_alloc();
    source->frame = av_frame_alloc();
    source->silence = av_frame_alloc();
    if (source->packet == NULL || source->frame == NULL || source->silence == NULL)
        return media_fail(why, "internal", "There is not enough memory.");
    int pcm_frame_bytes[MEDIA_DESCRIPTIONS];
    media_decoder_pcm_frame_bytes(source->decoder, pcm_frame_bytes);
    source->packets_read =
        media_packets_open(source->fd, &source->boxes, source->track, pcm_frame_bytes);
    return true;
}

// Without an edit list, iTunes' comment or Opus' own header say what comes before the sound.
static void cut_priming(struct media_source *source, int64_t total)
{
    const AVCodecParameters *parameters = source->stream->codecpar;
    const char *comment = source->metadata.itunes_priming;
    if (source->track->edits.count > 0)
        return;
    if (comment != NULL && media_presentation_cut_itunes(&source->presentation, comment,
                                                         parameters->sample_rate, total))
        return;
    if (parameters->codec_id == AV_CODEC_ID_OPUS)
        media_presentation_cut_delay(&source->presentation, parameters->initial_padding, 48000);
}

static bool find_presentation(struct media_source *source, struct media_failure *why)
{
    int64_t total = 0;
    if (!source->boxes.is_fragmented && source->track->times.count > 0 &&
        !media_samples_total(source->fd, source->track, &total, why))
        return false;
    if (!media_presentation_read(source->fd, &source->boxes, source->track, total,
                                 &source->presentation, why))
        return false;
    cut_priming(source, total);
    int64_t longest_ms = source->selection.max_duration_ms;
    if (longest_ms > 0 && media_source_duration_ms(source) > longest_ms)
        return media_fail(why, "too_long", NULL);
    return true;
}

// The decoder begins early enough that what is heard first is whole.
static bool enter_stretch(struct media_source *source, struct media_failure *why)
{
    int64_t warm_up =
        av_rescale(media_decoder_warm_up_ms(source->decoder), source->track->timescale, 1000);
    int64_t entry = media_timeline_entry(&source->timeline) - warm_up;
    return media_packets_seek(source->packets_read, larger(entry, 0), why);
}

static bool begin(struct media_source *source, struct media_failure *why)
{
    const struct media_selection *selection = &source->selection;
    struct media_timeline *timeline = &source->timeline;
    media_timeline_init(timeline, &source->presentation, source->track->timescale);
    timeline->start_ms = selection->start_ms;
    timeline->end_ms = selection->end_ms;
    timeline->announced_ms = announced_ms(source);
    bool is_forward = selection->end_ms == 0 || selection->end_ms > selection->start_ms;
    if (!is_forward || !media_timeline_enter(timeline, 0))
        return media_fail(why, "empty_selection", NULL);
    return enter_stretch(source, why);
}

struct media_source *media_source_open(int fd, const struct media_selection *selection,
                                       struct media_failure *why)
{
    SCOPED(media_source_close) struct media_source *source = alloc_zeroed(1, sizeof *source);
    source->fd = fd;
    source->selection = *selection;
    if (!look_at_boxes(source, why) || !open_input(source, why) ||
        !find_presentation(source, why) || !open_decoder(source, why) || !begin(source, why))
        return NULL;
    return TAKE(source);
}

void media_source_close(struct media_source *source)
{
    if (source == NULL)
        return;
    av_frame_free(&source->silence);
    av_frame_free(&source->frame);
    av_packet_free(&source->packet);
    media_packets_close(source->packets_read);
    media_decoder_close(source->decoder);
    media_presentation_finish(&source->presentation);
    media_input_close(source->input);
    media_metadata_finish(&source->metadata);
    free(source);
}

static void note_packet(struct media_source *source)
{
    const AVPacket *packet = source->packet;
    const struct media_track *track = source->track;
    source->packets++;
    // Until a frame comes of it; some decoders pass over damage without a word.
    media_timeline_lose(&source->timeline, packet->pts, source->frame_samples);
    source->sent_seconds += (double)packet->duration / track->timescale;
    source->end_ms =
        larger(source->end_ms, av_rescale(packet->pts + packet->duration, 1000, track->timescale));
}

// Hands one packet to the decoder, or tells it that there are no more.
static bool feed(struct media_source *source, struct media_failure *why)
{
    struct media_packet_facts facts;
    AVPacket *packet = source->packet;
    int step = media_packets_next(source->packets_read, packet, &facts, why);
    if (step < 0)
        return false;
    if (step == 0 || media_timeline_is_behind(&source->timeline, packet->pts)) {
        av_packet_unref(packet);
        source->is_drained = true;
        media_decoder_send(source->decoder, NULL, 0);
        return true;
    }
    note_packet(source);
    if (facts.is_last && packet->duration > 0)
        media_timeline_end_at(&source->timeline, packet->pts + packet->duration);
    // The decoder would take an empty packet for the end.
    int result = packet->size > 0 ? media_decoder_send(source->decoder, packet, facts.description)
                                  : AVERROR_INVALIDDATA;
    av_packet_unref(packet);
    if (result == AVERROR(ENOMEM))
        return media_fail(why, "internal", "There is not enough memory.");
    if (result < 0)
        source->failed_packets++;
    return true;
}

// Ends more than a second and 2 % before its announced end. Only for fragments: a sample table has
// told every sample in its place, and a wrong length in a header harms nothing. The movie's length
// says nothing about the track either: a picture may outlast its sound.
static bool is_cut(const struct media_source *source)
{
    bool is_to_the_end = source->selection.end_ms == 0;
    if (!source->boxes.is_fragmented || source->track->duration == 0 || is_continued(source) ||
        !is_to_the_end)
        return false;
    int64_t expected_ms = to_ms(source->track->duration, source->track->timescale);
    int64_t missing_ms = expected_ms - source->end_ms;
    return missing_ms > 1000 && missing_ms > expected_ms / 50;
}

static enum media_step judge_end(const struct media_source *source, struct media_failure *why)
{
    bool is_selected = source->selection.start_ms > 0 || source->selection.end_ms > 0;
    if (is_cut(source))
        media_fail(why, "truncated", NULL);
    else if (is_selected && source->timeline.given == source->timeline.first)
        media_fail(why, "empty_selection", NULL);
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

// Silence takes the shape of the frames around it.
static bool shape_silence(struct media_source *source, struct media_failure *why)
{
    const AVFrame *frame = source->frame;
    AVFrame *silence = source->silence;
    if (silence->format == frame->format && silence->sample_rate == frame->sample_rate &&
        av_channel_layout_compare(&silence->ch_layout, &frame->ch_layout) == 0)
        return true;
    av_frame_unref(silence);
    silence->format = frame->format;
    silence->sample_rate = frame->sample_rate;
    silence->nb_samples = SILENCE_SAMPLES;
    if (av_channel_layout_copy(&silence->ch_layout, &frame->ch_layout) < 0 ||
        av_frame_get_buffer(silence, 0) < 0)
        return media_fail(why, "internal", "There is not enough memory.");
    av_samples_set_silence(silence->extended_data, 0, SILENCE_SAMPLES,
                           silence->ch_layout.nb_channels, (enum AVSampleFormat)silence->format);
    return true;
}

static void cut_frame(AVFrame *frame, const struct media_piece *piece)
{
    int bytes = av_get_bytes_per_sample((enum AVSampleFormat)frame->format);
    bool is_planar = av_sample_fmt_is_planar((enum AVSampleFormat)frame->format) != 0;
    int planes = is_planar ? frame->ch_layout.nb_channels : 1;
    int64_t offset = (int64_t)piece->skip * bytes * (is_planar ? 1 : frame->ch_layout.nb_channels);
    for (int i = 0; i < planes; i++)
        frame->data[i] += offset;
    frame->nb_samples = piece->count;
}

// Decoders give no more than the packets announce; more is a file that costs much and says little.
static bool is_more_than_claimed(const struct media_source *source)
{
    return source->decoded_seconds > source->sent_seconds * 1.05 + 5;
}

// 1 a frame is there, with silence before it, 0 not yet, -1 failed.
static int take_frame(struct media_source *source, struct media_failure *why)
{
    AVFrame *frame = source->frame;
    av_frame_unref(frame);
    int result = media_decoder_receive(source->decoder, frame);
    if (result == AVERROR(ENOMEM))
        return media_fail(why, "internal", "There is not enough memory.") ? 0 : -1;
    if (result < 0) {
        if (result != AVERROR(EAGAIN) && result != AVERROR_EOF)
            source->failed_packets++;
        return 0;
    }
    if (!is_sane(frame))
        return media_fail(why, "unsupported_codec", NULL) ? 0 : -1;
    source->frames++;
    source->frame_samples = frame->nb_samples;
    source->decoded_seconds += (double)frame->nb_samples / frame->sample_rate;
    if (is_more_than_claimed(source))
        return media_fail(why, "not_media", "This file's index is damaged.") ? 0 : -1;
    if (!shape_silence(source, why))
        return -1;
    media_timeline_set_rate(&source->timeline, frame->sample_rate);
    int64_t time = frame->pts != AV_NOPTS_VALUE ? frame->pts : INT64_MIN;
    struct media_piece piece = media_timeline_place(&source->timeline, time, frame->nb_samples);
    cut_frame(frame, &piece);
    source->silent_samples = piece.silence;
    source->has_frame = piece.count > 0;
    return 1;
}

// When all of a stretch was decoded: 1 another one begins, 0 there is none, -1 failed.
static int next_stretch(struct media_source *source, struct media_failure *why)
{
    if (!media_timeline_enter(&source->timeline, source->timeline.stretch + 1))
        return 0;
    media_decoder_reset(source->decoder);
    source->is_drained = false;
    return enter_stretch(source, why) ? 1 : -1;
}

static AVFrame *give_silence(struct media_source *source)
{
    int64_t count = source->silent_samples;
    source->silence->nb_samples = count < SILENCE_SAMPLES ? (int)count : SILENCE_SAMPLES;
    source->silent_samples -= source->silence->nb_samples;
    return source->silence;
}

enum media_step media_source_next(struct media_source *source, AVFrame **out,
                                  struct media_failure *why)
{
    for (;;) {
        if (source->silent_samples > 0 || source->has_frame) {
            bool is_silence = source->silent_samples > 0;
            *out = is_silence ? give_silence(source) : source->frame;
            source->has_frame = source->has_frame && is_silence;
            return MEDIA_STEP_FRAME;
        }
        int step = take_frame(source, why);
        if (step == 0 && source->is_drained) {
            source->silent_samples = media_timeline_rest(&source->timeline);
            if (source->silent_samples == 0 && (step = next_stretch(source, why)) == 0)
                return judge_end(source, why);
        } else if (step == 0 && !feed(source, why)) {
            step = -1;
        }
        if (step < 0)
            return MEDIA_STEP_FAILED;
    }
}

int64_t media_source_duration_ms(const struct media_source *source)
{
    const struct media_selection *selection = &source->selection;
    int64_t end_ms = presented_ms(source);
    if (selection->end_ms > 0 && (end_ms == 0 || selection->end_ms < end_ms))
        end_ms = selection->end_ms;
    return larger(end_ms - selection->start_ms, 0);
}

const struct media_metadata *media_source_metadata(const struct media_source *source)
{
    return &source->metadata;
}
