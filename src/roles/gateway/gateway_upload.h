#pragma once
// One upload between its steps: what is known so far and what has to be undone if it ends badly.
// gateway_upload.c holds the steps, gateway_upload_parts.c what the parts of the body mean.

#include "blobs/blobs.h"
#include "http/http.h"
#include "http/http_multipart.h"
#include "jobs/jobs.h"
#include "roles/gateway/gateway_text.h"
#include "roles/options.h"
#include "security/token.h"

#include <stdbool.h>
#include <stdint.h>

enum gateway_part { GATEWAY_PART_IGNORED, GATEWAY_PART_FILE, GATEWAY_PART_FIELD };

enum { GATEWAY_FIELD_LIMIT = 1024, GATEWAY_FIELD_NAME_SIZE = 16 };

struct gateway_upload {
    struct http_exchange *exchange; // of the present step
    bool is_predecessor;
    struct token_claims claims;
    char id[ID_SIZE];
    char source_key[JOBS_KEY_SIZE];
    bool has_row;      // at `receiving`: taken back unless it is committed
    bool is_committed; // durable: blob and row

    struct http_multipart *multipart;
    enum gateway_part part;
    char field_name[GATEWAY_FIELD_NAME_SIZE];
    char field[GATEWAY_FIELD_LIMIT + 1];
    size_t field_size;

    bool has_file;
    struct blob_writer *writer;
    int64_t file_bytes;
    int64_t file_bytes_limit;
    const char *limit_code; // what passing it means: "too_large" or "quota_bytes"
    int limit_status;
    char name[GATEWAY_NAME_SIZE];
    struct options options;

    int64_t extend_at_ms; // monotonic clock
    int64_t ends_at_ms;

    const char *refusal_code; // set with the refusal's status by the events of the body
    int refusal_status;
};

// The parser's events, with the upload as context.
struct http_multipart_events gateway_upload_events(struct gateway_upload *upload);
