#pragma once
// Kinds of sound that an encoder treats differently, made from nothing, the same each time.

#include <stddef.h>

enum sound {
    SOUND_SPEECH,    // voiced and unvoiced syllables with pauses, the same on both sides
    SOUND_CHORDS,    // held chords with vibrato, spread from left to right
    SOUND_CASTANETS, // sharp attacks out of near silence
    SOUND_NOISE,     // swelling, different on both sides
    SOUND_BURSTS,    // seconds of near silence between loud bursts
    SOUND_SWEEPS,    // a sine through all frequencies
    SOUND_KINDS,
};

const char *sound_name(enum sound kind);

// `left` and `right` get the samples from the start of the sound on.
void sound_make(enum sound kind, int rate_hz, float *left, float *right, size_t count);
