#include "base/url.h"

#include "base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

// Copies text[0..size) percent-decoded; `what` names it in the error.
static bool decode(char *out, size_t out_size, const char *text, size_t size, const char *what,
                   struct error *err)
{
    size_t length = 0;
    for (size_t i = 0; i < size; i++) {
        int byte = (unsigned char)text[i];
        if (byte == '%') {
            int high = i + 2 < size ? text_hex_value(text[i + 1]) : -1;
            int low = high >= 0 ? text_hex_value(text[i + 2]) : -1;
            if (low < 0)
                return error_set(err, ERROR_INVALID, "'%%' in the %s needs two hex digits", what);
            byte = high * 16 + low;
            i += 2;
        }
        if (byte < ' ' || byte == 0x7f)
            return error_set(err, ERROR_INVALID, "a control character in the %s", what);
        if (length + 1 >= out_size)
            return error_set(err, ERROR_INVALID, "the %s is too long", what);
        out[length++] = (char)byte;
    }
    out[length] = '\0';
    return true;
}

static bool parse_scheme(const char **at, struct url *out, struct error *err)
{
    size_t length = strcspn(*at, ":");
    if (length == 0 || length >= sizeof out->scheme || strncmp(*at + length, "://", 3) != 0)
        return error_set(err, ERROR_INVALID, "the form is scheme://user:password@host:port/path");
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)(*at)[i]) && (*at)[i] != '+')
            return error_set(err, ERROR_INVALID, "the scheme has an odd character");
        out->scheme[i] = (char)tolower((unsigned char)(*at)[i]);
    }
    *at += length + 3;
    return true;
}

static bool parse_user(const char *text, size_t size, struct url *out, struct error *err)
{
    const char *colon = memchr(text, ':', size);
    size_t user_size = colon == NULL ? size : (size_t)(colon - text);
    if (!decode(out->user, sizeof out->user, text, user_size, "user name", err))
        return false;
    if (user_size == 0)
        return error_set(err, ERROR_INVALID, "the user name is empty");
    return colon == NULL || decode(out->password, sizeof out->password, colon + 1,
                                   size - user_size - 1, "password", err);
}

static bool parse_port(const char *text, size_t size, int *out, struct error *err)
{
    char digits[8];
    int64_t port;
    if (size < sizeof digits) {
        memcpy(digits, text, size);
        digits[size] = '\0';
        if (text_parse_integer(digits, 1, 65535, &port)) {
            *out = (int)port;
            return true;
        }
    }
    return error_set(err, ERROR_INVALID, "a port is a number from 1 to 65535");
}

static bool parse_host(const char *text, size_t size, struct url_host *out, struct error *err)
{
    const char *end = text + size, *name = text, *name_end;
    if (size > 0 && *text == '[') {
        name = text + 1;
        name_end = memchr(text, ']', size);
        if (name_end == NULL ||
            strspn(name, "0123456789abcdefABCDEF:.") != (size_t)(name_end - name))
            return error_set(err, ERROR_INVALID, "an IPv6 address is written [::1]");
        text = name_end + 1;
    } else {
        name_end = memchr(text, ':', size);
        if (name_end == NULL)
            name_end = end;
        text = name_end;
        for (const char *at = name; at < name_end; at++)
            if (!isalnum((unsigned char)*at) && strchr("-._", *at) == NULL)
                return error_set(err, ERROR_INVALID,
                                 "a host name has an odd character; '@', ':' "
                                 "and '/' in a password are %%40, %%3A, %%2F");
    }
    size_t length = (size_t)(name_end - name);
    if (length == 0 || length >= sizeof out->name)
        return error_set(err, ERROR_INVALID, "a host name is missing or too long");
    memcpy(out->name, name, length);
    out->name[length] = '\0';
    if (text == end)
        return true;
    if (*text != ':')
        return error_set(err, ERROR_INVALID, "behind a host stands ':' and its port");
    return parse_port(text + 1, (size_t)(end - text - 1), &out->port, err);
}

