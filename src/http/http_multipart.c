// The body is one long text in which "\r\n--boundary" separates parts; the first line of the body
// counts as if a line end had come before it. CR stands nowhere in that delimiter but at its start,
// so what a piece ends with can be the beginning of at most one delimiter.

#include "http/http_multipart.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/text.h"
#include "http/http_parameters.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { BOUNDARY_LIMIT = 70, HEADERS_LIMIT = 8192, PADDING_LIMIT = 64 };

enum state {
    IN_PREAMBLE,
    AFTER_DELIMITER, // "--" or the end of the line comes
    IN_HEADERS,
    IN_BYTES,
    IN_EPILOGUE, // everything has come; the rest is ignored
    IS_BROKEN,
};

struct http_multipart {
    struct http_multipart_events events;
    enum state state;
    char delimiter[4 + BOUNDARY_LIMIT + 1];
    size_t delimiter_size;
    size_t matched; // bytes of the delimiter that the last piece ended with
    char after[3];  // what has come behind a delimiter
    size_t after_size;
    size_t padding_size;
    struct buf headers;
};

// ---- the boundary ----

static bool is_boundary(const char *text, size_t size)
{
    static const char marks[] = "'()+_,-./:=? ";
    if (size < 1 || size > BOUNDARY_LIMIT || text[size - 1] == ' ')
        return false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && !(c >= '0' && c <= '9') && (c == '\0' || strchr(marks, c) == NULL))
            return false;
    }
    return true;
}

// Two boundaries are one too many: another reader could take the other one.
static bool find_boundary(const char *content_type, struct buf *boundary, struct error *err)
{
    static const char type[] = "multipart/form-data";
    const char *cursor = content_type + strlen(type);
    char name[HTTP_PARAMETER_NAME_SIZE];
    int count = 0;
    if (strncasecmp(content_type, type, strlen(type)) != 0)
        return error_set(err, ERROR_INVALID, "the body is not multipart/form-data");
    SCOPED_BUF struct buf value;
    buf_init(&value, HEADERS_LIMIT);
    while (http_parameters_next(&cursor, name, &value)) {
        if (strcmp(name, "boundary") != 0)
            continue;
        count++;
        buf_clear(boundary);
        if (!is_boundary(value.bytes, value.size) || !buf_append(boundary, value.bytes, value.size))
            return error_set(err, ERROR_INVALID, "the boundary is malformed");
    }
    if (*cursor != '\0' || count != 1)
        return error_set(err, ERROR_INVALID, "the Content-Type must name one boundary");
    return true;
}

struct http_multipart *http_multipart_create(const char *content_type,
                                             const struct http_multipart_events *events,
                                             struct error *err)
{
    SCOPED_BUF struct buf boundary;
    buf_init(&boundary, BOUNDARY_LIMIT);
    if (!find_boundary(content_type, &boundary, err))
        return NULL;
    struct http_multipart *multipart = alloc_zeroed(1, sizeof *multipart);
    multipart->events = *events;
    memcpy(multipart->delimiter, "\r\n--", 4);
    memcpy(multipart->delimiter + 4, boundary.bytes, boundary.size);
    multipart->delimiter_size = 4 + boundary.size;
    multipart->matched = 2;
    buf_init(&multipart->headers, HEADERS_LIMIT);
    return multipart;
}

void http_multipart_destroy(struct http_multipart *multipart)
{
    if (multipart == NULL)
        return;
    buf_finish(&multipart->headers);
    free(multipart);
}

// ---- a part's headers ----

struct part {
    struct buf name;
    struct buf filename;
    struct buf extended; // filename*
    struct buf content_type;
    bool has_disposition, has_name, has_filename, has_extended, has_content_type;
};

static void part_init(struct part *part)
{
    *part = (struct part){0};
    buf_init(&part->name, (size_t)3 * HEADERS_LIMIT);
    buf_init(&part->filename, (size_t)3 * HEADERS_LIMIT);
    buf_init(&part->extended, HEADERS_LIMIT);
    buf_init(&part->content_type, HEADERS_LIMIT);
}

static void scoped_part(struct part *part)
{
    buf_finish(&part->name);
    buf_finish(&part->filename);
    buf_finish(&part->extended);
    buf_finish(&part->content_type);
}

static bool take_once(bool *has, struct buf *out, const struct buf *value)
{
    if (*has)
        return false;
    *has = true;
    buf_clear(out);
    return buf_append(out, value->bytes, value->size);
}

