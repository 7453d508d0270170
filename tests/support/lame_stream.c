#include "lame_stream.h"

#include "base/alloc.h"
#include "mp3/mp3_frames.h"

#include <assert.h>
#include <lame/lame.h>
#include <libavcodec/avcodec.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const int rates_hz[] = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000};
static const int qualities[] = {0, 2, 5, 9};
static const int bitrates[3][6] = {{8, 24, 64}, {8, 32, 80, 160}, {32, 64, 128, 192, 256, 320}};
enum { RATES = 9, QUALITIES = 4 };

bool lame_stream_setting(size_t index, struct lame_setting *out)
{
    for (int i = 0; i < RATES * 2; i++) {
        int rate_hz = rates_hz[i / 2];
        const int *constant = bitrates[rate_hz < 16000 ? 0 : rate_hz < 32000 ? 1 : 2];
        for (int choice = 0; choice < QUALITIES + 6; choice++) {
            bool is_constant = choice >= QUALITIES;
            if ((is_constant && constant[choice - QUALITIES] == 0) || index-- > 0)
                continue;
            *out = (struct lame_setting){.rate_hz = rate_hz,
                                         .channels = 1 + i % 2,
                                         .bitrate_kbps =
                                             is_constant ? constant[choice - QUALITIES] : 0,
                                         .quality = is_constant ? 0 : qualities[choice]};
            return true;
        }
    }
    return false;
}

const char *lame_stream_name(const struct lame_setting *setting)
{
    static char name[64];
    bool is_constant = setting->bitrate_kbps > 0;
    snprintf(name, sizeof name, "%d Hz %s %s%d", setting->rate_hz,
             setting->channels == 1 ? "mono" : "stereo", is_constant ? "CBR " : "V",
             is_constant ? setting->bitrate_kbps : setting->quality);
    return name;
}

static float noise(uint32_t seed)
{
    seed = (seed ^ 61) ^ (seed >> 16);
    seed *= 9;
    seed ^= seed >> 4;
    seed *= 0x27d4eb2d;
    seed ^= seed >> 15;
    return (float)seed / 2147483648.0f - 1.0f;
}

// A scene lasts 0.15 s: silence, a chord, noise that swells, clicks, quiet noise under a tone.
static void make_sound(const struct lame_setting *setting, int64_t start, float *left, float *right,
                       int count)
{
    for (int i = 0; i < count; i++) {
        int64_t at = start + i;
        int64_t scene_samples = setting->rate_hz * 3 / 20;
        int64_t within = at % scene_samples;
        float seconds = (float)at / (float)setting->rate_hz;
        float hiss = noise((uint32_t)at);
        float tone = sinf(6.2831853f * 440 * seconds) + 0.5f * sinf(6.2831853f * 1321 * seconds);
        float *l = &left[i], *r = &right[i];
        switch (at / scene_samples % 5) {
        case 0:
            *l = *r = 0;
            break;
        case 1:
            *l = 0.4f * tone;
            *r = 0.3f * tone + 0.01f * hiss;
            break;
        case 2:
            *l = 0.8f * hiss * (float)within / (float)scene_samples;
            *r = 0.5f * noise((uint32_t)at + 77777) * (float)within / (float)scene_samples;
            break;
        case 3:
            *l = within % 997 < 3 ? 0.9f : 0.001f * hiss;
            *r = within % 1999 < 3 ? -0.9f : 0.001f * hiss;
            break;
        default:
            *l = 0.2f * tone + 0.05f * hiss;
            *r = *l * 0.7f;
        }
    }
}

lame_t lame_stream_open(const struct lame_setting *setting, bool has_header)
{
    lame_t lame = lame_init();
    assert(lame != NULL);
    lame_set_in_samplerate(lame, setting->rate_hz);
    lame_set_out_samplerate(lame, setting->rate_hz);
    lame_set_num_channels(lame, setting->channels);
    lame_set_mode(lame, setting->channels == 1 ? MONO : JOINT_STEREO);
    lame_set_bWriteVbrTag(lame, has_header);
    lame_set_write_id3tag_automatic(lame, 0);
    if (setting->bitrate_kbps > 0) {
        lame_set_VBR(lame, vbr_off);
        lame_set_brate(lame, setting->bitrate_kbps);
    } else {
        lame_set_VBR(lame, vbr_default);
        lame_set_VBR_q(lame, setting->quality);
    }
    int result = lame_init_params(lame);
    assert(result >= 0);
    return lame;
}

