#include "sounds.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static const float turn = 6.2831853f;

const char *sound_name(enum sound kind)
{
    static const char *const names[] = {"speech", "chords", "castanets",
                                        "noise",  "bursts", "sweeps"};
    return names[kind];
}

// The same for the same seed: -1 to 1.
static float noise(uint64_t seed)
{
    seed = (seed + 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
    seed = (seed ^ (seed >> 27)) * 0x94d049bb133111ebu;
    return (float)(int32_t)(uint32_t)(seed >> 32) / 2147483648.0f;
}

struct resonator {
    float y1, y2;
};

static float resonate(struct resonator *state, float hz, float rate, float x)
{
    float radius = expf(-turn * 45 / rate);
    float y = (1 - radius) * x + 2 * radius * cosf(turn * hz / rate) * state->y1 -
              radius * radius * state->y2;
    state->y2 = state->y1;
    state->y1 = y;
    return y;
}

static void make_speech(float rate, float *left, float *right, size_t count)
{
    struct resonator formants[3] = {0};
    float phase = 0;
    for (size_t i = 0; i < count; i++) {
        float seconds = (float)i / rate;
        int syllable = (int)(seconds / 0.19f);
        float within = seconds / 0.19f - (float)syllable;
        float loud = syllable % 9 == 8 ? 0 : sinf(turn / 2 * within);
        float pitch = 110 + 30 * noise((uint64_t)syllable) + 10 * sinf(turn * 0.4f * seconds);
        phase += pitch / rate;
        float pulse = phase >= 1 ? 1.0f : 0.0f;
        phase -= pulse;
        int is_voiced = syllable % 4 != 2;
        float source = is_voiced ? 40 * pulse : 2 * noise(i);
        float y = 0;
        for (int k = 0; k < 3; k++) {
            float base = is_voiced ? 500.0f + 900.0f * (float)k : 2500.0f + 1200.0f * (float)k;
            y += resonate(&formants[k],
                          base * (1 + 0.3f * noise((uint64_t)(syllable * 3 + k + 1000))), rate,
                          source);
        }
        left[i] = right[i] = 0.12f * y * loud + 0.0003f * noise(i + 1u);
    }
}

static void make_chords(float rate, float *left, float *right, size_t count)
{
    static const float roots[] = {220, 196, 174.6f, 164.8f};
    for (size_t i = 0; i < count; i++) {
        float seconds = (float)i / rate;
        int chord = (int)(seconds / 0.8f);
        float within = seconds - 0.8f * (float)chord;
        float loud = 0.1f * expf(-1.5f * within) * (1 - expf(-60 * within));
        left[i] = right[i] = 0.001f * noise(i);
        for (int k = 0; k < 3; k++) {
            float hz = roots[chord % 4] * (1 + 0.25f * (float)k);
            float phase = turn * hz * within + 0.7f * sinf(turn * 5.5f * within + (float)k);
            float y = 0;
            for (int h = 1; h <= 6; h++)
                y += sinf((float)h * phase) / (float)h;
            left[i] += loud * y * (0.2f + 0.3f * (float)k);
            right[i] += loud * y * (0.8f - 0.3f * (float)k);
        }
    }
}

// A click every so often: `gap_s` apart on average, dying away with `decay` a second.
static void make_clicks(float rate, float gap_s, float decay, float floor, float *left,
                        float *right, size_t count)
{
    size_t next = 0;
    uint64_t number = 0;
    float since = 1000;
    for (size_t i = 0; i < count; i++, since += 1 / rate) {
        if (i == next) {
            since = 0;
            number++;
            next += (size_t)(rate * gap_s * (1 + 0.8f * noise(number))) + 1;
        }
        float loud = 0.5f * expf(-decay * since);
        float pan = 0.5f + 0.4f * noise(number + 5000);
        left[i] = loud * pan * noise(2 * i) + floor * noise(2 * i + 1);
        right[i] = loud * (1 - pan) * noise(2 * i) + floor * noise(3 * i + 1);
    }
}

static void make_noise(float rate, float *left, float *right, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        float loud = 0.25f * (0.6f + 0.4f * sinf(turn * 0.7f * (float)i / rate));
        left[i] = loud * noise(2 * i);
        right[i] = loud * noise(2 * i + 1);
    }
}

static void make_sweeps(float rate, float *left, float *right, size_t count)
{
    float phase = 0;
    for (size_t i = 0; i < count; i++) {
        float within = fmodf((float)i / rate, 6.0f) / 6.0f;
        phase = fmodf(phase + turn * 40 * powf(0.45f * rate / 40, within) / rate, turn);
        left[i] = 0.5f * sinf(phase);
        right[i] = 0.4f * sinf(phase + 0.5f);
    }
}

void sound_make(enum sound kind, int rate_hz, float *left, float *right, size_t count)
{
    float rate = (float)rate_hz;
    switch (kind) {
    case SOUND_SPEECH:
        make_speech(rate, left, right, count);
        break;
    case SOUND_CHORDS:
        make_chords(rate, left, right, count);
        break;
    case SOUND_CASTANETS:
        make_clicks(rate, 0.15f, 150, 0.0001f, left, right, count);
        break;
    case SOUND_NOISE:
        make_noise(rate, left, right, count);
        break;
    case SOUND_BURSTS:
        make_clicks(rate, 1.7f, 20, 0.00003f, left, right, count);
        break;
    default:
        make_sweeps(rate, left, right, count);
    }
}
