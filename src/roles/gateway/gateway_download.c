// MP3s on their way out, and the links that need no log-in.

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "http/http_reply.h"
#include "roles/gateway/gateway_conversions.h"
#include "roles/gateway/gateway_handlers.h"
#include "roles/gateway/gateway_json.h"
#include "roles/gateway/gateway_session.h"
#include "roles/gateway/gateway_text.h"
#include "roles/gateway/gateway_worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { URL_SIZE = 768 };

// Where the bytes come from while they are sent, if the store has no files.
struct download {
    struct blob_reader *reader;
    char key[BLOB_KEY_SIZE];
};

// False: answered. A failed conversion answers with the reason of its failure.
static bool is_ready(struct http_exchange *exchange, const struct conversion *conversion)
{
    if (strcmp(conversion->state, "ready") == 0)
        return true;
    if (strcmp(conversion->state, "failed") == 0)
        http_reply_problem(exchange, 409, conversion->error_code, conversion->error_detail);
    else
        http_reply_problem(exchange, 409, "not_ready", "The MP3 is not ready yet.");
    return false;
}

static struct download *download_create(struct blob_reader *reader, const char *key)
{
    struct download *download = alloc_zeroed(1, sizeof *download);
    download->reader = reader;
    text_copy(download->key, sizeof download->key, key);
    return download;
}

static void reply_unreadable(struct http_exchange *exchange, const char *key,
                             const struct error *err)
{
    if (err->kind != ERROR_NOT_FOUND) {
        http_reply_error(exchange, err);
        return;
    }
    // Deleted since the row was read, or lost; a person has to look which.
    log_warn("the audio of a ready conversion is not there", LOG_TEXT("key", key));
    gateway_reply_not_found(exchange);
}

static void send_audio(struct http_exchange *exchange, const struct conversion *conversion,
                       bool is_inline)
{
    struct blobs *blobs = gateway_blobs(exchange);
    struct blob_info info;
    struct error err = {0};
    if (blobs == NULL)
        return;
    struct blob_reader *reader = blobs_read(blobs, conversion->audio_key, &info, &err);
    if (reader == NULL) {
        reply_unreadable(exchange, conversion->audio_key, &err);
        return;
    }
    int fd = blob_descriptor(blobs, reader);
    if (fd >= 0)
        blob_close(reader);
    else
        http_set_state(exchange, download_create(reader, conversion->audio_key));
    char name[JOBS_NAME_SIZE + 4];
    gateway_audio_name(conversion->name, name);
    const struct http_file file = {.fd = fd,
                                   .size_bytes = info.size_bytes,
                                   .content_type = "audio/mpeg",
                                   .etag = conversion->audio_sha256,
                                   .filename = name,
                                   .is_inline = is_inline,
                                   .modified_at_ms = info.committed_at_ms};
    http_reply_header(exchange, "Cache-Control", "private, no-cache");
    http_reply_file(exchange, &file);
}

ssize_t gateway_audio_fill(struct http_exchange *exchange, int64_t offset, void *out, size_t size,
                           struct error *err)
{
    const struct download *download = http_state(exchange);
    struct blobs *blobs = gateway_worker_blobs(http_worker(exchange), err);
    ssize_t got =
        blobs == NULL ? -1 : blob_read_at(blobs, download->reader, offset, out, size, err);
    if (got < 0)
        error_prefix(err, "download of %s", download->key);
    return got;
}

void gateway_audio_finish(struct http_exchange *exchange)
{
    struct download *download = http_state(exchange);
    if (download == NULL)
        return;
    blob_close(download->reader);
    free(download);
}

static void send_own(struct http_exchange *exchange, const char *owner, const char *id,
                     bool is_inline)
{
    struct jobs *jobs = gateway_jobs(exchange);
    if (jobs == NULL)
        return;
    struct conversion *conversion = gateway_find_own(exchange, jobs, owner, id);
    if (conversion == NULL)
        return;
    log_conversion(conversion->id);
    if (is_ready(exchange, conversion))
        send_audio(exchange, conversion, is_inline);
    log_conversion(NULL);
    free(conversion);
}

void gateway_audio_get(struct http_exchange *exchange)
{
    struct token_claims claims;
    if (gateway_authenticate(exchange, &claims))
        send_own(exchange, claims.account, http_parameter(exchange, "id"), false);
}

void gateway_download_as_predecessor(struct http_exchange *exchange)
{
    struct token_claims claims;
    if (!gateway_authenticate_as_predecessor(exchange, &claims))
        return;
    const char *id = http_query(exchange, "fid");
    if (id == NULL || *id == '\0')
        http_reply_problem(exchange, 400, "missing_fid", "Say which one: /download?fid=ID");
    else
        send_own(exchange, claims.account, id, true);
}

void gateway_link_create(struct http_exchange *exchange)
{
    const struct config *config = gateway_config(exchange);
    struct token_claims claims;
    struct error err = {0};
    if (!gateway_authenticate(exchange, &claims))
        return;
    struct jobs *jobs = gateway_jobs(exchange);
    if (jobs == NULL)
        return;
    struct conversion *conversion =
        gateway_find_own(exchange, jobs, claims.account, http_parameter(exchange, "id"));
    if (conversion == NULL)
        return;
    char token[TOKEN_SIZE], base[URL_SIZE], url[URL_SIZE + TOKEN_SIZE + 4];
    // A link ends with what it leads to.
    int64_t left_ms = conversion->expires_at_ms - clock_now_ms();
    int64_t lifetime_ms = left_ms > 0 ? left_ms : config->retention_ms;
    if (!is_ready(exchange, conversion)) {
        free(conversion);
        return;
    }
    if (jobs_link_create(jobs, claims.account, conversion->id, lifetime_ms, token, &err)) {
        gateway_public_url(exchange, base, sizeof base);
        snprintf(url, sizeof url, "%s/d/%s", base, token);
        http_reply_json(exchange, 201,
                        json_pack("{s:s, s:o}", "url", url, "expires_at",
                                  gateway_time_json(clock_now_ms() + lifetime_ms)));
    } else if (err.kind == ERROR_TOO_LARGE) {
        http_reply_problem(exchange, 429, "too_many_links",
                           "A hundred links to one conversion are enough.");
    } else {
        gateway_reply_jobs_error(exchange, &err);
    }
    free(conversion);
}

void gateway_link_get(struct http_exchange *exchange)
{
    struct error err = {0};
    struct jobs *jobs = gateway_jobs(exchange);
    if (jobs == NULL)
        return;
    struct conversion conversion;
    const char *token = http_parameter(exchange, "token");
    if (token == NULL || strlen(token) != TOKEN_SIZE - 1 ||
        !jobs_link_find(jobs, token, &conversion, &err)) {
        if (err.kind == ERROR_NONE || err.kind == ERROR_NOT_FOUND)
            gateway_page_link_over(exchange);
        else
            http_reply_error(exchange, &err);
        return;
    }
    log_conversion(conversion.id);
    send_audio(exchange, &conversion, false);
    log_conversion(NULL);
}
