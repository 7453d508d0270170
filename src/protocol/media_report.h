#pragma once
// What the media child says on its report descriptor: lines of text, at most 512 bytes each.
//
//     confined seccomp no_new_privs rlimits landlock      the first line, before a byte is read
//     progress 137                          permille
//     done duration_ms=180021               the MP3 is complete on the output descriptor; where a
//         loudness was wanted, behind it loudness_centi_lufs=-2305 (but not where there was only
//         silence) and gain_centi_db=705
//     fail no_audio This video has no audio track.
//
// A child that ends without `done` or `fail` has crashed or was killed. The reader trusts nothing:
// a malformed line is ignored and counts as a crash if it was the last one.

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MEDIA_CODE_SIZE = 32, MEDIA_DETAIL_SIZE = 240 };

enum media_report_kind {
    MEDIA_PROGRESS,
    MEDIA_DONE,
    MEDIA_FAIL,
    MEDIA_MALFORMED,
    MEDIA_CONFINED,
};

struct media_report {
    enum media_report_kind kind;
    int progress_permille;
    int64_t duration_ms;
    unsigned layers; // CONFINED: a set of protocol/confinement.h
    bool has_loudness, has_gain;
    int64_t loudness_centi_lufs; // of the source
    int64_t gain_centi_db;
    char code[MEDIA_CODE_SIZE];
    char detail[MEDIA_DETAIL_SIZE];
};

void media_report_parse(const char *line, size_t size, struct media_report *out);
// One line with its '\n'; returns its length, at most out_size-1.
size_t media_report_format(const struct media_report *report, char *out, size_t out_size);

// Whether the file itself is the reason; if not, it is worth another try.
bool media_code_is_permanent(const char *code);
// The plain sentence for people that goes with a code; a general one for an unknown code.
const char *media_code_sentence(const char *code);
