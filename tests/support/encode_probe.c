// Encodes a made sound on some threads and by LAME alone, and prints what a decoder hears of the
// difference: for minutes of sound, which are too long for a test.
//
//     encode-probe KIND SECONDS RATE CHANNELS PRESET THREADS [SEGMENT_FRAMES [LEAD_IN [EXACT]]]
#include "base/file.h"
#include "lame_stream.h"
#include "media/media_encode.h"
#include "media/media_segments.h"
#include "serial_lame.h"
#include "sounds.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum sound kind_of(const char *name)
{
    int kind = 0;
    while (kind < SOUND_KINDS && strcmp(sound_name((enum sound)kind), name) != 0)
        kind++;
    assert(kind < SOUND_KINDS);
    return (enum sound)kind;
}

int main(int argument_count, char **arguments)
{
    assert(argument_count >= 7);
    enum sound kind = kind_of(arguments[1]);
    struct media_format format = {.rate_hz = (int)strtol(arguments[3], NULL, 10),
                                  .channels = (int)strtol(arguments[4], NULL, 10)};
    const struct preset *preset = preset_find(arguments[5]);
    size_t count = (size_t)(strtod(arguments[2], NULL) * format.rate_hz);
    struct media_rules rules = media_rules_usual;
    if (argument_count > 7)
        rules.segment_frames = (int)strtol(arguments[7], NULL, 10);
    if (argument_count > 8)
        rules.lead_in_frames = (int)strtol(arguments[8], NULL, 10);
    if (argument_count > 9)
        rules.exact_frames = (int)strtol(arguments[9], NULL, 10);
    rules.is_never_joined = rules.exact_frames < 0;
    assert(preset != NULL);

    struct sound_samples sound = {0};
    sound_samples_make(&sound, kind, format, count);
    struct encoded ours, serial;
    encoded_by_threads(&ours, &sound, preset, (int)strtol(arguments[6], NULL, 10), &rules);
    encoded_by_lame(&serial, &sound, preset);
    struct difference difference;
    encoded_compare(&ours, &serial, &sound, &difference);
    printf("%s %dHz %d %s: segments %" PRId64 " joins %" PRId64 " thrown away %" PRId64
           " spare frames %.2f%% bytes %+.3f%% frames %+" PRId64 " different samples %" PRId64
           " of %" PRId64 " snr %.3f serial %.3f worst frame %.2f dB\n",
           sound_name(kind), format.rate_hz, format.channels, preset->name, ours.result.segments,
           ours.result.joins, ours.result.thrown_away,
           100.0 * (double)ours.result.spare_frames / (double)serial.frames,
           100.0 * (double)((int64_t)ours.bytes.size - (int64_t)serial.bytes.size) /
               (double)serial.bytes.size,
           ours.frames - serial.frames, difference.samples, (int64_t)(count * 2), difference.snr_db,
           difference.serial_snr_db, difference.worst_db);
    encoded_finish(&ours);
    encoded_finish(&serial);
    sound_samples_finish(&sound);
    return 0;
}
