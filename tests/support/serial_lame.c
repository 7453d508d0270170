#include "serial_lame.h"

#include "base/alloc.h"
#include "base/file.h"
#include "lame_stream.h"
#include "mp3/mp3_frames.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void sound_samples_make(struct sound_samples *sound, enum sound kind, struct media_format format,
                        size_t count)
{
    sound->format = format;
    sound->count = count;
    float *left = alloc_zeroed(count + 1, sizeof(float));
    float *right = alloc_zeroed(count + 1, sizeof(float));
    sound_make(kind, format.rate_hz, left, right, count);
    sound->planes[0] = left;
    sound->planes[1] = format.channels == 2 ? right : left;
    if (format.channels == 1)
        free(right);
}

void sound_samples_finish(struct sound_samples *sound)
{
    if (sound->planes[1] != sound->planes[0])
        free(sound->planes[1]);
    free(sound->planes[0]);
}

void encoded_finish(struct encoded *encoded)
{
    buf_finish(&encoded->bytes);
    buf_finish(&encoded->samples);
}

static void decode(struct encoded *out)
{
    struct mp3_frame shape;
    out->frames = 0;
    for (size_t at = 0; at < out->bytes.size; at += (size_t)shape.size_bytes, out->frames++)
        assert(mp3_frame_parse((const unsigned char *)out->bytes.bytes + at, &shape));
    lame_stream_decode((const unsigned char *)out->bytes.bytes, out->bytes.size, &out->samples);
}

static void read_frames(int fd, struct encoded *out)
{
    struct error err;
    int64_t size = lseek(fd, 0, SEEK_END);
    char *bytes = alloc_zeroed(1, (size_t)size);
    ssize_t got = file_read_at(fd, (unsigned char *)bytes, (size_t)size, 0, &err);
    assert(got == size);
    struct mp3_frame header;
    bool is_frame = mp3_frame_parse((const unsigned char *)bytes, &header);
    assert(is_frame);
    buf_init(&out->bytes, 256 << 20);
    bool is_kept = buf_append(&out->bytes, bytes + header.size_bytes,
                              (size_t)size - (size_t)header.size_bytes);
    assert(is_kept);
    free(bytes);
}

void encoded_by_threads(struct encoded *out, const struct sound_samples *sound,
                        const struct preset *preset, int threads, const struct media_rules *rules)
{
    enum { PIECE = 1024 };
    struct media_failure why = {0};
    int fd = memfd_create("mp3", MFD_CLOEXEC);
    struct media_encoder *encoder = media_encoder_create_with(threads, rules, &why);
    assert(encoder != NULL);
    bool is_well = media_encoder_begin(encoder, fd, preset, sound->format, "", 0, &why);
    for (size_t at = 0; is_well && at < sound->count; at += PIECE) {
        size_t count = sound->count - at < PIECE ? sound->count - at : PIECE;
        is_well =
            media_encoder_write(encoder, sound->planes[0] + at, sound->planes[1] + at, count, &why);
    }
    is_well = is_well && media_encoder_finish(encoder, &why);
    if (!is_well)
        fprintf(stderr, "%s: %s\n", why.code, why.detail);
    assert(is_well);
    out->result = *media_encoder_result(encoder);
    media_encoder_close(encoder);

    struct mp3_summary summary;
    struct error err = {0};
    bool is_checked = mp3_check_file(fd, &summary, &err);
    if (!is_checked)
        fprintf(stderr, "%s\n", err.text);
    assert(is_checked && summary.samples == (int64_t)sound->count);
    read_frames(fd, out);
    close(fd);
    decode(out);
}

void encoded_by_lame(struct encoded *out, const struct sound_samples *sound,
                     const struct preset *preset)
{
    enum { PIECE = 1000 };
    static unsigned char output[PIECE * 5 / 4 + 7200 + 65536];
    struct lame_setting setting = {.rate_hz = sound->format.rate_hz,
                                   .channels = sound->format.channels,
                                   .bitrate_kbps = preset->is_constant ? preset->bitrate_kbps : 0,
                                   .quality = preset->quality};
    lame_t lame = lame_stream_open(&setting, false);
    buf_init(&out->bytes, 256 << 20);
    for (size_t at = 0; at < sound->count; at += PIECE) {
        size_t count = sound->count - at < PIECE ? sound->count - at : PIECE;
        int size = lame_encode_buffer_ieee_float(lame, sound->planes[0] + at, sound->planes[1] + at,
                                                 (int)count, output, (int)sizeof output);
        assert(size >= 0 && buf_append(&out->bytes, output, (size_t)size));
    }
    int size = lame_encode_flush(lame, output, (int)sizeof output);
    assert(size >= 0 && buf_append(&out->bytes, output, (size_t)size));
    lame_close(lame);
    decode(out);
}

// Signal to noise of one frame, summed over its channels; the decoder's delay is 528 + 1, LAME's
// 576.
static double frame_snr(const float *decoded, const struct sound_samples *sound, int64_t frame,
                        int frame_samples)
{
    double signal = 0, error = 0;
    for (int channel = 0; channel < sound->format.channels; channel++) {
        for (int i = 0; i < frame_samples; i++) {
            int64_t at = frame * frame_samples + i - 576 - 529;
            double wanted =
                at >= 0 && at < (int64_t)sound->count ? (double)sound->planes[channel][at] : 0;
            double got = (double)decoded[channel * frame_samples + i];
            signal += wanted * wanted;
            error += (wanted - got) * (wanted - got);
        }
    }
    bool is_silent = signal < 1e-7 * frame_samples;
    return is_silent ? NAN : 10 * log10(signal / (error + 1e-12));
}

void encoded_compare(const struct encoded *ours, const struct encoded *serial,
                     const struct sound_samples *sound, struct difference *out)
{
    *out = (struct difference){0};
    const float *a = (const float *)ours->samples.bytes, *b = (const float *)serial->samples.bytes;
    size_t count = ours->samples.size / sizeof(float);
    assert(ours->samples.size == serial->samples.size);
    for (size_t i = 0; i < count; i++)
        out->samples += memcmp(&a[i], &b[i], sizeof(float)) != 0 ? 1 : 0;
    int frame_samples = sound->format.rate_hz >= 32000 ? 1152 : 576;
    size_t frame_floats = (size_t)(frame_samples * sound->format.channels);
    int64_t audible = 0;
    for (size_t frame = 0; frame < count / frame_floats; frame++) {
        double our_db = frame_snr(a + frame * frame_floats, sound, (int64_t)frame, frame_samples);
        double serial_db =
            frame_snr(b + frame * frame_floats, sound, (int64_t)frame, frame_samples);
        if (isnan(our_db) || isnan(serial_db))
            continue;
        audible++;
        out->snr_db += our_db;
        out->serial_snr_db += serial_db;
        if (serial_db - our_db > out->worst_db)
            out->worst_db = serial_db - our_db;
    }
    if (audible > 0) {
        out->snr_db /= (double)audible;
        out->serial_snr_db /= (double)audible;
    }
}
