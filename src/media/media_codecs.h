#pragma once
// The decoders that strangers' files may reach. A short list on purpose: each one is attack
// surface, and these are what cameras, phones, browsers and editors put into MP4 and MOV.

#include <libavcodec/avcodec.h>
#include <stdbool.h>

// The decoder for the codec, NULL when it is not on the list.
const AVCodec *media_codec_find(enum AVCodecID id);

// Whether the decoder would take a bounded amount of memory. ALAC's takes at once what its
// configuration calls the longest frame, 16 million samples if it says so.
bool media_codec_is_bounded(const AVCodecParameters *parameters);

// The same list in libavformat's notation, for AVFormatContext.codec_whitelist.
extern const char media_codec_whitelist[];
