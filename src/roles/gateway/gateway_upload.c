// Uploads: a multipart body is streamed into a blob while the row waits at `receiving`; 201 is said
// only when both are durable. Whatever does not come that far is taken back in `finish`, and by the
// janitor if this process dies.

#include "roles/gateway/gateway_upload.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "http/http_reply.h"
#include "roles/gateway/gateway_handlers.h"
#include "roles/gateway/gateway_json.h"
#include "roles/gateway/gateway_session.h"
#include "roles/gateway/gateway_worker.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const int64_t form_overhead_bytes = INT64_C(1) << 20; // boundaries and fields, generously
static const int64_t spare_bytes = INT64_C(16) << 20;        // a store is never filled to the brim
enum {
    // Without progress. Until then the row of an upload whose gateway died refuses the same key.
    DEADLINE_MS = 2 * 60 * 1000,
    EXTEND_EVERY_MS = 30 * 1000,
    LONGEST_MS = 12 * 60 * 60 * 1000,
};

static void count(const char *outcome)
{
    char labels[64];
    snprintf(labels, sizeof labels, "outcome=\"%s\"", outcome);
    metrics_add("unreel_uploads_total", labels, 1);
}

static void refuse(struct gateway_upload *upload, int status, const char *code, const char *detail)
{
    bool is_about_files = strcmp(code, "one_file") == 0 || strcmp(code, "no_file") == 0;
    if (upload->is_predecessor && is_about_files)
        http_reply_text(upload->exchange, 400, "text/plain; charset=utf-8",
                        "exactly 1 file required");
    else
        http_reply_problem(upload->exchange, status, code, detail);
    count("refused");
}

static void refuse_error(struct gateway_upload *upload, const struct error *err)
{
    if (err->kind == ERROR_NO_SPACE)
        http_reply_problem(upload->exchange, 507, "no_space",
                           "The server's store is full. Try again later.");
    else
        http_reply_error(upload->exchange, err);
    count("failed");
}

// ---- begin ----

static bool is_multipart(const char *content_type)
{
    static const char type[] = "multipart/form-data";
    size_t size = sizeof type - 1;
    return content_type != NULL && strncasecmp(content_type, type, size) == 0 &&
           strchr("; \t", content_type[size]) != NULL;
}

// The body's form and size. False: answered.
static bool check_headers(struct gateway_upload *upload)
{
    const char *content_type = http_header(upload->exchange, "Content-Type");
    const char *key = http_header(upload->exchange, "Idempotency-Key");
    int64_t most = gateway_config(upload->exchange)->max_upload_bytes + form_overhead_bytes;
    struct http_multipart_events events = gateway_upload_events(upload);
    struct error err = {0};
    if (!is_multipart(content_type)) {
        refuse(upload, 415, "not_multipart", "Send the file as multipart/form-data.");
        return false;
    }
    upload->multipart = http_multipart_create(content_type, &events, &err);
    if (upload->multipart == NULL)
        refuse(upload, 400, "missing_boundary", "The Content-Type names no usable boundary.");
    else if (http_content_length(upload->exchange) > most)
        refuse(upload, 413, "too_large", "The file is larger than this server takes.");
    else if (key != NULL && !gateway_is_idempotency_key(key))
        refuse(upload, 400, "invalid_idempotency_key",
               "An Idempotency-Key has 1 to 128 printable ASCII characters.");
    else
        return true;
    return false;
}

static bool check_space(struct gateway_upload *upload)
{
    struct blobs *blobs = gateway_blobs(upload->exchange);
    int64_t announced = http_content_length(upload->exchange), free_bytes = 0;
    struct error err = {0};
    if (blobs == NULL)
        return false;
    if (!blobs_ready(blobs, &free_bytes, &err)) {
        refuse_error(upload, &err);
        return false;
    }
    if (free_bytes - spare_bytes >= (announced < 0 ? 0 : announced))
        return true;
    refuse(upload, 507, "no_space", "The server's store is full. Try again later.");
    return false;
}

// How much is reserved in the user's quota. A body without a length gets what is left of it, so
// that it cannot pass the quota either.
static bool reserve(struct gateway_upload *upload, struct jobs *jobs, int64_t *out_bytes,
                    struct error *err)
{
    const struct config *config = gateway_config(upload->exchange);
    upload->file_bytes_limit = config->max_upload_bytes;
    upload->limit_code = "too_large";
    upload->limit_status = 413;
    *out_bytes = http_content_length(upload->exchange);
    if (*out_bytes >= 0)
        return true;
    struct jobs_usage usage;
    if (!jobs_usage(jobs, upload->claims.account, &usage, err))
        return false;
    int64_t left = config->user_bytes_bytes - usage.bytes;
    if (left < upload->file_bytes_limit) {
        upload->file_bytes_limit = left;
        upload->limit_code = "quota_bytes";
        upload->limit_status = 507;
    }
    *out_bytes = upload->file_bytes_limit > 0 ? upload->file_bytes_limit : 1;
    return true;
}

