#include "tools/load.h"

#include "base/buf.h"
#include "base/text.h"
#include "base/url.h"
#include "blobs/blobs.h"
#include "http/http_address.h"
#include "mail/mail.h"
#include "mail/mail_message.h"
#include "queue/queue.h"
#include "sql/sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_LIMIT_BYTES = 65536 };

static bool asks_for_help(char *const *arguments)
{
    for (; *arguments != NULL; arguments++)
        if (strcmp(*arguments, "--help") == 0 || strcmp(*arguments, "-h") == 0)
            return true;
    return false;
}

// One host, nobody's password: what users and other roles may see.
static bool check_address(const char *text, struct error *err)
{
    struct url url;
    if (!url_parse(text, &url, err))
        return false;
    return (url.user[0] == '\0' && url.host_count == 1 && url.parameter_count == 0) ||
           error_set(err, ERROR_INVALID, "it names one host, and no user or parameter");
}

static bool check_auth_url(const char *text, struct error *err)
{
    if (text_starts_with(text, "unix:") && text[strlen("unix:")] != '\0')
        return true;
    if (!text_starts_with(text, "http://") && !text_starts_with(text, "https://"))
        return error_set(err, ERROR_INVALID,
                         "the form is unix:PATH, http://HOST:PORT or https://…");
    return check_address(text, err);
}

static bool check_public_url(const char *text, struct error *err)
{
    if (text[0] == '\0')
        return true;
    if (!text_starts_with(text, "http://") && !text_starts_with(text, "https://"))
        return error_set(err, ERROR_INVALID, "the form is https://HOST, or http://HOST:PORT");
    return check_address(text, err);
}

// What no backend understands is a fault of the settings, not of the day.
static bool check_forms(const struct config *config, struct buf *faults)
{
    const struct {
        const char *name, *url;
        bool (*check)(const char *url, struct error *err);
    } ports[] = {
        {"accounts", config->accounts, sql_check_url},
        {"jobs", config->jobs, sql_check_url},
        {"blobs", config->blobs, blobs_check_url},
        {"queue", config->queue, queue_check_url},
        {"mail", config->mail, mail_check_url},
        {"auth-url", config->auth_url, check_auth_url},
        {"public-url", config->public_url, check_public_url},
    };
    for (size_t i = 0; i < sizeof ports / sizeof ports[0]; i++) {
        struct error err = {0};
        if (!ports[i].check(ports[i].url, &err))
            buf_printf(faults, "%s: %s\n", ports[i].name, err.text);
    }
    char sender[320];
    if (!mail_address(config->mail_from, sender, sizeof sender))
        buf_printf(faults, "mail-from: the form is Name <address>, in UTF-8\n");
    struct error err = {0};
    struct http_network *networks = NULL;
    size_t count;
    if (!http_address_parse_networks(config->trusted_proxies, &networks, &count, &err))
        buf_printf(faults, "trusted-proxies: %s\n", err.text);
    free(networks);
    return faults->size == 0;
}

bool load_settings(char *const *arguments, const char *usage, char role, struct config *out,
                   int *out_status)
{
    SCOPED_BUF struct buf text;
    buf_init(&text, TEXT_LIMIT_BYTES);
    if (asks_for_help(arguments)) {
        config_help(role, &text);
        printf("%s\n\n%s", usage, text.bytes);
        *out_status = 0;
        return false;
    }
    bool is_loaded = config_load(out, arguments, NULL, &text);
    if (!check_forms(out, &text) || !is_loaded) {
        fprintf(stderr, "unreel: the settings are not right:\n%s", text.bytes);
        *out_status = 2;
        return false;
    }
    return true;
}
