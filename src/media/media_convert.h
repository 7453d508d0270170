#pragma once
// The pipeline: source, decoder, resampler, encoder, sink. Everything in memory at once is a
// packet, a frame and the encoder's state, whatever the length of the file.
//
// Where a loudness is wanted, all that is selected is decoded twice: to measure what the MP3 would
// hold, then to encode it with one gain.

#include "media/media_failure.h"
#include "media/media_loudness.h"
#include "protocol/choices.h"

#include <stdbool.h>
#include <stdint.h>

struct media_encoder;

struct media_job {
    int source_fd;                 // seekable
    int output_fd;                 // seekable, empty; the MP3 starts at its first byte
    const struct choices *choices; // checked
    const char *title;             // for a file without one of its own; may be NULL
    int64_t max_duration_ms;       // 0: no limit
    struct media_encoder *encoder; // created before this process confined itself; borrowed, used up
    // Told the progress in permille, often; false stops with the code `cancelled`.
    bool (*report)(void *context, int permille);
    void *context;
};

struct media_result {
    int64_t duration_ms;
    int64_t samples;
    struct media_level level; // where a loudness was wanted: before the gain
    double gain_db;           // 0 without
};

// On failure the output holds no complete MP3.
bool media_convert(const struct media_job *job, struct media_result *out,
                   struct media_failure *why);

// The result as the report's last line says it.
void media_convert_report(const struct media_job *job, const struct media_result *result,
                          struct media_report *out);
