#pragma once
// The ID3v2.3 tag in front of the MP3, in UTF-16: what old players and cars read too. Texts, the
// cover (APIC) and the chapters (CHAP, CTOC); nothing of the container's housekeeping gets in.

#include "base/buf.h"
#include "media/media_metadata.h"

// No tag is larger. Chapters of the longest titles take some 2 MiB.
enum { MEDIA_TAGS_BYTES = MEDIA_COVER_BYTES + 4 * 1024 * 1024 };

// Appends the tag, or nothing when there is nothing to say; `out` holds MEDIA_TAGS_BYTES. The
// file's own title wins over `fallback_title`, which may be NULL. Reads the cover from the file;
// one that cannot be read is left out.
void media_tags_write(const struct media_metadata *metadata, const char *fallback_title,
                      struct buf *out);

// One text as UTF-16LE behind its byte order mark; malformed UTF-8 becomes U+FFFD.
void media_tags_utf16(const char *text, struct buf *out);
