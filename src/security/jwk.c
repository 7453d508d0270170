#include "security/jwk.h"

#include "security/base64.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>

static_assert(TOKEN_KID_SIZE >= BASE64URL_SIZE(crypto_hash_sha256_BYTES), "a thumbprint fits");

void jwk_thumbprint(const unsigned char public_key[JWK_PUBLIC_SIZE], char out[TOKEN_KID_SIZE])
{
    char x[BASE64URL_SIZE(JWK_PUBLIC_SIZE)];
    base64url_encode(public_key, JWK_PUBLIC_SIZE, x);
    char text[128];
    int size = snprintf(text, sizeof text, "{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"%s\"}", x);
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, (const unsigned char *)text, (size_t)size);
    base64url_encode(hash, sizeof hash, out);
}
