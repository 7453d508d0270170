#include "roles/options.h"

#include "base/text.h"

#include <jansson.h>
#include <string.h>

void options_init(struct options *out)
{
    choices_init(&out->choices);
    out->title[0] = '\0';
}

bool options_write(const struct options *options, char *out, size_t out_size)
{
    json_t *object = json_object();
    char text[CHOICES_TEXT_SIZE];
    const struct choice *choice;
    for (size_t i = 0; (choice = choices_at(i)) != NULL; i++)
        if (choices_format(&options->choices, i, text))
            json_object_set_new(object, choice->name, json_string(text));
    if (options->title[0] != '\0')
        json_object_set_new(object, "title", json_string(options->title));
    size_t size = json_dumpb(object, out, out_size - 1, JSON_COMPACT);
    json_decref(object);
    if (size == 0 || size >= out_size)
        return false;
    out[size] = '\0';
    return true;
}

static bool read_member(const char *name, const json_t *value, struct options *out,
                        struct error *why)
{
    const char *text = json_string_value(value);
    if (text == NULL)
        return error_set(why, ERROR_INVALID, "%.40s is no text.", name);
    if (strcmp(name, "title") != 0)
        return choices_set(&out->choices, name, text, why);
    text_copy(out->title, sizeof out->title, text);
    return true;
}

static bool read_members(json_t *object, struct options *out, struct error *why)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        if (!read_member(name, value, out, why))
            return false;
    }
    return choices_check(&out->choices, why);
}

bool options_read(const char *text, struct options *out, struct error *why)
{
    options_init(out);
    json_t *object = json_loads(text, 0, NULL);
    bool is_read = json_is_object(object)
                       ? read_members(object, out, why)
                       : error_set(why, ERROR_INVALID, "The options are no JSON object.");
    json_decref(object);
    why->kind = is_read ? why->kind : ERROR_INVALID;
    return is_read;
}
