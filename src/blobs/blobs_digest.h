#pragma once
// A SHA-256 that grows with a stream. libcrypto's EVP uses the processor's instructions.

#include "base/scope.h"
#include "blobs/blobs.h"

struct blob_digest;

struct blob_digest *blob_digest_create(void);
void blob_digest_destroy(struct blob_digest *digest); // takes NULL
SCOPE_DEFINE(blob_digest_destroy, struct blob_digest *);

void blob_digest_add(struct blob_digest *digest, const void *bytes, size_t size);
void blob_digest_finish(struct blob_digest *digest, char out[BLOB_SHA256_SIZE]); // once
