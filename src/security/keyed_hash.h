#pragma once
// SipHash-2-4: short hashes for tables whose keys strangers choose. Without the key nobody can aim
// at a place in the table.

#include <stddef.h>
#include <stdint.h>

enum { KEYED_HASH_KEY_SIZE = 16 };

uint64_t keyed_hash(const unsigned char key[KEYED_HASH_KEY_SIZE], const void *bytes, size_t size);
