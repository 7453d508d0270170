// Formats: the MP4 registration authority's list of sample entries; AudioSpecificConfig: ISO/IEC
// 14496-3, 1.6.2.1.
#include "media/media_probe_track.h"

#include "media/media_big_endian.h"
#include "media/media_box.h"
#include "media/media_input.h"
#include "media/media_source.h"

#include <libavcodec/avcodec.h>
#include <stdio.h>

static const struct {
    enum AVCodecID id;
    const char *name;
} codec_names[] = {
    {AV_CODEC_ID_AAC, "AAC"},        {AV_CODEC_ID_MP3, "MP3"},         {AV_CODEC_ID_MP2, "MP2"},
    {AV_CODEC_ID_AC3, "AC-3"},       {AV_CODEC_ID_EAC3, "E-AC-3"},     {AV_CODEC_ID_ALAC, "ALAC"},
    {AV_CODEC_ID_OPUS, "Opus"},      {AV_CODEC_ID_FLAC, "FLAC"},       {AV_CODEC_ID_DTS, "DTS"},
    {AV_CODEC_ID_VORBIS, "Vorbis"},  {AV_CODEC_ID_TRUEHD, "TrueHD"},   {AV_CODEC_ID_AMR_NB, "AMR"},
    {AV_CODEC_ID_AMR_WB, "AMR-WB"},  {AV_CODEC_ID_QDM2, "QDesign 2"},  {AV_CODEC_ID_GSM, "GSM"},
    {AV_CODEC_ID_PCM_ALAW, "A-law"}, {AV_CODEC_ID_PCM_MULAW, "µ-law"},
};

enum { AOT_LC = 2, AOT_SBR = 5, AOT_PS = 29, AOT_ESCAPE = 31 };

// The audio object type, which the configuration begins with; 0: there is none.
static int object_type(const AVCodecParameters *parameters)
{
    const uint8_t *bytes = parameters->extradata;
    if (parameters->codec_id != AV_CODEC_ID_AAC || parameters->extradata_size < 2)
        return 0;
    int type = bytes[0] >> 3;
    return type == AOT_ESCAPE ? 32 + ((bytes[0] & 7) << 3 | bytes[1] >> 5) : type;
}

// The rate of AAC's core, which the upper half of HE-AAC doubles; 0: not told by an index.
static int core_rate_hz(const AVCodecParameters *parameters)
{
    static const int rates[] = {96000, 88200, 64000, 48000, 44100, 32000, 24000,
                                22050, 16000, 12000, 11025, 8000,  7350};
    const uint8_t *bytes = parameters->extradata;
    unsigned index = (unsigned)(bytes[0] & 7) << 1 | bytes[1] >> 7;
    return index < sizeof rates / sizeof rates[0] ? rates[index] : 0;
}

// HE-AAC may hide in a configuration of plain AAC: then the first sounds give it away. Whether
// such a one is of version 2 they do not tell: the decoder makes two channels of one in any case.
static void name_aac(const AVCodecParameters *parameters, struct media_track_facts *out)
{
    int type = object_type(parameters);
    bool is_doubled =
        type == AOT_LC && out->rate_hz > 0 && out->rate_hz == 2 * core_rate_hz(parameters);
    int profile = type - 1;
    if (type == AOT_PS)
        profile = FF_PROFILE_AAC_HE_V2;
    else if (type == AOT_SBR || is_doubled)
        profile = FF_PROFILE_AAC_HE;
    out->profile = type > 0 ? avcodec_profile_name(AV_CODEC_ID_AAC, profile) : NULL;
    if (profile == FF_PROFILE_AAC_HE)
        out->codec = "HE-AAC";
    else if (profile == FF_PROFILE_AAC_HE_V2)
        out->codec = "HE-AAC v2";
}

