#pragma once
// The ID3v2.3 tag in front of the MP3, in UTF-16: what old players and cars read too. Nothing of
// the container's housekeeping gets in. The place for cover art (APIC) and chapters (CHAP, CTOC).

#include "base/buf.h"

struct AVDictionary;

// Appends the tag, or nothing when there is no text for it. The file's own title wins over
// `fallback_title`, which may be NULL.
void media_tags_write(const struct AVDictionary *tags, const char *fallback_title, struct buf *out);

// One text as UTF-16LE behind its byte order mark; malformed UTF-8 becomes U+FFFD.
void media_tags_utf16(const char *text, struct buf *out);