// Browsers write a quote as %22 and escape nothing else that we would have to undo.
static void decode_quotes(struct buf *name)
{
    char *found = name->bytes;
    while ((found = strstr(found, "%22")) != NULL) {
        *found++ = '"';
        memmove(found, found + 2, strlen(found + 2) + 1);
        name->size -= 2;
    }
}

static void make_readable(struct buf *name)
{
    decode_quotes(name);
    if (text_is_utf8(name->bytes, name->size))
        return;
    size_t size = name->size * 3 + 1; // a wrong byte becomes a character of three
    char *clean = alloc_zeroed(size, 1);
    text_clean(clean, size, name->bytes, name->size);
    buf_clear(name);
    buf_append_text(name, clean);
    free(clean);
}

static bool read_disposition(struct part *part, const char *value)
{
    static const char type[] = "form-data";
    const char *cursor = value + strlen(type);
    char name[HTTP_PARAMETER_NAME_SIZE];
    if (part->has_disposition || strncasecmp(value, type, strlen(type)) != 0)
        return false;
    part->has_disposition = true;
    SCOPED_BUF struct buf text;
    buf_init(&text, HEADERS_LIMIT);
    while (http_parameters_next(&cursor, name, &text)) {
        bool is_once = true;
        if (strcmp(name, "name") == 0)
            is_once = take_once(&part->has_name, &part->name, &text);
        else if (strcmp(name, "filename") == 0)
            is_once = take_once(&part->has_filename, &part->filename, &text);
        else if (strcmp(name, "filename*") == 0 && !part->has_extended)
            part->has_extended = http_parameters_decode_extended(text.bytes, &part->extended);
        if (!is_once)
            return false;
    }
    return *cursor == '\0' && part->has_name;
}

// One line without its end.
static bool read_header(struct part *part, const char *line)
{
    const char *colon = strchr(line, ':');
    if (colon == NULL || colon == line || strcspn(line, " \t") < (size_t)(colon - line))
        return false;
    size_t size = (size_t)(colon - line);
    const char *value = colon + 1 + strspn(colon + 1, " \t");
    if (size == strlen("Content-Disposition") &&
        strncasecmp(line, "Content-Disposition", size) == 0)
        return read_disposition(part, value);
    if (size == strlen("Content-Type") && strncasecmp(line, "Content-Type", size) == 0) {
        if (part->has_content_type)
            return false;
        part->has_content_type = true;
        return buf_append_text(&part->content_type, value);
    }
    return true;
}

static bool read_headers(struct http_multipart *multipart, struct part *part)
{
    char *line = multipart->headers.bytes;
    while (line[0] != '\r') {
        char *end = strstr(line, "\r\n");
        *end = '\0';
        if (strchr(line, '\r') != NULL || !read_header(part, line))
            return false;
        line = end + 2;
    }
    return part->has_disposition;
}

static bool begin_part(struct http_multipart *multipart, struct error *err)
{
    __attribute__((cleanup(scoped_part))) struct part part;
    part_init(&part);
    if (!read_headers(multipart, &part))
        return error_set(err, ERROR_INVALID, "the headers of a part are malformed");
    struct buf *filename = part.has_extended ? &part.extended : &part.filename;
    make_readable(&part.name);
    if (!part.has_extended)
        make_readable(filename);
    multipart->state = IN_BYTES;
    return multipart->events.part(
        multipart->events.context,
        &(struct http_multipart_part){
            .name = part.name.bytes,
            .filename = part.has_extended || part.has_filename ? filename->bytes : NULL,
            .content_type = part.has_content_type ? part.content_type.bytes : "text/plain",
        },
        err);
}

// ---- the stream; each function takes a beginning of the bytes and says how much ----

static bool emit(struct http_multipart *multipart, const char *bytes, size_t size,
                 struct error *err)
{
    if (multipart->state != IN_BYTES || size == 0)
        return true;
    return multipart->events.bytes(multipart->events.context, bytes, size, err);
}

static bool end_bytes(struct http_multipart *multipart, struct error *err)
{
    bool was_part = multipart->state == IN_BYTES;
    multipart->matched = 0;
    multipart->state = AFTER_DELIMITER;
    memset(multipart->after, 0, sizeof multipart->after);
    multipart->after_size = 0;
    multipart->padding_size = 0;
    return !was_part || multipart->events.part_end(multipart->events.context, err);
}

