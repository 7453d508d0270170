#pragma once
// A sound encoded twice: by media_encoder on threads, and by one LAME from its first to its last
// sample. And what a decoder hears of the difference.

#include "base/buf.h"
#include "media/media_encode.h"
#include "media/media_segments.h"
#include "sounds.h"

#include <stdint.h>

struct sound_samples {
    struct media_format format;
    float *planes[2]; // for mono both are the same
    size_t count;
};

void sound_samples_make(struct sound_samples *sound, enum sound kind, struct media_format format,
                        size_t count);
void sound_samples_finish(struct sound_samples *sound);

struct encoded {
    struct buf bytes;   // of the frames, without the header frame
    struct buf samples; // decoded: of each frame the left channel's, then the right one's
    int64_t frames;
    struct media_segments_result result;
};

// Checks the file with mp3_check_file() on the way: its length in samples must be the sound's.
void encoded_by_threads(struct encoded *out, const struct sound_samples *sound,
                        const struct preset *preset, int threads, const struct media_rules *rules);
void encoded_by_lame(struct encoded *out, const struct sound_samples *sound,
                     const struct preset *preset);
void encoded_finish(struct encoded *encoded);

struct difference {
    int64_t samples;              // that are not the same
    double snr_db, serial_snr_db; // mean over the frames that are not silent
    double worst_db;              // how much worse than serial LAME's the worst frame is
};

void encoded_compare(const struct encoded *ours, const struct encoded *serial,
                     const struct sound_samples *sound, struct difference *out);
