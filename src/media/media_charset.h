#pragma once
// Texts of strangers' files as clean UTF-8: control characters become spaces, malformed sequences
// U+FFFD, and the space around the text goes. A NUL ends the text.

#include <stdbool.h>
#include <stddef.h>

enum media_charset {
    MEDIA_CHARSET_UTF8,
    MEDIA_CHARSET_UTF16, // big endian, unless a byte order mark says otherwise
    // As a byte order mark says; else UTF-8 if it is that, else the classic Mac OS's Roman letters.
    MEDIA_CHARSET_GUESSED,
};

// A new text of at most limit_bytes; NULL when nothing is left of it. With `has_lines` the ends
// of lines stay, as '\n'. Bytes as many as the limit or more may have been cut by their reader.
char *media_charset_decode(enum media_charset charset, const void *bytes, size_t size,
                           bool has_lines, size_t limit_bytes);
