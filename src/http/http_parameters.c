#include "http/http_parameters.h"

#include "base/text.h"

#include <string.h>
#include <strings.h>

static const char token_marks[] = "!#$%&'*+-.^_`|~";

static size_t token_size(const char *text)
{
    size_t size = 0;
    for (;; size++) {
        char c = text[size];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool is_digit = c >= '0' && c <= '9';
        if (!is_letter && !is_digit && (c == '\0' || strchr(token_marks, c) == NULL))
            return size;
    }
}

static const char *skip_spaces(const char *text)
{
    return text + strspn(text, " \t");
}

// Only \" and \\ are escapes: some browsers sent whole paths with plain backslashes. NULL when the
// closing quote is missing.
static const char *read_quoted(const char *text, struct buf *value)
{
    for (text++; *text != '"'; text++) {
        if (*text == '\\' && (text[1] == '"' || text[1] == '\\'))
            text++;
        if (*text == '\0' || !buf_append(value, text, 1))
            return NULL;
    }
    return text + 1;
}

bool http_parameters_next(const char **cursor, char name[HTTP_PARAMETER_NAME_SIZE],
                          struct buf *value)
{
    const char *text = skip_spaces(*cursor);
    *cursor = text;
    if (*text != ';')
        return false;
    text = skip_spaces(text + 1);
    if (*text == '\0') {
        *cursor = text; // one ';' too many at the end is common
        return false;
    }
    size_t size = token_size(text);
    if (size == 0 || size >= HTTP_PARAMETER_NAME_SIZE || text[size] != '=')
        return false;
    for (size_t i = 0; i < size; i++)
        name[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + ('a' - 'A')) : text[i];
    name[size] = '\0';
    text += size + 1;
    buf_clear(value);
    if (*text == '"') {
        text = read_quoted(text, value);
    } else {
        size = token_size(text);
        text = size > 0 && buf_append(value, text, size) ? text + size : NULL;
    }
    if (text == NULL)
        return false;
    *cursor = text;
    return true;
}

bool http_parameters_decode_extended(const char *text, struct buf *out)
{
    buf_clear(out);
    if (strncasecmp(text, "UTF-8'", 6) != 0)
        return false;
    text = strchr(text + 6, '\'');
    if (text == NULL)
        return false;
    for (text++; *text != '\0'; text++) {
        char c = *text;
        if (c == '%') {
            int high = text_hex_value(text[1]);
            int low = high < 0 ? -1 : text_hex_value(text[2]);
            if (low < 0)
                return false;
            c = (char)(high * 16 + low);
            text += 2;
        }
        if ((unsigned char)c < 0x20 || c == 0x7f || !buf_append(out, &c, 1))
            return false;
    }
    return out->size > 0 && text_is_utf8(out->bytes, out->size);
}
