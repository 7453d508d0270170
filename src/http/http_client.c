#include "http/http_client.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/text.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    BODY_LIMIT = 1 << 20,
    COOKIES_LIMIT = 32 << 10,
    CONNECT_TIMEOUT_MS = 5000,
};

struct http_client {
    CURL *curl;
    char *origin;    // what a path is put behind
    char *unix_path; // NULL for TCP
};

bool http_client_start(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

struct http_client *http_client_open(const char *base_url, struct error *err)
{
    bool is_unix = text_starts_with(base_url, "unix:") && base_url[strlen("unix:")] != '\0';
    if (!is_unix && !text_starts_with(base_url, "http://") &&
        !text_starts_with(base_url, "https://")) {
        error_set(err, ERROR_INVALID, "%s is neither http://, https:// nor unix:", base_url);
        return NULL;
    }
    struct http_client *client = alloc_zeroed(1, sizeof *client);
    client->curl = curl_easy_init();
    client->origin = alloc_text(is_unix ? "http://localhost" : base_url);
    size_t size = strlen(client->origin);
    if (client->origin[size - 1] == '/')
        client->origin[size - 1] = '\0';
    client->unix_path = is_unix ? alloc_text(base_url + strlen("unix:")) : NULL;
    if (client->curl != NULL)
        return client;
    error_set(err, ERROR_INTERNAL, "libcurl does not start");
    http_client_close(client);
    return NULL;
}

void http_client_close(struct http_client *client)
{
    if (client == NULL)
        return;
    if (client->curl != NULL)
        curl_easy_cleanup(client->curl);
    free(client->origin);
    free(client->unix_path);
    free(client);
}

// ---- the answer ----

static size_t take_body(char *bytes, size_t one, size_t size, void *context)
{
    struct http_client_reply *reply = context;
    return buf_append(&reply->body, bytes, one * size) ? one * size : 0;
}

static bool is_header(const char *line, const char *name)
{
    return strncasecmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':';
}

static size_t take_header(char *bytes, size_t one, size_t size, void *context)
{
    struct http_client_reply *reply = context;
    size *= one;
    size_t used = size;
    while (used > 0 && (bytes[used - 1] == '\r' || bytes[used - 1] == '\n'))
        used--;
    char *line = strndup(bytes, used);
    const char *value = line == NULL ? NULL : strchr(line, ':');
    value = value == NULL ? "" : value + 1 + strspn(value + 1, " \t");
    bool fits = line != NULL;
    if (line != NULL && is_header(line, "Content-Type"))
        text_copy(reply->content_type, sizeof reply->content_type, value);
    else if (line != NULL && is_header(line, "Retry-After"))
        text_copy(reply->retry_after, sizeof reply->retry_after, value);
    else if (line != NULL && is_header(line, "Location"))
        text_copy(reply->location, sizeof reply->location, value);
    else if (line != NULL && is_header(line, "WWW-Authenticate"))
        text_copy(reply->www_authenticate, sizeof reply->www_authenticate, value);
    else if (line != NULL && is_header(line, "Set-Cookie"))
        fits = buf_printf(&reply->set_cookies, "%s\n", value);
    free(line);
    return fits ? size : 0;
}

// ---- the request ----

static bool add_header(struct curl_slist **list, const char *name, const char *value,
                       struct error *err)
{
    if (value == NULL)
        return true;
    if (strpbrk(value, "\r\n") != NULL || strpbrk(name, "\r\n:") != NULL)
        return error_set(err, ERROR_INVALID, "the header %s has a line end", name);
    // curl leaves a header without a value out, unless it ends in ';'.
    char *line = *value == '\0' ? alloc_format("%s;", name) : alloc_format("%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(*list, line);
    free(line);
    if (longer == NULL)
        return error_set(err, ERROR_UNAVAILABLE, "no memory for headers");
    *list = longer;
    return true;
}

static bool add_headers(struct curl_slist **list, const struct http_client_request *request,
                        struct error *err)
{
    bool has_content_type = false;
    for (size_t i = 0; i < request->headers_count; i++) {
        const struct http_client_header *header = &request->headers[i];
        if (!add_header(list, header->name, header->value, err))
            return false;
        if (header->value != NULL && strcasecmp(header->name, "Content-Type") == 0)
            has_content_type = true;
    }
    // What curl would add on its own.
    struct curl_slist *longer = curl_slist_append(*list, "Expect:");
    if (longer != NULL && !has_content_type)
        longer = curl_slist_append(longer, "Content-Type:");
    if (longer == NULL)
        return error_set(err, ERROR_UNAVAILABLE, "no memory for headers");
    *list = longer;
    return true;
}

static void set_method(CURL *curl, const struct http_client_request *request)
{
    bool is_reading = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    if (request->body != NULL || (!is_reading && strcmp(request->method, "DELETE") != 0)) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body == NULL ? "" : request->body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
    }
    if (strcmp(request->method, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    else
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
}

static void set_options(struct http_client *client, const struct http_client_request *request)
{
    CURL *curl = client->curl;
    long timeout_ms = request->timeout_ms;
    curl_easy_reset(curl); // keeps the open connection
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_PROXY, ""); // the environment has no say
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                     timeout_ms < CONNECT_TIMEOUT_MS ? timeout_ms : (long)CONNECT_TIMEOUT_MS);
    if (client->unix_path != NULL)
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, client->unix_path);
    set_method(curl, request);
}

bool http_client_send(struct http_client *client, const struct http_client_request *request,
                      struct http_client_reply *out, struct error *err)
{
    *out = (struct http_client_reply){0};
    buf_init(&out->body, BODY_LIMIT);
    buf_init(&out->set_cookies, COOKIES_LIMIT);
    if (request->path[0] != '/')
        return error_set(err, ERROR_INVALID, "the path %s is not absolute", request->path);
    struct curl_slist *headers = NULL;
    if (!add_headers(&headers, request, err)) {
        curl_slist_free_all(headers);
        return false;
    }
    char text[CURL_ERROR_SIZE] = "";
    char *url = alloc_format("%s%s", client->origin, request->path);
    set_options(client, request);
    curl_easy_setopt(client->curl, CURLOPT_URL, url);
    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, text);
    curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, out);
    curl_easy_setopt(client->curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(client->curl, CURLOPT_HEADERDATA, out);
    CURLcode code = curl_easy_perform(client->curl);
    long status = 0;
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, NULL); // `text` ends with this call
    curl_slist_free_all(headers);
    free(url);
    out->status = (int)status;
    return code == CURLE_OK ||
           error_set(err, ERROR_UNAVAILABLE, "%s %s%s%s: %s", request->method,
                     client->unix_path != NULL ? "unix:" : "",
                     client->unix_path != NULL ? client->unix_path : client->origin, request->path,
                     // curl's longer text would name a port of localhost instead of the socket
                     text[0] != '\0' && client->unix_path == NULL ? text
                                                                  : curl_easy_strerror(code));
}

void http_client_reply_finish(struct http_client_reply *reply)
{
    buf_finish(&reply->body);
    buf_finish(&reply->set_cookies);
}