// 201, or 200 with a message for predecessors' clients.
static void reply_accepted(struct gateway_upload *upload, const struct conversion *conversion)
{
    char location[64];
    snprintf(location, sizeof location, "/api/v1/conversions/%s", conversion->id);
    http_reply_header(upload->exchange, "Location", location);
    if (upload->is_predecessor)
        http_reply_json(upload->exchange, 200,
                        json_pack("{s:s, s:s}", "id", conversion->id, "message", "success!"));
    else
        http_reply_json(upload->exchange, 201, gateway_conversion_json(conversion));
}

static void reply_in_progress(struct gateway_upload *upload)
{
    http_reply_header(upload->exchange, "Retry-After", "5");
    refuse(upload, 409, "in_progress", "An upload with this Idempotency-Key is going on.");
}

static void begin_row(struct gateway_upload *upload)
{
    const struct config *config = gateway_config(upload->exchange);
    struct jobs *jobs = gateway_jobs(upload->exchange);
    struct error err = {0};
    int64_t reserved_bytes = 0;
    if (jobs == NULL)
        return;
    if (!reserve(upload, jobs, &reserved_bytes, &err)) {
        refuse_error(upload, &err);
        return;
    }
    char traceparent[JOBS_TRACE_SIZE];
    gateway_traceparent(http_header(upload->exchange, "traceparent"), traceparent);
    id_new(upload->id);
    log_conversion(upload->id);
    snprintf(upload->source_key, sizeof upload->source_key, "source/%s", upload->id);
    const struct jobs_upload row = {
        .id = upload->id,
        .owner = upload->claims.account,
        .owner_email = upload->claims.email,
        .name = upload->name,
        .options = "{}",
        .traceparent = traceparent,
        .idempotency_key = http_header(upload->exchange, "Idempotency-Key"),
        .source_key = upload->source_key,
        .announced_bytes = reserved_bytes,
        .deadline_ms = DEADLINE_MS,
    };
    const struct jobs_limits limits = {.user_bytes = config->user_bytes_bytes,
                                       .user_unfinished = config->user_unfinished};
    struct conversion *existing = alloc_zeroed(1, sizeof *existing);
    switch (jobs_upload_begin(jobs, &row, &limits, existing, &err)) {
    case JOBS_BEGUN:
        upload->has_row = true;
        break;
    case JOBS_SAME_RUNNING:
        reply_in_progress(upload);
        break;
    case JOBS_SAME_FINISHED:
        reply_accepted(upload, existing);
        count("repeated");
        break;
    case JOBS_OVER_BYTES:
        refuse(upload, 507, "quota_bytes", "Your store is full. Delete something first.");
        break;
    case JOBS_OVER_UNFINISHED:
        http_reply_header(upload->exchange, "Retry-After", "30");
        refuse(upload, 429, "quota_unfinished",
               "Too many of your conversions are not finished. Wait for some of them.");
        break;
    case JOBS_BEGIN_FAILED:
        refuse_error(upload, &err);
        break;
    }
    free(existing);
}

static void begin(struct http_exchange *exchange, bool is_predecessor)
{
    struct token_claims claims;
    bool is_known = is_predecessor ? gateway_authenticate_as_predecessor(exchange, &claims)
                                   : gateway_authenticate(exchange, &claims);
    if (!is_known)
        return;
    struct gateway_upload *upload = alloc_zeroed(1, sizeof *upload);
    http_set_state(exchange, upload);
    upload->exchange = exchange;
    upload->is_predecessor = is_predecessor;
    upload->claims = claims;
    options_init(&upload->options);
    upload->extend_at_ms = clock_monotonic_ms() + EXTEND_EVERY_MS;
    upload->ends_at_ms = clock_monotonic_ms() + LONGEST_MS;
    gateway_file_name(NULL, upload->name);
    if (check_headers(upload) && check_space(upload))
        begin_row(upload);
    log_conversion(NULL);
}

void gateway_upload_begin(struct http_exchange *exchange)
{
    begin(exchange, false);
}

void gateway_upload_begin_as_predecessor(struct http_exchange *exchange)
{
    begin(exchange, true);
}

// ---- body ----

static void refuse_body(struct gateway_upload *upload, const char *code, const struct error *err)
{
    if (upload->refusal_code != NULL)
        refuse(upload, upload->refusal_status, upload->refusal_code, err->text);
    else if (err->kind == ERROR_INVALID)
        refuse(upload, 400, code, err->text);
    else
        refuse_error(upload, err);
}

