#include "security/base64.h"

#include <sodium.h>

static bool decode(const char *text, size_t text_size, int variant, void *out, size_t limit,
                   size_t *out_size)
{
    // Without an end pointer libsodium refuses whatever it cannot read to the last byte.
    return sodium_base642bin(out, limit, text, text_size, NULL, out_size, NULL, variant) == 0;
}

bool base64_decode(const char *text, size_t text_size, void *out, size_t limit, size_t *out_size)
{
    return decode(text, text_size, sodium_base64_VARIANT_ORIGINAL, out, limit, out_size);
}

bool base64url_decode(const char *text, size_t text_size, void *out, size_t limit, size_t *out_size)
{
    return decode(text, text_size, sodium_base64_VARIANT_URLSAFE_NO_PADDING, out, limit, out_size);
}

void base64url_encode(const void *bytes, size_t size, char *out)
{
    sodium_bin2base64(out, BASE64URL_SIZE(size), bytes, size,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}
