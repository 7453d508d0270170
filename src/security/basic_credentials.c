#include "security/basic_credentials.h"

#include "base/text.h"
#include "security/base64.h"

#include <sodium.h>
#include <string.h>
#include <strings.h>

static bool split(const char *text, size_t size, struct credentials *out)
{
    const char *colon = memchr(text, ':', size);
    if (colon == NULL || memchr(text, '\0', size) != NULL || !text_is_utf8(text, size))
        return false;
    size_t name_size = (size_t)(colon - text);
    size_t password_size = size - name_size - 1;
    if (name_size == 0 || name_size >= sizeof out->name || password_size >= sizeof out->password)
        return false;
    memcpy(out->name, text, name_size);
    out->name[name_size] = '\0';
    memcpy(out->password, colon + 1, password_size);
    out->password[password_size] = '\0';
    return true;
}

bool basic_credentials_parse(const char *header, struct credentials *out)
{
    static const char scheme[] = "Basic ";
    if (strncasecmp(header, scheme, sizeof scheme - 1) != 0)
        return false;
    const char *encoded = header + sizeof scheme - 1;
    encoded += strspn(encoded, " ");
    char text[sizeof *out];
    size_t size;
    bool is_read =
        base64_decode(encoded, strlen(encoded), text, sizeof text, &size) && split(text, size, out);
    sodium_memzero(text, sizeof text);
    return is_read;
}

void credentials_finish(struct credentials *credentials)
{
    sodium_memzero(credentials, sizeof *credentials);
}
