// `unreel healthcheck`: asks the operators' port as `curl` would, for images that have neither curl
// nor a shell.
#include "tools/tools.h"

#include "base/alloc.h"
#include "base/text.h"
#include "http/http_client.h"
#include "tools/load.h"

#include <stdio.h>
#include <string.h>

enum { DEADLINE_MS = 3000 };

static const char usage[] =
    "Usage: unreel healthcheck [--ready] [SETTINGS]\n\n"
    "Asks the operators' port (the setting admin-listen) whether the role is alive, or with "
    "--ready\n"
    "whether all that it needs answers too. Exit status 0: yes; 1: no, or no answer within 3 s.\n"
    "`unreel serve` has one such port a child; this asks the first, the gateway's.";

// Where a server that listens there can be reached from this machine.
static char *base_url_of(const char *listen)
{
    const char *colon = strrchr(listen, ':');
    if (text_starts_with(listen, "unix:") || colon == NULL)
        return alloc_text(listen);
    SCOPED(free) char *host = alloc_format("%.*s", (int)(colon - listen), listen);
    if (strcmp(host, "0.0.0.0") == 0)
        return alloc_format("http://127.0.0.1%s", colon);
    if (strcmp(host, "[::]") == 0 || strcmp(host, "::") == 0)
        return alloc_format("http://[::1]%s", colon);
    bool needs_brackets = *host != '[' && strchr(host, ':') != NULL;
    return alloc_format(needs_brackets ? "http://[%s]%s" : "http://%s%s", host, colon);
}

// The answer's lines as one.
static void print_answer(const char *path, const struct http_client_reply *reply)
{
    fprintf(stderr, "unreel: %s answers %d: ", path, reply->status);
    for (size_t i = 0; i < reply->body.size; i++) {
        if (reply->body.bytes[i] != '\n')
            fputc(reply->body.bytes[i], stderr);
        else if (i + 1 < reply->body.size)
            fputs("; ", stderr);
    }
    fputc('\n', stderr);
}

static bool ask(const char *listen, const char *path)
{
    struct error err = {0};
    SCOPED(free) char *base_url = base_url_of(listen);
    SCOPED(http_client_close) struct http_client *client = NULL;
    if (!http_client_start())
        error_set(&err, ERROR_INTERNAL, "libcurl does not start");
    else
        client = http_client_open(base_url, &err);
    struct http_client_reply reply = {0};
    bool is_answered =
        client != NULL &&
        http_client_send(
            client,
            &(struct http_client_request){.method = "GET", .path = path, .timeout_ms = DEADLINE_MS},
            &reply, &err);
    bool is_well = is_answered && reply.status == 200;
    if (!is_answered)
        fprintf(stderr, "unreel: no answer: %s\n", err.text);
    else if (!is_well)
        print_answer(path, &reply);
    http_client_reply_finish(&reply);
    return is_well;
}

int healthcheck_command(char *const *arguments)
{
    struct config config;
    int status;
    bool asks_ready = arguments[0] != NULL && strcmp(arguments[0], "--ready") == 0;
    if (!load_settings(arguments + (asks_ready ? 1 : 0), usage, 'S', &config, &status))
        return status;
    return ask(config.admin_listen, asks_ready ? "/readyz" : "/livez") ? 0 : 1;
}
