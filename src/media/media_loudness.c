#include "media/media_loudness.h"

#include "base/alloc.h"
#include "media/media_true_peak.h"

#include <math.h>

// libebur128 has an enum of the name of our struct.
#define error ebur128_error
#include <ebur128.h>
#undef error

enum { PIECE_SAMPLES = 4096 };

static const double highest_peak_dbtp = -1.0;

struct media_loudness {
    ebur128_state *state;
    int channels;
    struct media_true_peak peaks[2];
    float interleaved[2 * PIECE_SAMPLES];
};

struct media_loudness *media_loudness_create(struct media_format format, struct media_failure *why)
{
    SCOPED(media_loudness_destroy)
    struct media_loudness *loudness = alloc_zeroed(1, sizeof *loudness);
    loudness->channels = format.channels;
    // The histogram rounds to 0.1 LU and keeps six hours in the memory of six seconds.
    loudness->state = ebur128_init((unsigned)format.channels, (unsigned long)format.rate_hz,
                                   EBUR128_MODE_I | EBUR128_MODE_HISTOGRAM);
    if (loudness->state == NULL) {
        media_fail(why, "internal", "There is not enough memory.");
        return NULL;
    }
    return TAKE(loudness);
}

void media_loudness_destroy(struct media_loudness *loudness)
{
    if (loudness == NULL)
        return;
    if (loudness->state != NULL)
        ebur128_destroy(&loudness->state);
    free(loudness);
}

static bool add_piece(struct media_loudness *loudness, const float *samples, size_t count,
                      struct media_failure *why)
{
    int result = ebur128_add_frames_float(loudness->state, samples, count);
    return result == EBUR128_SUCCESS ||
           media_fail(why, "internal", "The loudness could not be measured (%d).", result);
}

bool media_loudness_add(struct media_loudness *loudness, const float *left, const float *right,
                        size_t count, struct media_failure *why)
{
    media_true_peak_add(&loudness->peaks[0], left, count);
    if (loudness->channels == 1)
        return add_piece(loudness, left, count, why);
    media_true_peak_add(&loudness->peaks[1], right, count);
    while (count > 0) {
        size_t piece = count < PIECE_SAMPLES ? count : PIECE_SAMPLES;
        for (size_t i = 0; i < piece; i++) {
            loudness->interleaved[2 * i] = left[i];
            loudness->interleaved[2 * i + 1] = right[i];
        }
        if (!add_piece(loudness, loudness->interleaved, piece, why))
            return false;
        left += piece;
        right += piece;
        count -= piece;
    }
    return true;
}

bool media_loudness_level(struct media_loudness *loudness, struct media_level *out,
                          struct media_failure *why)
{
    double lufs, peak = 0;
    int result = ebur128_loudness_global(loudness->state, &lufs);
    for (int i = 0; i < loudness->channels; i++)
        peak = fmax(peak, (double)media_true_peak_finish(&loudness->peaks[i]));
    if (result != EBUR128_SUCCESS)
        return media_fail(why, "internal", "The loudness could not be measured (%d).", result);
    *out = (struct media_level){.has_loudness = isfinite(lufs) && peak > 0,
                                .loudness_lufs = isfinite(lufs) ? lufs : 0,
                                .true_peak_dbtp = 20 * log10(peak > 1e-12 ? peak : 1e-12)};
    return true;
}

double media_loudness_gain_db(const struct media_level *level, double wanted_lufs)
{
    if (!level->has_loudness)
        return 0;
    double wanted_db = wanted_lufs - level->loudness_lufs;
    double most_db = highest_peak_dbtp - level->true_peak_dbtp;
    return wanted_db < most_db ? wanted_db : most_db;
}
