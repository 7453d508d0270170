// Every path that the gateway answers. A literal path stands before a pattern that would match it.

#include "roles/gateway/gateway_handlers.h"

enum { FORM_BYTES = 16 * 1024, IGNORED_BYTES = 4 * 1024 };

#define AUTH(method_, pattern_, limit_)                                                            \
    {                                                                                              \
        .method = (method_), .pattern = (pattern_), .handler = {.end = gateway_auth_pass},         \
        .body_limit_bytes = (limit_)                                                               \
    }
#define PLAIN(method_, pattern_, end_, limit_)                                                     \
    {                                                                                              \
        .method = (method_), .pattern = (pattern_), .handler = {.end = (end_)},                    \
        .body_limit_bytes = (limit_)                                                               \
    }
#define UPLOAD(pattern_, begin_)                                                                   \
    {                                                                                              \
        .method = "POST", .pattern = (pattern_), .handler = {                                      \
            .begin = (begin_),                                                                     \
            .body = gateway_upload_body,                                                           \
            .end = gateway_upload_end,                                                             \
            .finish = gateway_upload_finish                                                        \
        }                                                                                          \
    }
#define AUDIO(method_, pattern_, end_)                                                             \
    {                                                                                              \
        .method = (method_), .pattern = (pattern_), .handler = {                                   \
            .end = (end_),                                                                         \
            .fill = gateway_audio_fill,                                                            \
            .finish = gateway_audio_finish                                                         \
        }                                                                                          \
    }

const struct http_route gateway_routes[] = {
    PLAIN("GET", "/", gateway_page_home, 0),

    AUTH("POST", "/api/v1/accounts", FORM_BYTES),
    AUTH("POST", "/api/v1/sessions", FORM_BYTES),
    AUTH("GET", "/api/v1/sessions", 0),
    AUTH("DELETE", "/api/v1/sessions", IGNORED_BYTES),
    AUTH("POST", "/api/v1/sessions/refresh", FORM_BYTES),
    AUTH("DELETE", "/api/v1/sessions/current", IGNORED_BYTES),
    AUTH("DELETE", "/api/v1/sessions/{id}", IGNORED_BYTES),
    AUTH("GET", "/.well-known/jwks.json", 0),
    PLAIN("GET", "/api/v1/account", gateway_account_get, 0),

    UPLOAD("/api/v1/conversions", gateway_upload_begin),
    PLAIN("GET", "/api/v1/conversions", gateway_conversions_list, 0),
    {.method = "GET",
     .pattern = "/api/v1/conversions/{id}",
     .handler = {.end = gateway_conversion_get, .finish = gateway_conversion_get_finish}},
    PLAIN("DELETE", "/api/v1/conversions/{id}", gateway_conversion_delete, IGNORED_BYTES),
    PLAIN("POST", "/api/v1/conversions/{id}/retry", gateway_conversion_retry, IGNORED_BYTES),
    PLAIN("POST", "/api/v1/conversions/{id}/letter", gateway_conversion_letter, IGNORED_BYTES),
    PLAIN("POST", "/api/v1/conversions/{id}/links", gateway_link_create, IGNORED_BYTES),
    AUDIO("GET", "/api/v1/conversions/{id}/audio", gateway_audio_get),
    AUDIO("GET", "/d/{token}", gateway_link_get),

    // What the predecessors' clients call.
    AUTH("POST", "/register", FORM_BYTES),
    AUTH("POST", "/login", FORM_BYTES),
    UPLOAD("/upload", gateway_upload_begin_as_predecessor),
    AUDIO("GET", "/download", gateway_download_as_predecessor),
};
const size_t gateway_routes_count = sizeof gateway_routes / sizeof gateway_routes[0];
