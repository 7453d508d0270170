#include "http/http_router.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

// One bit a segment, 1 for a literal, the leftmost segment highest: the larger the better. -1 when
// the pattern does not match. `out` may be NULL.
static int match_pattern(const char *pattern, const struct http_target *target,
                         struct http_match *out)
{
    int score = 0;
    size_t i = 0;
    assert(pattern[0] == '/');
    for (const char *next = pattern + 1; next != NULL; i++) {
        const char *segment = next;
        size_t size = strcspn(segment, "/");
        next = segment[size] == '/' ? segment + size + 1 : NULL;
        if (i >= target->segments_count)
            return -1;
        const char *value = target->segments[i];
        if (segment[0] != '{') {
            if (strlen(value) != size || memcmp(value, segment, size) != 0)
                return -1;
            score |= 1 << (HTTP_SEGMENTS_LIMIT - i);
            continue;
        }
        if (value[0] == '\0')
            return -1;
        if (out != NULL) {
            assert(out->parameters_count < HTTP_PARAMETERS_LIMIT);
            out->parameters[out->parameters_count].name = segment + 1;
            out->parameters[out->parameters_count].name_size = size - 2;
            out->parameters[out->parameters_count++].value = value;
        }
    }
    return i == target->segments_count ? score : -1;
}

static void allow(struct http_match *match, const char *method)
{
    size_t used = strlen(match->allow);
    size_t size = strlen(method);
    for (const char *at = match->allow; (at = strstr(at, method)) != NULL; at += size)
        if ((at == match->allow || at[-1] == ' ') && (at[size] == ',' || at[size] == '\0'))
            return;
    snprintf(match->allow + used, sizeof match->allow - used, "%s%s", used > 0 ? ", " : "", method);
}

// 2: exactly this method; 1: GET stands in for HEAD; 0: another one.
static int method_rank(const char *route_method, const char *method)
{
    if (strcmp(route_method, method) == 0)
        return 2;
    return strcmp(method, "HEAD") == 0 && strcmp(route_method, "GET") == 0 ? 1 : 0;
}

void http_router_find(const struct http_route *routes, size_t count, const char *method,
                      const struct http_target *target, struct http_match *out)
{
    *out = (struct http_match){0};
    int best = -1;
    for (size_t i = 0; i < count; i++) {
        int score = match_pattern(routes[i].pattern, target, NULL);
        if (score < 0)
            continue;
        allow(out, routes[i].method);
        if (strcmp(routes[i].method, "GET") == 0)
            allow(out, "HEAD");
        int rank = method_rank(routes[i].method, method);
        if (rank == 0 || score * 2 + rank <= best)
            continue;
        best = score * 2 + rank;
        out->route = &routes[i];
    }
    if (out->allow[0] != '\0')
        allow(out, "OPTIONS");
    if (out->route != NULL)
        match_pattern(out->route->pattern, target, out);
}