static bool parse_hosts(const char *text, size_t size, struct url *out, struct error *err)
{
    const char *end = text + size;
    for (;;) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        const char *host_end = comma == NULL ? end : comma;
        if (out->host_count == URL_HOSTS_MAX)
            return error_set(err, ERROR_INVALID, "more than %d hosts", URL_HOSTS_MAX);
        if (!parse_host(text, (size_t)(host_end - text), &out->hosts[out->host_count++], err))
            return false;
        if (comma == NULL)
            return true;
        text = comma + 1;
    }
}

static bool parse_parameters(const char *text, struct url *out, struct error *err)
{
    while (*text != '\0') {
        size_t size = strcspn(text, "&");
        const char *equals = memchr(text, '=', size);
        if (equals == NULL || equals == text)
            return error_set(err, ERROR_INVALID, "a parameter is written name=value");
        if (out->parameter_count == URL_PARAMETERS_MAX)
            return error_set(err, ERROR_INVALID, "more than %d parameters", URL_PARAMETERS_MAX);
        struct url_parameter *parameter = &out->parameters[out->parameter_count++];
        if (!decode(parameter->name, sizeof parameter->name, text, (size_t)(equals - text),
                    "parameter's name", err) ||
            !decode(parameter->value, sizeof parameter->value, equals + 1,
                    size - (size_t)(equals + 1 - text), "parameter's value", err))
            return false;
        text += size + (text[size] == '&');
    }
    return true;
}

bool url_parse(const char *text, struct url *out, struct error *err)
{
    *out = (struct url){0};
    if (!parse_scheme(&text, out, err))
        return false;
    size_t authority_size = strcspn(text, "/?#");
    const char *rest = text + authority_size;
    if (strchr(rest, '#') != NULL)
        return error_set(err, ERROR_INVALID, "'#' is written %%23");
    const char *at = memrchr(text, '@', authority_size);
    if (at == NULL && strchr(rest, '@') != NULL)
        return error_set(err, ERROR_INVALID,
                         "'@' behind the host is %%40; '/' and '?' in a password are %%2F, %%3F");
    if (at != NULL) {
        if (!parse_user(text, (size_t)(at - text), out, err))
            return false;
        authority_size -= (size_t)(at + 1 - text);
        text = at + 1;
    }
    if (!parse_hosts(text, authority_size, out, err))
        return false;
    if (*rest == '/') {
        size_t path_size = strcspn(++rest, "?");
        out->has_path = true;
        if (!decode(out->path, sizeof out->path, rest, path_size, "path", err))
            return false;
        rest += path_size;
    }
    return *rest != '?' || parse_parameters(rest + 1, out, err);
}

const char *url_parameter(const struct url *url, const char *name)
{
    for (size_t i = 0; i < url->parameter_count; i++)
        if (strcmp(url->parameters[i].name, name) == 0)
            return url->parameters[i].value;
    return NULL;
}

bool url_check_parameters(const struct url *url, const char *const *names, struct error *err)
{
    for (size_t i = 0; i < url->parameter_count; i++) {
        const char *given = url->parameters[i].name;
        size_t known = 0;
        while (names[known] != NULL && strcmp(names[known], given) != 0)
            known++;
        if (names[known] == NULL)
            return error_set(err, ERROR_INVALID, "there is no parameter '%s'", given);
        if (url_parameter(url, given) != url->parameters[i].value)
            return error_set(err, ERROR_INVALID, "the parameter '%s' is given twice", given);
    }
    return true;
}

bool url_is_loopback(const char *host_name)
{
    return strcmp(host_name, "localhost") == 0 || strcmp(host_name, "::1") == 0 ||
           (text_starts_with(host_name, "127.") &&
            strspn(host_name, "0123456789.") == strlen(host_name));
}
