#pragma once
// The boxes of an MP4 or MOV (ISO/IEC 14496-12, QuickTime file format), read by a small strict
// parser before libavformat sees the file: which tracks there are, whether they are encrypted,
// whether all of the file is there. It reads headers in place and allocates nothing.

#include "media/media_failure.h"
#include "media/media_languages.h"
#include "media/media_limits.h"

#include <stdbool.h>
#include <stdint.h>

// Where the entries of a table of the sample table box lie.
struct media_table {
    int64_t count_offset; // of the 32-bit count; 0: there is no such table
    int64_t offset;       // of the first entry
    uint32_t count;
};

struct media_track {
    int64_t type_offset; // of the four letters "trak"
    uint32_t id;
    uint32_t handler; // 'soun', 'vide', ...
    uint32_t format;  // the first sample entry's type: 'mp4a', ...
    uint32_t format_count;
    int64_t formats_offset; // of the first sample entry in stsd
    int64_t formats_end;
    char language[MEDIA_LANGUAGE_SIZE];         // of elng, else of mdhd; "": not known
    char name[MEDIA_TRACK_NAME_SIZE];           // that somebody gave it; "": none
    uint32_t chapter_ids[MEDIA_CHAPTER_TRACKS]; // of tracks that hold its chapters; 0: none
    bool is_enabled;
    bool is_encrypted;
    uint32_t timescale;
    uint64_t duration;          // in its own timescale
    struct media_table times;   // stts
    struct media_table chunks;  // stsc
    struct media_table sizes;   // stsz
    struct media_table offsets; // stco or co64
    struct media_table edits;   // elst
    uint32_t fixed_size_bytes;  // stsz: every sample's size, if not 0
    uint32_t compact_size_bits; // stz2: 4, 8 or 16; 0: it is an stsz
    bool has_wide_offsets;      // co64
    bool has_wide_edits;        // elst of version 1
};

// What a track's samples in fragments have, where a fragment says nothing else (trex).
struct media_fragment_defaults {
    uint32_t track_id;
    uint32_t description; // sample entry, from 1
    uint32_t duration;
    uint32_t size_bytes;
};

struct media_boxes {
    int64_t file_bytes;
    uint32_t brand;      // the major one; 0: none
    int64_t index_start; // of what is in moov
    int64_t index_end;
    int64_t metadata_offsets[MEDIA_METADATA_PLACES]; // of the types of udta and meta; 0: no more
    uint32_t timescale;
    uint64_t duration;
    bool is_fragmented;
    uint64_t fragments_duration; // mehd; 0: not said
    unsigned defaults_count;
    struct media_fragment_defaults defaults[MEDIA_TRACKS];
    unsigned track_count;
    struct media_track tracks[MEDIA_TRACKS];
};

#define MEDIA_FOURCC(a, b, c, d)                                                                   \
    ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

// Codes: empty, not_media, truncated, too_complex; internal when the file cannot be read.
bool media_boxes_read(int fd, struct media_boxes *out, struct media_failure *why);

// The audio track that is `wanted`: a number counts them from 1 in the file's order, anything else
// is a language (media_language_is). Of several the first that is enabled, else the first; "" or
// NULL wants any. Codes: no_audio, no_such_track, encrypted.
const struct media_track *media_boxes_choose_audio(const struct media_boxes *boxes,
                                                   const char *wanted, struct media_failure *why);

// Whether every chunk of the track starts inside the file. Codes: truncated, internal.
bool media_boxes_check_offsets(int fd, const struct media_boxes *boxes,
                               const struct media_track *track, struct media_failure *why);
