#include "roles/gateway/gateway_text.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char fallback_name[] = "video.mp4";

static bool is_separator(char c)
{
    return c == '/' || c == '\\';
}

void gateway_file_name(const char *name, char out[GATEWAY_NAME_SIZE])
{
    const char *last = name == NULL ? "" : name;
    for (const char *at = last; *at != '\0'; at++)
        if (is_separator(*at))
            last = at + 1;
    while (*last == ' ')
        last++;
    text_clean(out, GATEWAY_NAME_SIZE, last, strlen(last));
    size_t size = strlen(out);
    while (size > 0 && out[size - 1] == ' ')
        out[--size] = '\0';
    const char *start = out + strspn(out, " ");
    memmove(out, start, strlen(start) + 1);
    if (out[0] == '\0' || strcmp(out, ".") == 0 || strcmp(out, "..") == 0)
        memcpy(out, fallback_name, sizeof fallback_name);
}

void gateway_audio_name(const char *name, char out[JOBS_NAME_SIZE + 4])
{
    const char *dot = strrchr(name, '.');
    bool has_ending = dot != NULL && dot != name && strlen(dot) <= 5 && strchr(dot, ' ') == NULL;
    size_t stem = has_ending ? (size_t)(dot - name) : strlen(name);
    if (stem > JOBS_NAME_SIZE - 1)
        stem = JOBS_NAME_SIZE - 1;
    memcpy(out, name, stem);
    memcpy(out + stem, ".mp3", sizeof ".mp3");
}

static bool is_hex(const char *text, size_t size)
{
    bool has_other_than_zero = false;
    for (size_t i = 0; i < size; i++) {
        if (strchr("0123456789abcdef", text[i]) == NULL || text[i] == '\0')
            return false;
        has_other_than_zero |= text[i] != '0';
    }
    return has_other_than_zero;
}

// W3C Trace Context §3.2: version-trace-parent-flags, lower-case hex, neither id all zeros.
static bool is_traceparent(const char *text)
{
    enum { LENGTH = 55, TRACE_AT = 3, PARENT_AT = 36, FLAGS_AT = 53 };
    if (strlen(text) != LENGTH || !text_starts_with(text, "00-"))
        return false;
    if (text[PARENT_AT - 1] != '-' || text[FLAGS_AT - 1] != '-')
        return false;
    return is_hex(text + TRACE_AT, 32) && is_hex(text + PARENT_AT, 16) &&
           strspn(text + FLAGS_AT, "0123456789abcdef") == 2;
}

void gateway_traceparent(const char *header, char out[JOBS_TRACE_SIZE])
{
    if (header != NULL && is_traceparent(header)) {
        memcpy(out, header, strlen(header) + 1);
        return;
    }
    unsigned char bytes[24];
    char hex[2 * sizeof bytes + 1];
    random_bytes(bytes, sizeof bytes);
    bytes[0] |= 1; // neither id may be all zeros
    bytes[16] |= 1;
    text_hex(bytes, sizeof bytes, hex);
    snprintf(out, JOBS_TRACE_SIZE, "00-%.32s-%.16s-01", hex, hex + 32);
}

// The length of "host[:port]" without a port that the scheme implies.
static size_t host_length(const char *host, const char *scheme)
{
    const char *port = strcasecmp(scheme, "https") == 0 ? ":443" : ":80";
    size_t size = strlen(host), port_size = strlen(port);
    if (size > port_size && strcmp(host + size - port_size, port) == 0)
        return size - port_size;
    return size;
}

bool gateway_origin_is_own(const char *origin, const char *scheme, const char *host)
{
    if (origin == NULL || scheme == NULL || host == NULL || *host == '\0')
        return false;
    size_t scheme_size = strlen(scheme);
    if (strncasecmp(origin, scheme, scheme_size) != 0 ||
        strncmp(origin + scheme_size, "://", 3) != 0)
        return false;
    const char *origin_host = origin + scheme_size + 3;
    size_t size = host_length(host, scheme);
    return host_length(origin_host, scheme) == size && strncasecmp(origin_host, host, size) == 0;
}

bool gateway_is_idempotency_key(const char *text)
{
    size_t size = strlen(text);
    if (size == 0 || size >= JOBS_IDEMPOTENCY_SIZE)
        return false;
    for (const char *at = text; *at != '\0'; at++)
        if (*at < ' ' || *at > '~')
            return false;
    return true;
}

const char *gateway_bearer(const char *authorization)
{
    static const char scheme[] = "Bearer ";
    if (authorization == NULL || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return NULL;
    const char *token = authorization + sizeof scheme - 1;
    return token + strspn(token, " ");
}
