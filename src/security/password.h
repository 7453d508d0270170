#pragma once
// Passwords as argon2id (RFC 9106: 46 MiB, one pass, one lane), PHC strings. For the auth role and
// `unreel user` only.

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { PASSWORD_MIN_LENGTH = 8, PASSWORD_MAX_BYTES = 1024, PASSWORD_HASH_TEXT_SIZE = 128 };

bool password_start(struct error *err); // once, before the others

// 8 characters to 1024 bytes of UTF-8, no control characters, not one of the commonest, not the
// address itself. INVALID says which.
bool password_check(const char *password, const char *email, struct error *err);

bool password_hash(const char *password, char out[PASSWORD_HASH_TEXT_SIZE], struct error *err);

// `hash` NULL takes the same time and answers false: there is no such account.
bool password_verify(const char *password, const char *hash);

// Made with other parameters than today's.
bool password_needs_rehash(const char *hash);

// At most `limit` hashes are computed at a time in this process (46 MiB each). Waits for a place at
// most that long.
bool password_slot_take(int timeout_ms);
void password_slot_give(void);
void password_slots(int limit);