void lame_stream_encode(const struct lame_setting *setting, int64_t start, int64_t samples,
                        struct buf *bytes, struct buf *header)
{
    enum { PIECE = 1000 };
    float left[PIECE], right[PIECE];
    unsigned char output[PIECE * 5 / 4 + 7200 + 65536];
    lame_t lame = lame_stream_open(setting, header != NULL);
    buf_init(bytes, 64 << 20);
    for (int64_t at = 0; at < samples; at += PIECE) {
        int count = samples - at < PIECE ? (int)(samples - at) : PIECE;
        make_sound(setting, start + at, left, right, count);
        int size =
            lame_encode_buffer_ieee_float(lame, left, right, count, output, (int)sizeof output);
        assert(size >= 0 && buf_append(bytes, output, (size_t)size));
    }
    int size = lame_encode_flush(lame, output, (int)sizeof output);
    assert(size >= 0 && buf_append(bytes, output, (size_t)size));
    if (header != NULL) {
        // LAME leaves room for it in front, and has none where the constant rate is too low.
        buf_init(header, sizeof output);
        size_t header_size = lame_get_lametag_frame(lame, output, sizeof output);
        assert(buf_append(header, output, header_size));
        buf_drop(bytes, header_size);
    }
    lame_close(lame);
}

struct media_frames *lame_stream_split(const struct buf *bytes, size_t piece)
{
    enum { LIMIT = 4000 };
    struct media_frames *frames = media_frames_create(LIMIT);
    struct media_failure why = {0};
    bool is_fine = true;
    for (size_t at = 0; at < bytes->size && is_fine; at += piece) {
        size_t size = bytes->size - at < piece ? bytes->size - at : piece;
        is_fine = media_frames_add(frames, (const unsigned char *)bytes->bytes + at, size, &why);
    }
    if (!is_fine || !media_frames_finish(frames, &why))
        fprintf(stderr, "%s\n", why.detail);
    assert(why.code[0] == '\0');
    return frames;
}

static void keep_samples(AVCodecContext *decoder, AVFrame *frame, struct buf *samples)
{
    while (avcodec_receive_frame(decoder, frame) == 0) {
        for (int channel = 0; channel < frame->ch_layout.nb_channels; channel++)
            assert(buf_append(samples, frame->extended_data[channel],
                              sizeof(float) * (size_t)frame->nb_samples));
        av_frame_unref(frame);
    }
}

void lame_stream_decode(const unsigned char *bytes, size_t size, struct buf *samples)
{
    av_log_set_level(AV_LOG_QUIET);
    AVCodecContext *decoder = avcodec_alloc_context3(avcodec_find_decoder_by_name("mp3float"));
    AVPacket *packet = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    decoder->thread_count = 1;
    decoder->err_recognition = AV_EF_EXPLODE | AV_EF_BITSTREAM | AV_EF_BUFFER;
    int result = avcodec_open2(decoder, NULL, NULL);
    assert(result == 0);
    buf_init(samples, 256 << 20);
    struct mp3_frame shape;
    for (size_t at = 0; at < size; at += (size_t)shape.size_bytes) {
        assert(at + 4 <= size && mp3_frame_parse(bytes + at, &shape));
        assert(at + (size_t)shape.size_bytes <= size);
        result = av_new_packet(packet, shape.size_bytes);
        assert(result == 0);
        memcpy(packet->data, bytes + at, (size_t)shape.size_bytes);
        result = avcodec_send_packet(decoder, packet);
        assert(result == 0);
        av_packet_unref(packet);
        keep_samples(decoder, frame, samples);
    }
    av_frame_free(&frame);
    av_packet_free(&packet);
    avcodec_free_context(&decoder);
}
