#pragma once
// Access tokens: JWTs signed with Ed25519 (RFC 7519, RFC 8037). This is the half that everybody may
// know: claims, and checking against the public keys of a JWKS.
//
// The algorithm is fixed: `alg` must be EdDSA, `typ` at+jwt or JWT, no `crit`, exactly two dots,
// canonical base64url; the signature is checked before a claim is read. Leeway 30 s.

#include "base/error.h"
#include "base/id.h"
#include "base/scope.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TOKEN_EMAIL_SIZE = 255, TOKEN_KID_SIZE = 48, TOKEN_TEXT_SIZE = 1024 };

struct token_claims {
    char account[ID_SIZE]; // sub
    char session[ID_SIZE]; // sid
    char email[TOKEN_EMAIL_SIZE];
    char role[16];
    int64_t issued_at_s, expires_at_s;
};

// A set of public keys. It never changes once parsed: several threads may verify with it.
struct token_keys;
struct token_keys *token_keys_parse(const char *jwks_json, size_t size, struct error *err);
void token_keys_destroy(struct token_keys *keys);
SCOPE_DEFINE(token_keys_destroy, struct token_keys *);

enum token_answer { TOKEN_VALID, TOKEN_UNKNOWN_KEY, TOKEN_EXPIRED, TOKEN_INVALID };

enum token_answer token_verify(const struct token_keys *keys, const char *token, int64_t now_s,
                               struct token_claims *out);
