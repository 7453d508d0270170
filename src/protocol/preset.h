#pragma once
// The names of the MP3 settings that a user can choose; what each means stands in the table of
// preset.c.
//
//     best      VBR V0        standard  VBR V2 (default)      small  VBR V5
//     voice     VBR V5, mono, at most 24 kHz: for speech
//     cbr128 cbr192 cbr256 cbr320   constant bit rate in kbit/s

#include <stdbool.h>
#include <stddef.h>

struct preset {
    const char *name;
    const char *summary; // one line for --help and the page
    bool is_constant;
    int quality;      // VBR: LAME's V number
    int bitrate_kbps; // CBR
    bool is_mono;
    int highest_rate_hz; // 0: no limit
};

#define PRESET_DEFAULT "standard"

const struct preset *preset_find(const char *name); // NULL if there is none
// Walks the table: NULL past the end.
const struct preset *preset_at(size_t index);
