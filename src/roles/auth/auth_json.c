// Bodies of requests: JSON, read strictly, so that a request means one thing to everybody.
#include "http/http_reply.h"
#include "roles/auth/auth.h"

#include <string.h>

static bool is_known(const char *name, const char *const *members)
{
    for (; *members != NULL; members++)
        if (strcmp(*members, name) == 0)
            return true;
    return false;
}

json_t *auth_read_json(struct http_exchange *exchange, const char *const *members)
{
    size_t size;
    const char *body = http_body(exchange, &size);
    if (size == 0)
        return json_object();
    SCOPED(json_decref) json_t *object = json_loadb(body, size, JSON_REJECT_DUPLICATES, NULL);
    bool is_fine = json_is_object(object);
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value) is_fine = is_fine && is_known(name, members);
    if (!is_fine) {
        http_reply_problem(exchange, 400, "invalid_json",
                           "The body has to be one JSON object with the members of this request, "
                           "each once.");
        return NULL;
    }
    return TAKE(object);
}

static bool refuse_type(struct http_exchange *exchange, const char *name, const char *type)
{
    char detail[96];
    snprintf(detail, sizeof detail, "%s has to be %s.", name, type);
    http_reply_problem(exchange, 400, "invalid_json", detail);
    return false;
}

bool auth_json_text(struct http_exchange *exchange, const json_t *object, const char *name,
                    const char **out)
{
    const json_t *member = json_object_get(object, name);
    if (member != NULL && !json_is_string(member))
        return refuse_type(exchange, name, "a string");
    *out = json_string_value(member);
    return true;
}

bool auth_json_flag(struct http_exchange *exchange, const json_t *object, const char *name,
                    bool *out)
{
    const json_t *member = json_object_get(object, name);
    if (member != NULL && !json_is_boolean(member))
        return refuse_type(exchange, name, "true or false");
    *out = json_is_true(member);
    return true;
}
