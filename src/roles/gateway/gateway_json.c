#include "roles/gateway/gateway_json.h"

#include "base/clock.h"
#include "protocol/preset.h"

#include <string.h>

json_t *gateway_time_json(int64_t unix_ms)
{
    if (unix_ms == 0)
        return json_null();
    char text[CLOCK_TEXT_SIZE];
    clock_format(unix_ms, text);
    return json_string(text);
}

// The options are an object that this role wrote itself; a row of an older release may lack some.
static json_t *options_json(const char *options)
{
    json_t *object = json_loads(options, 0, NULL);
    if (json_is_object(object))
        return object;
    json_decref(object);
    return json_object();
}

static const char *preset_of(const json_t *options)
{
    const char *name = json_string_value(json_object_get(options, "preset"));
    return name != NULL ? name : PRESET_DEFAULT;
}

static json_t *audio_json(const struct conversion *conversion)
{
    if (conversion->audio_key[0] == '\0')
        return json_null();
    return json_pack("{s:I, s:I, s:s}", "bytes", (json_int_t)conversion->audio_bytes, "duration_ms",
                     (json_int_t)conversion->duration_ms, "sha256", conversion->audio_sha256);
}

static json_t *progress_json(const struct conversion *conversion)
{
    bool is_ready = strcmp(conversion->state, "ready") == 0;
    return json_real(is_ready ? 1.0 : (double)conversion->progress_permille / 1000);
}

static json_t *mail_json(const struct conversion *conversion)
{
    if (conversion->mail_state[0] == '\0')
        return json_null();
    return json_pack("{s:s}", "state", conversion->mail_state);
}

static json_t *error_json(const struct conversion *conversion)
{
    if (conversion->error_code[0] == '\0')
        return json_null();
    return json_pack("{s:s, s:s}", "code", conversion->error_code, "detail",
                     conversion->error_detail);
}

json_t *gateway_conversion_json(const struct conversion *conversion)
{
    json_t *options = options_json(conversion->options);
    return json_pack("{s:s, s:s, s:s, s:o, s:s, s:o, s:{s:I}, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
                     conversion->id, "name", conversion->name, "state", conversion->state,
                     "progress", progress_json(conversion), "preset", preset_of(options), "options",
                     options, "source", "bytes", (json_int_t)conversion->source_bytes, "audio",
                     audio_json(conversion), "mail", mail_json(conversion), "error",
                     error_json(conversion), "created_at",
                     gateway_time_json(conversion->created_at_ms), "updated_at",
                     gateway_time_json(conversion->updated_at_ms), "expires_at",
                     gateway_time_json(conversion->expires_at_ms));
}
