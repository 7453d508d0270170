#include "http/http_address.h"

#include "base/alloc.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 1024, ADDRESS_SIZE = 64 };

// ---- networks ----

static bool parse_address(const char *text, struct http_network *out)
{
    *out = (struct http_network){0};
    // A peer that comes over IPv4 to an IPv6 socket.
    const char *mapped = strncmp(text, "::ffff:", 7) == 0 ? text + 7 : text;
    if (inet_pton(AF_INET, mapped, out->bytes) == 1)
        out->family = AF_INET;
    else if (inet_pton(AF_INET6, text, out->bytes) == 1)
        out->family = AF_INET6;
    else
        return false;
    out->prefix_bits = out->family == AF_INET ? 32 : 128;
    return true;
}

static bool parse_network(char *text, struct http_network *out)
{
    char *slash = strchr(text, '/');
    if (slash != NULL)
        *slash++ = '\0';
    if (!parse_address(text, out))
        return false;
    int64_t bits = out->prefix_bits;
    if (slash != NULL && !text_parse_integer(slash, 0, out->prefix_bits, &bits))
        return false;
    out->prefix_bits = (int)bits;
    return true;
}

static bool contains(const struct http_network *network, const struct http_network *address)
{
    if (network->family != address->family)
        return false;
    int bytes = network->prefix_bits / 8;
    int rest = network->prefix_bits % 8;
    if (memcmp(network->bytes, address->bytes, (size_t)bytes) != 0)
        return false;
    return rest == 0 || (network->bytes[bytes] ^ address->bytes[bytes]) >> (8 - rest) == 0;
}

static bool is_listed(const struct http_network *networks, size_t count,
                      const struct http_network *address)
{
    for (size_t i = 0; i < count; i++)
        if (contains(&networks[i], address))
            return true;
    return false;
}

bool http_address_parse_networks(const char *text, struct http_network **out, size_t *out_count,
                                 struct error *err)
{
    *out = NULL;
    *out_count = 0;
    const char *next = text == NULL ? "" : text;
    while (*next != '\0') {
        size_t size = strcspn(next, ",");
        const char *start = next + strspn(next, " ");
        size_t used = strcspn(start, ", ");
        next += size + (next[size] == ',');
        if (used == 0)
            continue;
        char part[ADDRESS_SIZE];
        struct http_network network;
        snprintf(part, sizeof part, "%.*s", (int)used, start);
        if (used >= sizeof part || !parse_network(part, &network)) {
            free(*out);
            *out = NULL;
            *out_count = 0;
            return error_set(err, ERROR_INVALID, "%.*s is no address or network", (int)used, start);
        }
        *out = alloc_resize(*out, (*out_count + 1) * sizeof network);
        (*out)[(*out_count)++] = network;
    }
    return true;
}

bool http_address_is_trusted(const struct http_network *networks, size_t count, bool is_unix,
                             const char *address)
{
    struct http_network peer;
    return is_unix || (parse_address(address, &peer) && is_listed(networks, count, &peer));
}

char *http_address_forwarded(const struct http_network *networks, size_t count, const char *list)
{
    char *found = NULL;
    const char *end = list + strlen(list);
    while (end > list) {
        const char *start = end;
        while (start > list && start[-1] != ',')
            start--;
        const char *text = start + strspn(start, " \t");
        const char *stop = end;
        while (stop > text && (stop[-1] == ' ' || stop[-1] == '\t'))
            stop--;
        char part[ADDRESS_SIZE];
        struct http_network address;
        snprintf(part, sizeof part, "%.*s", (int)(stop > text ? stop - text : 0), text);
        if (!parse_address(part, &address))
            return found; // the last one that can be believed
        free(found);
        found = alloc_text(part);
        if (!is_listed(networks, count, &address))
            return found;
        end = start > list ? start - 1 : list;
    }
    return found;
}

// ---- listening ----

// A socket file of a server that has died is removed; one that answers stays.
static bool clear_socket_file(const char *path, const struct sockaddr_un *address,
                              struct error *err)
{
    struct stat status;
    if (lstat(path, &status) != 0)
        return errno == ENOENT || error_set_errno(err, errno, "look at %s", path);
    if (!S_ISSOCK(status.st_mode))
        return error_set(err, ERROR_CONFLICT, "%s is there and no socket", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_set_errno(err, errno, "open a socket");
    bool is_dead = connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
                   errno == ECONNREFUSED;
    close(fd);
    if (!is_dead)
        return error_set(err, ERROR_CONFLICT, "another server listens on %s", path);
    return unlink(path) == 0 || error_set_errno(err, errno, "remove %s", path);
}

static int listen_unix(const char *path, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!text_copy(address.sun_path, sizeof address.sun_path, path)) {
        error_set(err, ERROR_INVALID, "the path of the socket is too long: %s", path);
        return -1;
    }
    if (!clear_socket_file(path, &address, err))
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    // The mode is set before listen(2): until then nobody can connect.
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        chmod(path, 0600) != 0 || listen(fd, BACKLOG) != 0) {
        error_set_errno(err, errno, "listen on %s", path);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

static int bind_tcp(const struct addrinfo *info)
{
    int yes = 1;
    int fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    info->ai_protocol);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int failure = errno;
    close(fd);
    errno = failure;
    return -1;
}

static int port_of(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {0};
    socklen_t size = sizeof address;
    if (getsockname(fd, &address.any, &size) != 0)
        return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

static int listen_tcp(const char *listen_on, int *out_port, struct error *err)
{
    char host[256];
    const char *colon = strrchr(listen_on, ':');
    size_t size = colon == NULL ? 0 : (size_t)(colon - listen_on);
    if (colon == NULL || size >= sizeof host) {
        error_set(err, ERROR_INVALID, "%s is not ADDRESS:PORT or unix:PATH", listen_on);
        return -1;
    }
    bool has_brackets = size >= 2 && listen_on[0] == '[' && listen_on[size - 1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(has_brackets ? size - 2 : size),
             listen_on + (has_brackets ? 1 : 0));
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int failure = getaddrinfo(size == 0 ? NULL : host, colon + 1, &hints, &found);
    if (failure != 0) {
        error_set(err, ERROR_INVALID, "listen on %s: %s", listen_on, gai_strerror(failure));
        return -1;
    }
    int fd = -1;
    for (const struct addrinfo *info = found; info != NULL && fd < 0; info = info->ai_next)
        fd = bind_tcp(info);
    if (fd < 0)
        error_set_errno(err, errno, "listen on %s", listen_on);
    else
        *out_port = port_of(fd);
    freeaddrinfo(found);
    return fd;
}

int http_address_listen(const char *listen_on, int *out_port, struct error *err)
{
    *out_port = 0;
    if (text_starts_with(listen_on, "unix:"))
        return listen_unix(listen_on + strlen("unix:"), err);
    return listen_tcp(listen_on, out_port, err);
}
