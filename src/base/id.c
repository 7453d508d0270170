#include "base/id.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void random_bytes(void *out, size_t size)
{
    char *at = out;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0 && errno != EINTR)
            abort();
        if (got > 0) {
            at += got;
            size -= (size_t)got;
        }
    }
}

uint64_t id_random_u64(void)
{
    uint64_t value;
    random_bytes(&value, sizeof value);
    return value;
}

static void encode_tail(const unsigned char *random, char *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = alphabet[random[i] & 31];
    out[count] = '\0';
}

void id_new(char out[ID_SIZE])
{
    uint64_t ms = (uint64_t)clock_now_ms();
    for (int i = 9; i >= 0; i--) {
        out[i] = alphabet[ms & 31];
        ms >>= 5;
    }
    unsigned char random[16];
    random_bytes(random, sizeof random);
    encode_tail(random, out + 10, 16);
}

bool id_is_valid(const char *text)
{
    return strlen(text) == ID_SIZE - 1 && strspn(text, alphabet) == ID_SIZE - 1 && text[0] <= '7';
}

void token_new(char out[TOKEN_SIZE])
{
    unsigned char random[TOKEN_SIZE - 1];
    random_bytes(random, sizeof random);
    encode_tail(random, out, TOKEN_SIZE - 1);
}
