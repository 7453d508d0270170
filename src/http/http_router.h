#pragma once
// Finds the route of a method and a path. Pure. A literal segment beats a parameter, from the left;
// the order of the table does not matter.

#include "http/http.h"
#include "http/http_guard.h"

enum { HTTP_PARAMETERS_LIMIT = 4, HTTP_ALLOW_SIZE = 96 };

struct http_match {
    const struct http_route *route; // NULL: none
    char allow[HTTP_ALLOW_SIZE];    // methods of this path, for `Allow`; "" when it is unknown
    size_t parameters_count;
    struct {
        const char *name; // as in the pattern, up to '}'
        size_t name_size;
        const char *value; // the target's segment
    } parameters[HTTP_PARAMETERS_LIMIT];
};

void http_router_find(const struct http_route *routes, size_t count, const char *method,
                      const struct http_target *target, struct http_match *out);
