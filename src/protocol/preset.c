#include "protocol/preset.h"

#include <string.h>

static const struct preset presets[] = {
    {.name = "best", .summary = "best quality, about 245 kbit/s (VBR V0)", .quality = 0},
    {.name = "standard",
     .summary = "hard to tell from the source, about 190 kbit/s (VBR V2)",
     .quality = 2},
    {.name = "small", .summary = "good on the go, about 130 kbit/s (VBR V5)", .quality = 5},
    {.name = "voice",
     .summary = "for speech: mono, at most 24 kHz, about 40 kbit/s (VBR V5)",
     .quality = 5,
     .is_mono = true,
     .highest_rate_hz = 24000},
    {.name = "cbr128",
     .summary = "constant 128 kbit/s, for players that need it",
     .is_constant = true,
     .bitrate_kbps = 128},
    {.name = "cbr192", .summary = "constant 192 kbit/s", .is_constant = true, .bitrate_kbps = 192},
    {.name = "cbr256", .summary = "constant 256 kbit/s", .is_constant = true, .bitrate_kbps = 256},
    {.name = "cbr320",
     .summary = "constant 320 kbit/s, the most an MP3 can have",
     .is_constant = true,
     .bitrate_kbps = 320},
};

const struct preset *preset_at(size_t index)
{
    return index < sizeof presets / sizeof presets[0] ? &presets[index] : NULL;
}

const struct preset *preset_find(const char *name)
{
    const struct preset *preset;
    for (size_t i = 0; (preset = preset_at(i)) != NULL; i++)
        if (strcmp(preset->name, name) == 0)
            return preset;
    return NULL;
}
