#pragma once
// Addresses of peers, networks of trusted proxies, and the addresses we listen on.

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_network {
    int family;
    uint8_t bytes[16];
    int prefix_bits;
};

// "127.0.0.1, 10.0.0.0/8, fd00::/8" into a list that the caller frees.
bool http_address_parse_networks(const char *text, struct http_network **out, size_t *out_count,
                                 struct error *err);
bool http_address_is_trusted(const struct http_network *networks, size_t count, bool is_unix,
                             const char *address);

// The rightmost address of an X-Forwarded-For list that is no trusted proxy; NULL when there is
// none or the list is malformed before it is found. The caller frees it.
char *http_address_forwarded(const struct http_network *networks, size_t count, const char *list);

// Listens on "127.0.0.1:8080", "[::]:80", ":8080" or "unix:/path". -1 on failure. `out_port` is 0
// for a unix socket; a stale socket file is replaced, one that answers is not.
int http_address_listen(const char *listen_on, int *out_port, struct error *err);
