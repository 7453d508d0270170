#include "media/media_decoder.h"

#include "base/alloc.h"
#include "media/media_codecs.h"
#include "media/media_input.h"

#include <libavcodec/avcodec.h>
#include <string.h>

// Longer than any lossy codec remembers: MP3 reaches back over 10 frames, Opus needs 80 ms, and
// HE-AAC repeats what its upper half is made of every half second.
enum { WARM_UP_MS = 1000 };

struct media_decoder {
    AVRational clock;
    unsigned count;
    AVCodecParameters *parameters[MEDIA_DESCRIPTIONS]; // NULL: it cannot be read
    unsigned description;                              // of `context`
    AVCodecContext *context;
};

// The decoder for a sample entry in place of the one before.
static bool open_context(struct media_decoder *decoder, unsigned description,
                         struct media_failure *why)
{
    avcodec_free_context(&decoder->context);
    decoder->description = description;
    const AVCodecParameters *parameters = decoder->parameters[description];
    const AVCodec *codec = parameters != NULL ? media_codec_find(parameters->codec_id) : NULL;
    if (codec == NULL || !media_codec_is_bounded(parameters))
        return media_fail(why, "unsupported_codec", NULL);
    AVCodecContext *context = avcodec_alloc_context3(codec);
    if (context == NULL)
        return media_fail(why, "internal", "There is not enough memory.");
    decoder->context = context;
    context->thread_count = 1;
    context->pkt_timebase = decoder->clock;
    if (avcodec_parameters_to_context(context, parameters) >= 0 &&
        avcodec_open2(context, codec, NULL) >= 0)
        return true;
    avcodec_free_context(&decoder->context);
    return media_fail(why, "unsupported_codec", NULL);
}

static AVCodecParameters *copy_parameters(const AVCodecParameters *parameters)
{
    AVCodecParameters *copy = avcodec_parameters_alloc();
    if (copy != NULL && avcodec_parameters_copy(copy, parameters) < 0)
        avcodec_parameters_free(&copy);
    return copy;
}

// An entry that cannot be read costs its packets only.
static AVCodecParameters *read_parameters(int fd, const struct media_boxes *boxes,
                                          const struct media_track *track, unsigned description)
{
    struct media_failure ignored;
    SCOPED(media_input_close)
    struct media_input *input = media_input_open(fd, boxes, track, description, &ignored);
    AVStream *stream = input != NULL ? media_input_stream(input, track->id) : NULL;
    return stream != NULL ? copy_parameters(stream->codecpar) : NULL;
}

struct media_decoder *media_decoder_open(int fd, const struct media_boxes *boxes,
                                         const struct media_track *track,
                                         const AVCodecParameters *first, struct media_failure *why)
{
    SCOPED(media_decoder_close) struct media_decoder *decoder = alloc_zeroed(1, sizeof *decoder);
    decoder->clock = (AVRational){1, (int)track->timescale};
    decoder->parameters[decoder->count++] = copy_parameters(first);
    while (decoder->count < track->format_count && decoder->count < MEDIA_DESCRIPTIONS) {
        decoder->parameters[decoder->count] = read_parameters(fd, boxes, track, decoder->count);
        decoder->count++;
    }
    if (!open_context(decoder, 0, why))
        return NULL;
    return TAKE(decoder);
}

void media_decoder_close(struct media_decoder *decoder)
{
    if (decoder == NULL)
        return;
    avcodec_free_context(&decoder->context);
    for (unsigned i = 0; i < decoder->count; i++)
        avcodec_parameters_free(&decoder->parameters[i]);
    free(decoder);
}

// Programs that append files leave entries that say the same.
static bool is_same(const AVCodecParameters *a, const AVCodecParameters *b)
{
    return a != NULL && b != NULL && a->codec_id == b->codec_id && a->codec_tag == b->codec_tag &&
           a->sample_rate == b->sample_rate &&
           a->ch_layout.nb_channels == b->ch_layout.nb_channels &&
           a->extradata_size == b->extradata_size &&
           (a->extradata_size == 0 ||
            memcmp(a->extradata, b->extradata, (size_t)a->extradata_size) == 0);
}

int media_decoder_send(struct media_decoder *decoder, const AVPacket *packet, uint32_t description)
{
    struct media_failure ignored;
    unsigned wanted = description < decoder->count ? description : 0;
    if (packet != NULL && wanted != decoder->description &&
        !is_same(decoder->parameters[wanted], decoder->parameters[decoder->description]))
        open_context(decoder, wanted, &ignored);
    return decoder->context != NULL ? avcodec_send_packet(decoder->context, packet)
                                    : AVERROR_INVALIDDATA;
}

int media_decoder_receive(struct media_decoder *decoder, AVFrame *frame)
{
    return decoder->context != NULL ? avcodec_receive_frame(decoder->context, frame)
                                    : AVERROR(EAGAIN);
}

void media_decoder_reset(struct media_decoder *decoder)
{
    if (decoder->context != NULL)
        avcodec_flush_buffers(decoder->context);
}

static int pcm_frame_bytes(const AVCodecParameters *parameters)
{
    if (parameters == NULL)
        return 0;
    return av_get_bits_per_sample(parameters->codec_id) / 8 * parameters->ch_layout.nb_channels;
}

int media_decoder_warm_up_ms(const struct media_decoder *decoder)
{
    const AVCodecParameters *parameters = decoder->parameters[0];
    bool is_lossless = pcm_frame_bytes(parameters) > 0 ||
                       parameters->codec_id == AV_CODEC_ID_ALAC ||
                       parameters->codec_id == AV_CODEC_ID_FLAC;
    return is_lossless && decoder->count == 1 ? 0 : WARM_UP_MS;
}

void media_decoder_pcm_frame_bytes(const struct media_decoder *decoder, int out[MEDIA_DESCRIPTIONS])
{
    for (unsigned i = 0; i < MEDIA_DESCRIPTIONS; i++)
        out[i] = i < decoder->count ? pcm_frame_bytes(decoder->parameters[i]) : 0;
}
