#pragma once
// SHA-256 (FIPS 180-4) of bytes in memory: under it tokens lie in the database.

#include <stddef.h>

enum { SHA256_SIZE = 32, SHA256_HEX_SIZE = 65 };

void sha256_bytes(const void *bytes, size_t size, unsigned char out[SHA256_SIZE]);

// Lower-case hex with a NUL.
void sha256_hex(const void *bytes, size_t size, char out[SHA256_HEX_SIZE]);