static void name_codec(const AVCodecParameters *parameters, struct media_track_facts *out)
{
    for (size_t i = 0; i < sizeof codec_names / sizeof codec_names[0]; i++)
        if (codec_names[i].id == parameters->codec_id)
            out->codec = codec_names[i].name;
    if (out->codec == NULL && av_get_exact_bits_per_sample(parameters->codec_id) >= 8)
        out->codec = "PCM";
    if (parameters->codec_id == AV_CODEC_ID_AAC)
        name_aac(parameters, out);
}

// Opens it as a conversion would and hears its first sounds.
static void listen(int fd, unsigned number, struct media_track_facts *out)
{
    char track[16];
    snprintf(track, sizeof track, "%u", number);
    const struct media_selection selection = {.track = track};
    SCOPED(media_source_close)
    struct media_source *source = media_source_open(fd, &selection, &out->why);
    AVFrame *frame = NULL;
    if (source == NULL)
        return;
    out->duration_ms = media_source_duration_ms(source);
    enum media_step step = media_source_next(source, &frame, &out->why);
    if (step == MEDIA_STEP_END)
        media_fail(&out->why, "no_audio", "The audio track of this file is empty.");
    if (step != MEDIA_STEP_FRAME)
        return;
    out->is_convertible = true;
    out->rate_hz = frame->sample_rate;
    out->channels = frame->ch_layout.nb_channels;
    av_channel_layout_describe(&frame->ch_layout, out->layout, sizeof out->layout);
}

static double all_bytes(int fd, const struct media_track *track)
{
    const struct media_box_reader reader = {.fd = fd};
    double sum = 0;
    if (track->compact_size_bits > 0)
        return 0;
    if (track->fixed_size_bytes > 0)
        return (double)track->fixed_size_bytes * track->sizes.count;
    for (uint32_t done = 0; done < track->sizes.count;) {
        unsigned char bytes[8192];
        uint32_t left = track->sizes.count - done;
        uint32_t count = left < sizeof bytes / 4 ? left : (uint32_t)(sizeof bytes / 4);
        if (!media_box_bytes(&reader, bytes, count * (size_t)4,
                             track->sizes.offset + (int64_t)done * 4))
            return 0;
        for (uint32_t i = 0; i < count; i++)
            sum += big_endian_32(bytes + (size_t)4 * i);
        done += count;
    }
    return sum;
}

static int64_t bit_rate(int fd, const struct media_boxes *boxes, const struct media_track *track,
                        const AVCodecParameters *parameters, const struct media_track_facts *facts)
{
    int sample_bits = av_get_exact_bits_per_sample(parameters->codec_id);
    if (sample_bits >= 8)
        return (int64_t)sample_bits * facts->channels * facts->rate_hz;
    if (boxes->is_fragmented || facts->duration_ms <= 0)
        return parameters->bit_rate;
    double rate = all_bytes(fd, track) * 8000 / (double)facts->duration_ms;
    return rate < INT32_MAX ? (int64_t)(rate + 0.5) : 0;
}

int64_t media_probe_ms(uint64_t ticks, uint32_t timescale)
{
    double ms = timescale > 0 ? (double)ticks * 1000 / timescale : 0;
    return ms < (double)(INT64_MAX / 4) ? (int64_t)(ms + 0.5) : 0;
}

void media_probe_track(int fd, const struct media_boxes *boxes, const struct media_track *track,
                       unsigned number, bool may_listen, struct media_track_facts *out)
{
    *out = (struct media_track_facts){0};
    out->duration_ms = media_probe_ms(track->duration, track->timescale);
    if (!may_listen) {
        media_fail(&out->why, "too_complex", NULL);
        return;
    }
    listen(fd, number, out);
    struct media_failure ignored;
    struct media_input *input = media_input_open(fd, boxes, track, 0, &ignored);
    const AVStream *stream = input != NULL ? media_input_stream(input, track->id) : NULL;
    if (stream != NULL) {
        name_codec(stream->codecpar, out);
        out->bit_rate = bit_rate(fd, boxes, track, stream->codecpar, out);
    }
    media_input_close(input);
}
