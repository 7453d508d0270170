#pragma once
// What strangers send in names and headers, read strictly. Pure functions.

#include "jobs/jobs.h"

#include <stdbool.h>

enum { GATEWAY_NAME_SIZE = 201 };

// The last component of what a client calls its file, as one clean line of at most 200 bytes;
// "video.mp4" when nothing is left. `name` may be NULL.
void gateway_file_name(const char *name, char out[GATEWAY_NAME_SIZE]);

// The name of the MP3 made from that file: its ending becomes ".mp3".
void gateway_audio_name(const char *name, char out[JOBS_NAME_SIZE + 4]);

// A valid W3C traceparent is kept; anything else (NULL too) is replaced by a new one.
void gateway_traceparent(const char *header, char out[JOBS_TRACE_SIZE]);

// RFC 6454: the origin a browser sent is this server's own scheme and host. Default ports may be
// written or left out; "null" and NULL never match.
bool gateway_origin_is_own(const char *origin, const char *scheme, const char *host);

// 1 to 128 printable ASCII characters.
bool gateway_is_idempotency_key(const char *text);

// The credentials of an `Authorization: Bearer …` header; NULL for another scheme.
const char *gateway_bearer(const char *authorization);
