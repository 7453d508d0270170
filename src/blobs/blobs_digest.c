#include "blobs/blobs_digest.h"

#include "base/alloc.h"
#include "base/text.h"

#include <assert.h>
#include <openssl/evp.h>

struct blob_digest {
    EVP_MD_CTX *context;
};

struct blob_digest *blob_digest_create(void)
{
    struct blob_digest *digest = alloc_zeroed(1, sizeof *digest);
    digest->context = EVP_MD_CTX_new();
    bool is_started =
        digest->context != NULL && EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL) == 1;
    assert(is_started);
    return digest;
}

void blob_digest_destroy(struct blob_digest *digest)
{
    if (digest == NULL)
        return;
    EVP_MD_CTX_free(digest->context);
    free(digest);
}

void blob_digest_add(struct blob_digest *digest, const void *bytes, size_t size)
{
    bool is_added = EVP_DigestUpdate(digest->context, bytes, size) == 1;
    assert(is_added);
}

void blob_digest_finish(struct blob_digest *digest, char out[BLOB_SHA256_SIZE])
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    bool is_done = EVP_DigestFinal_ex(digest->context, sum, &size) == 1;
    assert(is_done && size == 32);
    text_hex(sum, size, out);
}
