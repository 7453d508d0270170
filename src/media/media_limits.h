#pragma once
// What a stranger's file may ask for. Everything that grows with the file's own claims has its
// ceiling here; the length is the caller's choice (--max-duration-ms).

enum {
    MEDIA_INDEX_BYTES = 64 * 1024 * 1024, // moov
    MEDIA_BOXES = 100000,                 // visited by our own parser
    MEDIA_TRACKS = 64,                    // seen by our own parser
    MEDIA_METADATA_PLACES = 8,            // udta and meta in moov that are kept from libavformat
    MEDIA_CHAPTER_TRACKS = 4,             // that one track may name
    MEDIA_EDITS = 4096,                   // of one track; libavformat repeats samples for each
    MEDIA_DESCRIPTIONS = 16,              // sample entries of one track that are used
    MEDIA_STREAMS = 16,                   // seen by libavformat
    MEDIA_PACKET_BYTES = 8 * 1024 * 1024,
    MEDIA_HEADER_PROCESSOR_MS = 5000, // libavformat looks each tag up among all others
    MEDIA_FRAME_SAMPLES = 256 * 1024,
    MEDIA_CHANNELS = 8,
    MEDIA_LOWEST_RATE_HZ = 4000,
    MEDIA_HIGHEST_RATE_HZ = 192000,
    MEDIA_ALLOCATION_BYTES = 256 * 1024 * 1024, // one allocation of libav
    MEDIA_TAG_BYTES = 1024,                     // one text of a tag
    MEDIA_TRACK_NAME_SIZE = 128,
};
