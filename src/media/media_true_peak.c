#include "media/media_true_peak.h"

#include <math.h>
#include <string.h>

enum { TAPS = MEDIA_TRUE_PEAK_TAPS, SAMPLES = MEDIA_TRUE_PEAK_SAMPLES };

// Phases 0 and 1 of the annex's table; phases 3 and 2 are the same from behind.
static const float phases[2][TAPS] = {
    {0.0017089843750f, 0.0109863281250f, -0.0196533203125f, 0.0332031250000f, -0.0594482421875f,
     0.1373291015625f, 0.9721679687500f, -0.1022949218750f, 0.0476074218750f, -0.0266113281250f,
     0.0148925781250f, -0.0083007812500f},
    {-0.0291748046875f, 0.0292968750000f, -0.0517578125000f, 0.0891113281250f, -0.1665039062500f,
     0.4650878906250f, 0.7797851562500f, -0.2003173828125f, 0.1015625000000f, -0.0582275390625f,
     0.0330810546875f, -0.0189208984375f},
};

// No phase makes more of its samples: the sum of its taps' absolute values is 2.023 at most.
static const float largest_factor = 2.03f;

static float highest_of(const float *samples, size_t count, float highest)
{
    for (size_t i = 0; i < count; i++) {
        float height = fabsf(samples[i]);
        highest = height > highest ? height : highest;
    }
    return highest;
}

static void measure(struct media_true_peak *peak)
{
    const float *window = peak->window;
    float highest = highest_of(window, TAPS - 1 + SAMPLES, 0);
    if (highest * largest_factor <= peak->highest)
        return;
    peak->highest = highest > peak->highest ? highest : peak->highest;
    for (int phase = 0; phase < 2; phase++) {
        float forward[SAMPLES] = {0}, backward[SAMPLES] = {0};
        for (int tap = 0; tap < TAPS; tap++) {
            float factor = phases[phase][tap];
            for (int i = 0; i < SAMPLES; i++) {
                forward[i] += factor * window[i + tap];
                backward[i] += factor * window[i + TAPS - 1 - tap];
            }
        }
        peak->highest = highest_of(forward, SAMPLES, peak->highest);
        peak->highest = highest_of(backward, SAMPLES, peak->highest);
    }
}

void media_true_peak_add(struct media_true_peak *peak, const float *samples, size_t count)
{
    while (count > 0) {
        size_t room = SAMPLES - peak->count;
        size_t piece = count < room ? count : room;
        memcpy(peak->window + TAPS - 1 + peak->count, samples, piece * sizeof *samples);
        peak->count += piece;
        samples += piece;
        count -= piece;
        if (peak->count < SAMPLES)
            return;
        measure(peak);
        memmove(peak->window, peak->window + SAMPLES, (TAPS - 1) * sizeof *samples);
        peak->count = 0;
    }
}

float media_true_peak_finish(struct media_true_peak *peak)
{
    static const float silence[SAMPLES + TAPS];
    media_true_peak_add(peak, silence, SAMPLES + TAPS); // enough for what the filters still hold
    return peak->highest;
}
