#include "media/media_codecs.h"

#include "media/media_boxes.h"

#include <string.h>

struct allowed {
    enum AVCodecID id;
    const char *decoder; // NULL: libavcodec's own choice
};

static const struct allowed allowed[] = {
    {AV_CODEC_ID_AAC, "aac"},      {AV_CODEC_ID_MP3, "mp3float"}, {AV_CODEC_ID_AC3, "ac3"},
    {AV_CODEC_ID_EAC3, "eac3"},    {AV_CODEC_ID_ALAC, "alac"},    {AV_CODEC_ID_OPUS, "opus"},
    {AV_CODEC_ID_FLAC, "flac"},    {AV_CODEC_ID_PCM_S8, NULL},    {AV_CODEC_ID_PCM_U8, NULL},
    {AV_CODEC_ID_PCM_S16LE, NULL}, {AV_CODEC_ID_PCM_S16BE, NULL}, {AV_CODEC_ID_PCM_S24LE, NULL},
    {AV_CODEC_ID_PCM_S24BE, NULL}, {AV_CODEC_ID_PCM_S32LE, NULL}, {AV_CODEC_ID_PCM_S32BE, NULL},
    {AV_CODEC_ID_PCM_F32LE, NULL}, {AV_CODEC_ID_PCM_F32BE, NULL}, {AV_CODEC_ID_PCM_F64LE, NULL},
    {AV_CODEC_ID_PCM_F64BE, NULL}, {AV_CODEC_ID_PCM_ALAW, NULL},  {AV_CODEC_ID_PCM_MULAW, NULL},
};

const char media_codec_whitelist[] =
    "aac,mp3,mp3float,ac3,eac3,alac,opus,flac,pcm_s8,pcm_u8,pcm_s16le,pcm_s16be,pcm_s24le,"
    "pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_f64le,pcm_f64be,pcm_alaw,pcm_mulaw";

const AVCodec *media_codec_find(enum AVCodecID id)
{
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
        if (allowed[i].id != id)
            continue;
        const char *decoder = allowed[i].decoder;
        return decoder != NULL ? avcodec_find_decoder_by_name(decoder) : avcodec_find_decoder(id);
    }
    return NULL;
}

bool media_codec_is_bounded(const AVCodecParameters *parameters)
{
    enum { LONGEST_FRAME_AT = 12 }; // behind size, type and version of its box
    const unsigned char *at = parameters->extradata;
    if (parameters->codec_id != AV_CODEC_ID_ALAC ||
        parameters->extradata_size < LONGEST_FRAME_AT + 4)
        return true;
    at += LONGEST_FRAME_AT;
    return MEDIA_FOURCC(at[0], at[1], at[2], at[3]) <= MEDIA_FRAME_SAMPLES;
}
