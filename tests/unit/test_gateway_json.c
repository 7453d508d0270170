#include "roles/gateway/gateway_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect(const struct conversion *conversion, const char *expected)
{
    json_t *object = gateway_conversion_json(conversion);
    assert_non_null(object);
    char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(6));
    assert_string_equal(text, expected);
    free(text);
    json_decref(object);
}

static struct conversion queued(void)
{
    return (struct conversion){
        .id = "01J00000000000000000000000",
        .owner = "01J11111111111111111111111",
        .owner_email = "ann@example.org",
        .name = "talk.mp4",
        .options = "{\"preset\":\"voice\"}",
        .state = "queued",
        .source_key = "source/01J00000000000000000000000",
        .source_bytes = 123,
        .created_at_ms = 1795255200123,
        .updated_at_ms = 1795255201000,
    };
}

static void a_queued_conversion_has_nulls_for_what_it_has_not(void **state)
{
    (void)state;
    const struct conversion conversion = queued();
    expect(&conversion,
           "{\"id\":\"01J00000000000000000000000\",\"name\":\"talk.mp4\",\"state\":\"queued\","
           "\"progress\":0.0,\"preset\":\"voice\",\"options\":{\"preset\":\"voice\"},\"source\":{"
           "\"bytes\":123},\"audio\":null,"
           "\"mail\":null,\"error\":null,\"created_at\":\"2026-11-21T10:00:00.123Z\","
           "\"updated_at\":\"2026-11-21T10:00:01.000Z\",\"expires_at\":null}");
}

static void a_ready_conversion_says_what_its_audio_is(void **state)
{
    (void)state;
    struct conversion conversion = queued();
    snprintf(conversion.state, sizeof conversion.state, "%s", "ready");
    snprintf(conversion.options, sizeof conversion.options, "%s", "not an object");
    snprintf(conversion.audio_key, sizeof conversion.audio_key, "%s",
             "audio/01J00000000000000000000000/1");
    snprintf(conversion.audio_sha256, sizeof conversion.audio_sha256, "%s", "abc");
    snprintf(conversion.mail_state, sizeof conversion.mail_state, "%s", "sent");
    conversion.source_key[0] = '\0';
    conversion.progress_permille = 990;
    conversion.audio_bytes = 45;
    conversion.duration_ms = 6789;
    conversion.expires_at_ms = 1795860000000;
    expect(&conversion,
           "{\"id\":\"01J00000000000000000000000\",\"name\":\"talk.mp4\",\"state\":\"ready\","
           "\"progress\":1.0,\"preset\":\"standard\",\"options\":{},\"source\":{\"bytes\":123},"
           "\"audio\":{\"bytes\":45,\"duration_ms\":6789,\"sha256\":\"abc\"},"
           "\"mail\":{\"state\":\"sent\"},\"error\":null,"
           "\"created_at\":\"2026-11-21T10:00:00.123Z\","
           "\"updated_at\":\"2026-11-21T10:00:01.000Z\","
           "\"expires_at\":\"2026-11-28T10:00:00.000Z\"}");
}

static void a_failed_conversion_says_why(void **state)
{
    (void)state;
    struct conversion conversion = queued();
    snprintf(conversion.state, sizeof conversion.state, "%s", "failed");
    snprintf(conversion.error_code, sizeof conversion.error_code, "%s", "no_audio");
    snprintf(conversion.error_detail, sizeof conversion.error_detail, "%s",
             "The video has no sound.");
    conversion.progress_permille = 250;
    expect(&conversion,
           "{\"id\":\"01J00000000000000000000000\",\"name\":\"talk.mp4\",\"state\":\"failed\","
           "\"progress\":0.25,\"preset\":\"voice\",\"options\":{\"preset\":\"voice\"},\"source\":{"
           "\"bytes\":123},\"audio\":null,"
           "\"mail\":null,"
           "\"error\":{\"code\":\"no_audio\",\"detail\":\"The video has no sound.\"},"
           "\"created_at\":\"2026-11-21T10:00:00.123Z\","
           "\"updated_at\":\"2026-11-21T10:00:01.000Z\",\"expires_at\":null}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queued_conversion_has_nulls_for_what_it_has_not),
        cmocka_unit_test(a_ready_conversion_says_what_its_audio_is),
        cmocka_unit_test(a_failed_conversion_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
