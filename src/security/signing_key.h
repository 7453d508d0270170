#pragma once
// The private half of access tokens: for the auth role only.

#include "security/token.h"

struct signing_key;

// Reads the key file (mode 0600, 64 hex digits of seed); makes one when it is absent. INVALID when
// others can read it or the group can write it. `path` may be a secret mounted read-only, 0400 or
// 0440.
struct signing_key *signing_key_open(const char *path, struct error *err);
// Makes a file with a new key. CONFLICT when there is one of that name.
bool signing_key_make(const char *path, struct error *err);
// A new key as the text of such a file.
enum { SIGNING_KEY_TEXT_SIZE = 66 }; // 64 digits, the line's end, NUL
bool signing_key_text(char out[SIGNING_KEY_TEXT_SIZE], struct error *err);
void signing_key_destroy(struct signing_key *key);
SCOPE_DEFINE(signing_key_destroy, struct signing_key *);

// Signs `claims`; issued_at_s and expires_at_s are taken as they are.
void token_sign(const struct signing_key *key, const struct token_claims *claims,
                char out[TOKEN_TEXT_SIZE]);

// {"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":…,"x":…}]}; kid is the RFC
// 7638 thumbprint. The caller frees it.
char *signing_key_jwks(const struct signing_key *key);
