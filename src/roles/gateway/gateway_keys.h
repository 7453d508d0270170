#pragma once
// The public keys of auth, shared by the workers: the last good JWKS stays in force when auth does
// not answer, so people who are logged in go on.
//
// A thread asks each second until there is a first set. Later sets are fetched when a token names
// an unknown key, at most every 10 s.

#include "base/error.h"
#include "base/scope.h"
#include "security/token.h"

#include <stdbool.h>

struct gateway_keys;

struct gateway_keys *gateway_keys_start(const char *auth_url, struct error *err);
void gateway_keys_stop(struct gateway_keys *keys);
SCOPE_DEFINE(gateway_keys_stop, struct gateway_keys *);

bool gateway_keys_are_known(struct gateway_keys *keys, struct error *err);

// One thread's parsed copy; zeroed at first.
struct gateway_keys_copy {
    struct token_keys *parsed;
    unsigned version;
};
void gateway_keys_copy_finish(struct gateway_keys_copy *copy);

enum gateway_keys_answer {
    GATEWAY_KEYS_ANSWERED,    // `out_answer` holds what the token is worth
    GATEWAY_KEYS_UNAVAILABLE, // no keys yet, or a new key that auth could not be asked about
};
// Brings the copy up to date and checks the token with it.
enum gateway_keys_answer gateway_keys_verify(struct gateway_keys *keys,
                                             struct gateway_keys_copy *copy, const char *token,
                                             enum token_answer *out_answer,
                                             struct token_claims *out);
