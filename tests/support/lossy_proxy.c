#include "lossy_proxy.h"

#include "base/alloc.h"
#include "base/url.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAIRS = 16, NOTHING = -1 };

struct pair {
    int client, server; // -1, -1: free
    bool is_losing;
};

struct lossy_proxy {
    pthread_t thread;
    int listener;
    int stop_pipe[2];
    int server_port;
    struct pair pairs[PAIRS];
    atomic_int wanted, cut_in, lost;
};

static void require(bool is_true, const char *what)
{
    if (is_true)
        return;
    printf("Bail out! proxy: %s\n", what);
    fflush(stdout);
    abort();
}

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

static void hang_up(struct pair *pair)
{
    close(pair->client);
    close(pair->server);
    *pair = (struct pair){.client = -1, .server = -1};
}

static void take_client(struct lossy_proxy *proxy)
{
    struct pair *pair = proxy->pairs;
    while (pair < proxy->pairs + PAIRS && pair->client >= 0)
        pair++;
    require(pair < proxy->pairs + PAIRS, "too many connections");
    struct sockaddr_in address = loopback(proxy->server_port);
    pair->client = accept(proxy->listener, NULL, NULL);
    pair->server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(pair->server, (struct sockaddr *)&address, sizeof address) != 0)
        hang_up(pair);
}

// A command begins a packet: three bytes of size, the number 0, the kind.
static bool holds_wanted(struct lossy_proxy *proxy, const char *bytes, size_t size)
{
    static const char commit[] = "\x07\0\0\0\x03"
                                 "COMMIT";
    int wanted = proxy->wanted;
    if (wanted == LOSSY_PROXY_COMMIT)
        return memmem(bytes, size, commit, sizeof commit - 1) != NULL;
    return wanted == LOSSY_PROXY_EXECUTE && size > 4 && bytes[3] == 0 && bytes[4] == 0x17;
}

static void pass(struct lossy_proxy *proxy, struct pair *pair, bool is_from_client)
{
    char bytes[65536];
    ssize_t size =
        recv(is_from_client ? pair->client : pair->server, bytes, sizeof bytes, MSG_DONTWAIT);
    if (size > 0 && proxy->cut_in > 0 && --proxy->cut_in == 0) {
        proxy->lost++;
        size = 0;
    }
    if (size > 0 && is_from_client && holds_wanted(proxy, bytes, (size_t)size)) {
        pair->is_losing = true;
        proxy->wanted = NOTHING;
    }
    if (size > 0 && !is_from_client && pair->is_losing) {
        proxy->lost++;
        size = 0;
    }
    int to = is_from_client ? pair->server : pair->client;
    if (size <= 0 || send(to, bytes, (size_t)size, MSG_NOSIGNAL) != size)
        hang_up(pair);
}

static void *run(void *context)
{
    struct lossy_proxy *proxy = context;
    for (;;) {
        struct pollfd fds[2 + 2 * PAIRS] = {
            {.fd = proxy->stop_pipe[0], .events = POLLIN},
            {.fd = proxy->listener, .events = POLLIN},
        };
        for (size_t i = 0; i < PAIRS; i++) {
            fds[2 + 2 * i] = (struct pollfd){.fd = proxy->pairs[i].client, .events = POLLIN};
            fds[3 + 2 * i] = (struct pollfd){.fd = proxy->pairs[i].server, .events = POLLIN};
        }
        poll(fds, sizeof fds / sizeof fds[0], -1);
        if (fds[0].revents)
            return NULL;
        for (size_t i = 0; i < 2 * PAIRS; i++)
            if (fds[2 + i].revents && proxy->pairs[i / 2].client >= 0)
                pass(proxy, &proxy->pairs[i / 2], i % 2 == 0);
        if (fds[1].revents)
            take_client(proxy);
    }
}

struct lossy_proxy *lossy_proxy_start(const char *server_url, char out_url[1024])
{
    struct lossy_proxy *proxy = alloc_zeroed(1, sizeof *proxy);
    struct error err = {0};
    struct url url;
    require(url_parse(server_url, &url, &err) && url.host_count == 1, "the server's URL");
    proxy->server_port = url.hosts[0].port;
    proxy->wanted = NOTHING;
    for (size_t i = 0; i < PAIRS; i++)
        proxy->pairs[i] = (struct pair){.client = -1, .server = -1};
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(bind(proxy->listener, (struct sockaddr *)&address, size) == 0 &&
                listen(proxy->listener, PAIRS) == 0 &&
                getsockname(proxy->listener, (struct sockaddr *)&address, &size) == 0 &&
                pipe(proxy->stop_pipe) == 0,
            "listen");
    snprintf(out_url, 1024, "mysql://%s:%s@127.0.0.1:%d/%s", url.user, url.password,
             ntohs(address.sin_port), url.path);
    require(pthread_create(&proxy->thread, NULL, run, proxy) == 0, "thread");
    return proxy;
}

void lossy_proxy_stop(struct lossy_proxy *proxy)
{
    close(proxy->stop_pipe[1]);
    pthread_join(proxy->thread, NULL);
    for (size_t i = 0; i < PAIRS; i++)
        if (proxy->pairs[i].client >= 0)
            hang_up(&proxy->pairs[i]);
    close(proxy->stop_pipe[0]);
    close(proxy->listener);
    free(proxy);
}

void lossy_proxy_lose(struct lossy_proxy *proxy, enum lossy_proxy_command command)
{
    proxy->wanted = (int)command;
}

void lossy_proxy_cut(struct lossy_proxy *proxy, int number)
{
    proxy->cut_in = number;
}

int lossy_proxy_lost(struct lossy_proxy *proxy)
{
    return proxy->lost;
}