// An upload that moves keeps its row; one that moves for ever does not. False: answered.
static bool stay_alive(struct gateway_upload *upload)
{
    int64_t now_ms = clock_monotonic_ms();
    struct error err = {0};
    if (now_ms >= upload->ends_at_ms) {
        refuse(upload, 408, "upload_too_slow", "The upload took longer than twelve hours.");
        return false;
    }
    if (now_ms < upload->extend_at_ms)
        return true;
    upload->extend_at_ms = now_ms + EXTEND_EVERY_MS;
    struct jobs *jobs = gateway_jobs(upload->exchange);
    if (jobs == NULL)
        return false;
    if (jobs_upload_extend(jobs, upload->id, DEADLINE_MS, &err))
        return true;
    if (err.kind == ERROR_UNAVAILABLE) // there are many more tries before the deadline
        return true;
    refuse_error(upload, &err);
    return false;
}

void gateway_upload_body(struct http_exchange *exchange, const void *bytes, size_t size)
{
    struct gateway_upload *upload = http_state(exchange);
    struct error err = {0};
    upload->exchange = exchange;
    log_conversion(upload->id);
    if (stay_alive(upload) && !http_multipart_feed(upload->multipart, bytes, size, &err))
        refuse_body(upload, "invalid_multipart", &err);
    log_conversion(NULL);
}

// ---- end ----

// Blob first, then row: a row that says `queued` always has its source.
static bool commit(struct gateway_upload *upload, struct conversion *out, struct error *err)
{
    struct blobs *blobs = gateway_blobs(upload->exchange);
    struct jobs *jobs = gateway_jobs(upload->exchange);
    struct blob_info info;
    char options[JOBS_OPTIONS_SIZE];
    if (blobs == NULL || jobs == NULL)
        return error_set(err, ERROR_UNAVAILABLE, "a store does not answer");
    if (!options_write(&upload->options, options, sizeof options))
        return error_set(err, ERROR_INTERNAL, "the options do not fit");
    if (!blob_commit(blobs, TAKE(upload->writer), &info, err))
        return false;
    if (!jobs_upload_commit(jobs, upload->id, upload->name, options, info.size_bytes, info.sha256,
                            out, err))
        return false;
    upload->is_committed = true;
    return true;
}

static bool is_complete(struct gateway_upload *upload)
{
    struct error err = {0};
    if (!http_multipart_end(upload->multipart, &err))
        refuse_body(upload, "truncated_body", &err);
    else if (!upload->has_file)
        refuse(upload, 400, "no_file", "The request holds no file.");
    else if (upload->file_bytes == 0)
        refuse(upload, 400, "empty_file", "The file is empty.");
    else if (!choices_check(&upload->options.choices, &err))
        refuse(upload, 400, "invalid_option", err.text);
    else
        return true;
    return false;
}

static void accept_upload(struct gateway_upload *upload)
{
    struct error err = {0};
    struct conversion *conversion = alloc_zeroed(1, sizeof *conversion);
    if (commit(upload, conversion, &err)) {
        reply_accepted(upload, conversion);
        count("accepted");
        metrics_add("unreel_upload_bytes_total", "", upload->file_bytes);
        log_info("upload accepted", LOG_TEXT("name", upload->name),
                 LOG_INTEGER("bytes", upload->file_bytes),
                 LOG_TEXT("preset", upload->options.choices.preset->name),
                 LOG_TEXT("traceparent", conversion->traceparent));
    } else if (err.kind == ERROR_CONFLICT) {
        refuse(upload, 409, "taken_back", "The conversion was deleted during its upload.");
    } else {
        refuse_error(upload, &err);
    }
    free(conversion);
}

void gateway_upload_end(struct http_exchange *exchange)
{
    struct gateway_upload *upload = http_state(exchange);
    upload->exchange = exchange;
    log_conversion(upload->id);
    if (is_complete(upload))
        accept_upload(upload);
    log_conversion(NULL);
}

// ---- finish ----

// The row goes to `deleting`, so the janitor also finds a blob whose fate is not known. If the row
// was committed after all (its answer was lost), nothing happens and the conversion goes on.
static void take_back(struct gateway_upload *upload)
{
    struct gateway_worker *worker = http_worker(upload->exchange);
    struct error err = {0};
    if (upload->writer != NULL)
        blob_abort(gateway_worker_blobs(worker, &err), upload->writer);
    if (!upload->has_row)
        return;
    struct jobs *jobs = gateway_worker_jobs(worker, &err);
    if (jobs == NULL || !jobs_upload_abort(jobs, upload->id, &err))
        log_warn("cannot take an upload back; the sweep will", LOG_TEXT("reason", err.text));
    else
        log_info("upload taken back", LOG_INTEGER("bytes", upload->file_bytes));
}

void gateway_upload_finish(struct http_exchange *exchange)
{
    struct gateway_upload *upload = http_state(exchange);
    if (upload == NULL)
        return;
    upload->exchange = exchange;
    log_conversion(upload->id);
    if (upload->is_committed)
        gateway_hint(exchange, "video", upload->id);
    else
        take_back(upload);
    http_multipart_destroy(upload->multipart);
    log_conversion(NULL);
    free(upload);
}
