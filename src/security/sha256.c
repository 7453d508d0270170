#include "security/sha256.h"

#include "base/text.h"

#include <openssl/evp.h>
#include <stdlib.h>

void sha256_bytes(const void *bytes, size_t size, unsigned char out[SHA256_SIZE])
{
    // It fails only without memory, or where the machine's policy forbids SHA-256.
    if (EVP_Digest(bytes, size, out, NULL, EVP_sha256(), NULL) != 1)
        abort();
}

void sha256_hex(const void *bytes, size_t size, char out[SHA256_HEX_SIZE])
{
    unsigned char digest[SHA256_SIZE];
    sha256_bytes(bytes, size, digest);
    text_hex(digest, sizeof digest, out);
}
