#pragma once
// A track's audio decoder. A track may have several sample entries, each with a codec and settings
// of its own; where the packets go over to another one, a new decoder goes on.

#include "base/scope.h"
#include "media/media_boxes.h"

struct AVCodecParameters;
struct AVFrame;
struct AVPacket;
struct media_decoder;

// `first` are the parameters of the first sample entry. Borrows nothing. Codes: not_media,
// too_complex, unsupported_codec, internal.
struct media_decoder *media_decoder_open(int fd, const struct media_boxes *boxes,
                                         const struct media_track *track,
                                         const struct AVCodecParameters *first,
                                         struct media_failure *why);
void media_decoder_close(struct media_decoder *decoder);
SCOPE_DEFINE(media_decoder_close, struct media_decoder *);

// As avcodec_send_packet and avcodec_receive_frame; all frames must be received before the next
// packet is sent. A NULL packet drains.
int media_decoder_send(struct media_decoder *decoder, const struct AVPacket *packet,
                       uint32_t description);
int media_decoder_receive(struct media_decoder *decoder, struct AVFrame *frame);

// Forgets all sound: the next packet comes from elsewhere, or after a drain.
void media_decoder_reset(struct media_decoder *decoder);

// How much must be decoded and thrown away in front of a place until the sound there is whole.
int media_decoder_warm_up_ms(const struct media_decoder *decoder);

// As media_samples_open wants it.
void media_decoder_pcm_frame_bytes(const struct media_decoder *decoder,
                                   int out[MEDIA_DESCRIPTIONS]);
