#pragma once
// The handlers behind the table of routes, one file a topic.

#include "http/http.h"

// gateway_auth.c: handed on to the auth role.
void gateway_auth_pass(struct http_exchange *exchange);

// gateway_account.c
void gateway_account_get(struct http_exchange *exchange);

// gateway_upload.c
void gateway_upload_begin(struct http_exchange *exchange);
void gateway_upload_begin_as_predecessor(struct http_exchange *exchange);
void gateway_upload_body(struct http_exchange *exchange, const void *bytes, size_t size);
void gateway_upload_end(struct http_exchange *exchange);
void gateway_upload_finish(struct http_exchange *exchange);

// gateway_conversions.c
void gateway_conversions_list(struct http_exchange *exchange);
void gateway_conversion_get(struct http_exchange *exchange);
void gateway_conversion_get_finish(struct http_exchange *exchange);
void gateway_conversion_delete(struct http_exchange *exchange);
void gateway_conversion_retry(struct http_exchange *exchange);
void gateway_conversion_letter(struct http_exchange *exchange);

// gateway_download.c
void gateway_audio_get(struct http_exchange *exchange);
void gateway_link_create(struct http_exchange *exchange);
void gateway_link_get(struct http_exchange *exchange);
void gateway_download_as_predecessor(struct http_exchange *exchange);
ssize_t gateway_audio_fill(struct http_exchange *exchange, int64_t offset, void *out, size_t size,
                           struct error *err);
void gateway_audio_finish(struct http_exchange *exchange);

// gateway_pages.c
void gateway_page_home(struct http_exchange *exchange);
void gateway_page_link_over(struct http_exchange *exchange);

extern const struct http_route gateway_routes[];
extern const size_t gateway_routes_count;
