#pragma once
// Identifiers and secrets from the kernel's random numbers.
//
// An id is a ULID: 48 bits of time, 80 random bits, 26 characters of Crockford's base 32; ids made
// later sort later. It orders, it is no secret. A token is 128 or more random bits and a secret.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ID_SIZE = 27, TOKEN_SIZE = 27 }; // with the NUL

void id_new(char out[ID_SIZE]);

// Exactly 26 characters of the alphabet, upper case, first one '0'..'7'.
bool id_is_valid(const char *text);

// 130 random bits in the same alphabet.
void token_new(char out[TOKEN_SIZE]);

void random_bytes(void *out, size_t size);
uint64_t id_random_u64(void);
