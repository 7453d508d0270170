#pragma once
// Base 64 in its two strict forms (RFC 4648): what is not canonical is refused, so that one value
// has one text only.

#include <stdbool.h>
#include <stddef.h>

// Fills `out` and `out_size`; false when the text is not canonical or more than `limit` bytes long.
bool base64_decode(const char *text, size_t text_size, void *out, size_t limit, size_t *out_size);

// The alphabet for URLs, without padding: JWT and JWK.
bool base64url_decode(const char *text, size_t text_size, void *out, size_t limit,
                      size_t *out_size);

// `out` holds BASE64URL_SIZE(size).
#define BASE64URL_SIZE(size) (((size)*4 + 2) / 3 + 1)
void base64url_encode(const void *bytes, size_t size, char *out);
