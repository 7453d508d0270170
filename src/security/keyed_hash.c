#include "security/keyed_hash.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static_assert(KEYED_HASH_KEY_SIZE == crypto_shorthash_KEYBYTES, "SipHash");

uint64_t keyed_hash(const unsigned char key[KEYED_HASH_KEY_SIZE], const void *bytes, size_t size)
{
    uint64_t hash;
    unsigned char out[crypto_shorthash_BYTES];
    crypto_shorthash(out, bytes, size, key);
    memcpy(&hash, out, sizeof hash);
    return hash;
}
