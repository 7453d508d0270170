// What the parts of an upload's body mean: one file, and fields with options.

#include "roles/gateway/gateway_upload.h"

#include "base/file.h"
#include "base/text.h"
#include "roles/gateway/gateway_worker.h"

#include <stdio.h>
#include <string.h>

static bool refuse(struct gateway_upload *upload, int status, const char *code, struct error *err,
                   const char *text)
{
    upload->refusal_status = status;
    upload->refusal_code = code;
    return error_set(err, ERROR_INVALID, "%s", text);
}

static bool begin_file(struct gateway_upload *upload, const struct http_multipart_part *part,
                       struct error *err)
{
    if (upload->has_file)
        return refuse(upload, 400, "one_file", err, "Send exactly one file in one request.");
    struct blobs *blobs = gateway_blobs(upload->exchange);
    if (blobs == NULL) // answered already
        return error_set(err, ERROR_UNAVAILABLE, "the blob store does not answer");
    gateway_file_name(part->filename, upload->name);
    const struct blob_about about = {.owner = upload->claims.account,
                                     .conversion = upload->id,
                                     .name = upload->name,
                                     .content_type = "application/octet-stream"};
    upload->writer = blobs_create(blobs, upload->source_key, &about, err);
    upload->has_file = true;
    upload->part = GATEWAY_PART_FILE;
    return upload->writer != NULL;
}

static bool on_part(void *context, const struct http_multipart_part *part, struct error *err)
{
    struct gateway_upload *upload = context;
    bool is_file = part->filename != NULL || strcmp(part->name, "file") == 0;
    if (is_file)
        return begin_file(upload, part, err);
    bool is_option = strcmp(part->name, "title") == 0 || choices_has(part->name);
    upload->part = is_option ? GATEWAY_PART_FIELD : GATEWAY_PART_IGNORED;
    snprintf(upload->field_name, sizeof upload->field_name, "%s", is_option ? part->name : "");
    upload->field_size = 0;
    return true;
}

static bool take_file_bytes(struct gateway_upload *upload, const void *bytes, size_t size,
                            struct error *err)
{
    upload->file_bytes += (int64_t)size;
    if (upload->file_bytes > upload->file_bytes_limit)
        return refuse(upload, upload->limit_status, upload->limit_code, err,
                      upload->limit_status == 413 ? "The file is larger than this server takes."
                                                  : "Your store is full. Delete something first.");
    struct blobs *blobs = gateway_blobs(upload->exchange);
    return blobs != NULL && blob_write(blobs, upload->writer, bytes, size, err);
}

static bool on_bytes(void *context, const void *bytes, size_t size, struct error *err)
{
    struct gateway_upload *upload = context;
    if (upload->part == GATEWAY_PART_FILE)
        return take_file_bytes(upload, bytes, size, err);
    if (upload->part == GATEWAY_PART_IGNORED)
        return true;
    if (size > GATEWAY_FIELD_LIMIT - upload->field_size)
        return refuse(upload, 400, "field_too_long", err,
                      "The value of a field is longer than 1 KiB.");
    memcpy(upload->field + upload->field_size, bytes, size);
    upload->field_size += size;
    return true;
}

// No choice has a NUL in it; a space is as wrong, and shows in the sentence.
static void replace_nul(char *field, size_t size)
{
    for (char *nul; (nul = memchr(field, '\0', size)) != NULL;)
        *nul = ' ';
}

static bool on_part_end(void *context, struct error *err)
{
    struct gateway_upload *upload = context;
    struct options *options = &upload->options;
    struct error why;
    if (upload->part != GATEWAY_PART_FIELD)
        return true;
    if (strcmp(upload->field_name, "title") == 0) {
        text_clean(options->title, sizeof options->title, upload->field, upload->field_size);
        return true;
    }
    if (upload->field_size == 0) // a form sends an empty field where nothing was chosen
        return true;
    replace_nul(upload->field, upload->field_size);
    upload->field[upload->field_size] = '\0';
    if (choices_set(&options->choices, upload->field_name, upload->field, &why))
        return true;
    bool is_preset = strcmp(upload->field_name, "preset") == 0;
    return refuse(upload, 400, is_preset ? "unknown_preset" : "invalid_option", err, why.text);
}

struct http_multipart_events gateway_upload_events(struct gateway_upload *upload)
{
    return (struct http_multipart_events){
        .part = on_part, .bytes = on_bytes, .part_end = on_part_end, .context = upload};
}