// Goes on with a delimiter that an earlier piece began.
static bool feed_matched(struct http_multipart *multipart, const char *bytes, size_t size,
                         size_t *out_taken, struct error *err)
{
    size_t taken = 0;
    while (taken < size && multipart->matched < multipart->delimiter_size &&
           bytes[taken] == multipart->delimiter[multipart->matched]) {
        multipart->matched++;
        taken++;
    }
    *out_taken = taken;
    if (multipart->matched == multipart->delimiter_size)
        return end_bytes(multipart, err);
    if (taken == size)
        return true;
    size_t matched = multipart->matched;
    multipart->matched = 0;
    return emit(multipart, multipart->delimiter, matched, err);
}

static bool feed_bytes(struct http_multipart *multipart, const char *bytes, size_t size,
                       size_t *out_taken, struct error *err)
{
    if (multipart->matched > 0)
        return feed_matched(multipart, bytes, size, out_taken, err);
    const char *found = memmem(bytes, size, multipart->delimiter, multipart->delimiter_size);
    if (found != NULL) {
        *out_taken = (size_t)(found - bytes) + multipart->delimiter_size;
        return emit(multipart, bytes, (size_t)(found - bytes), err) && end_bytes(multipart, err);
    }
    *out_taken = size;
    size_t tail = multipart->delimiter_size - 1 < size ? multipart->delimiter_size - 1 : size;
    const char *cr = memrchr(bytes + size - tail, '\r', tail);
    size_t begun = cr == NULL ? 0 : (size_t)(bytes + size - cr);
    if (begun > 0 && memcmp(cr, multipart->delimiter, begun) != 0)
        begun = 0;
    multipart->matched = begun;
    return emit(multipart, bytes, size - begun, err);
}

static bool feed_after(struct http_multipart *multipart, char c, struct error *err)
{
    bool is_padding = c == ' ' || c == '\t';
    if (is_padding && multipart->after_size == 0 && multipart->padding_size < PADDING_LIMIT) {
        multipart->padding_size++;
        return true;
    }
    multipart->after[multipart->after_size++] = c;
    if (multipart->after_size < 2 && (c == '\r' || (c == '-' && multipart->padding_size == 0)))
        return true;
    if (memcmp(multipart->after, "--", 2) == 0) {
        multipart->state = IN_EPILOGUE;
        return true;
    }
    // "--boundaryX" is read as data by some and as a delimiter by others.
    if (memcmp(multipart->after, "\r\n", 2) != 0)
        return error_set(err, ERROR_INVALID, "a boundary is followed by something else");
    buf_clear(&multipart->headers);
    multipart->state = IN_HEADERS;
    return true;
}

static bool feed_header(struct http_multipart *multipart, char c, struct error *err)
{
    struct buf *headers = &multipart->headers;
    bool is_bare = c == '\n' && (headers->size == 0 || headers->bytes[headers->size - 1] != '\r');
    if (is_bare || c == '\0')
        return error_set(err, ERROR_INVALID, "the headers of a part are malformed");
    if (!buf_append(headers, &c, 1))
        return error_set(err, ERROR_INVALID, "the headers of a part are too long");
    bool is_end = headers->size == 2 && memcmp(headers->bytes, "\r\n", 2) == 0;
    if (headers->size >= 4)
        is_end = memcmp(headers->bytes + headers->size - 4, "\r\n\r\n", 4) == 0;
    return !is_end || begin_part(multipart, err);
}

static bool feed_some(struct http_multipart *multipart, const char *bytes, size_t size,
                      size_t *out_taken, struct error *err)
{
    *out_taken = 1;
    switch (multipart->state) {
    case IN_PREAMBLE:
    case IN_BYTES:
        return feed_bytes(multipart, bytes, size, out_taken, err);
    case AFTER_DELIMITER:
        return feed_after(multipart, *bytes, err);
    case IN_HEADERS:
        return feed_header(multipart, *bytes, err);
    case IN_EPILOGUE:
        *out_taken = size;
        return true;
    case IS_BROKEN:
        break;
    }
    return error_set(err, ERROR_INVALID, "the body is malformed");
}

bool http_multipart_feed(struct http_multipart *multipart, const void *bytes, size_t size,
                         struct error *err)
{
    const char *next = bytes;
    while (size > 0) {
        size_t taken;
        if (!feed_some(multipart, next, size, &taken, err)) {
            multipart->state = IS_BROKEN;
            return false;
        }
        next += taken;
        size -= taken;
    }
    return true;
}

bool http_multipart_end(struct http_multipart *multipart, struct error *err)
{
    return multipart->state == IN_EPILOGUE ||
           error_set(err, ERROR_INVALID, "the body was cut: its closing boundary is missing");
}
