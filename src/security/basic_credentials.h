#pragma once
// The Authorization header's Basic scheme (RFC 7617), read as UTF-8.

#include <stdbool.h>

enum { CREDENTIALS_NAME_SIZE = 255, CREDENTIALS_PASSWORD_SIZE = 1025 };

struct credentials {
    char name[CREDENTIALS_NAME_SIZE];
    char password[CREDENTIALS_PASSWORD_SIZE];
};

// False for another scheme, base 64 that is not canonical, no colon, an empty name, a NUL,
// malformed UTF-8, or a part that is too long. The password may contain colons and may be empty.
bool basic_credentials_parse(const char *header, struct credentials *out);

// Wipes them from memory.
void credentials_finish(struct credentials *credentials);
