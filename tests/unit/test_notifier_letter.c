#include "roles/notifier/notifier_letter.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char public_url[] = "https://unreel.example.org";

struct texts {
    struct buf subject, body;
};

static bool write_letter(const char *kind, const char *params, struct texts *out, struct error *err)
{
    struct letter letter = {.id = "01JABCDEFGHJKMNPQRSTVWXYZ0",
                            .conversion = "01JZYXWVTSRQPNMKJHGFEDCBA0",
                            .recipient = "ada@example.org"};
    snprintf(letter.kind, sizeof letter.kind, "%s", kind);
    snprintf(letter.params, sizeof letter.params, "%s", params);
    buf_init(&out->subject, 512);
    buf_init(&out->body, 8192);
    return notifier_letter_write(&letter, public_url, &out->subject, &out->body, err);
}

static void forget(struct texts *texts)
{
    buf_finish(&texts->subject);
    buf_finish(&texts->body);
}

static void assert_holds(const struct buf *buf, const char *part)
{
    if (strstr(buf->bytes, part) == NULL)
        fail_msg("\"%s\" is not in:\n%s", part, buf->bytes);
}

static void a_ready_letter_says_what_where_how_long_and_until_when(void **state)
{
    (void)state;
    struct texts texts;
    struct error err = {0};
    assert_true(write_letter("conversion_ready",
                             "{\"name\":\"holiday.mp4\",\"link_token\":\"TOKEN\","
                             "\"duration_ms\":200400,\"audio_bytes\":4812345,"
                             "\"expires_at_ms\":1795860000000}",
                             &texts, &err));
    assert_string_equal(texts.subject.bytes, "Your MP3 is ready: holiday.mp4");
    assert_holds(&texts.body, "the MP3 of \"holiday.mp4\" is ready: 3 minutes 20 seconds, 4.8 MB.");
    assert_holds(&texts.body, "\n    https://unreel.example.org/d/TOKEN\n");
    assert_holds(&texts.body, "\n    01JZYXWVTSRQPNMKJHGFEDCBA0\n");
    assert_holds(&texts.body, "/api/v1/conversions/01JZYXWVTSRQPNMKJHGFEDCBA0/audio\n");
    assert_holds(&texts.body, "It is kept until 28 November 2026, 10:00 UTC.");
    forget(&texts);
}

static void without_a_link_or_a_date_the_id_still_leads_to_the_file(void **state)
{
    (void)state;
    struct texts texts;
    struct error err = {0};
    assert_true(write_letter("conversion_ready", "{\"name\":\"a.mp4\"}", &texts, &err));
    assert_null(strstr(texts.body.bytes, "/d/"));
    assert_null(strstr(texts.body.bytes, "kept until"));
    assert_holds(&texts.body, "01JZYXWVTSRQPNMKJHGFEDCBA0");
    forget(&texts);
}

static void a_failure_letter_says_why_and_what_to_do(void **state)
{
    (void)state;
    struct texts texts;
    struct error err = {0};
    assert_true(write_letter("conversion_failed",
                             "{\"name\":\"talk.mp4\",\"code\":\"no_audio\","
                             "\"detail\":\"This video has no audio track.\"}",
                             &texts, &err));
    assert_string_equal(texts.subject.bytes, "Could not convert: talk.mp4");
    assert_holds(&texts.body, "This video has no audio track.\n"
                              "Please upload a video that has sound.\n");
    assert_holds(&texts.body, "01JZYXWVTSRQPNMKJHGFEDCBA0");
    forget(&texts);
}

static void a_failure_of_ours_is_not_blamed_on_the_video(void **state)
{
    (void)state;
    struct texts texts;
    struct error err = {0};
    assert_true(write_letter("conversion_failed", "{\"name\":\"a.mp4\",\"code\":\"gave_up\"}",
                             &texts, &err));
    assert_holds(&texts.body, "This was not the fault of your video.");
    forget(&texts);
}

static void a_name_cannot_begin_a_line_of_its_own(void **state)
{
    (void)state;
    struct texts texts;
    struct error err = {0};
    assert_true(write_letter("conversion_ready",
                             "{\"name\":\"a\\r\\nBcc: eve@example.org\\r\\n.mp4\"}", &texts, &err));
    assert_string_equal(texts.subject.bytes, "Your MP3 is ready: a  Bcc: eve@example.org  .mp4");
    assert_null(strchr(texts.body.bytes, '\r'));
    assert_null(strstr(texts.body.bytes, "\nBcc"));
    forget(&texts);
}

static void a_name_in_any_script_stays_as_it_is(void **state)
{
    (void)state;
    struct texts texts;
    struct error err = {0};
    assert_true(
        write_letter("conversion_ready", "{\"name\":\"Übung 第一回 🎬.mp4\"}", &texts, &err));
    assert_string_equal(texts.subject.bytes, "Your MP3 is ready: Übung 第一回 🎬.mp4");
    assert_holds(&texts.body, "\"Übung 第一回 🎬.mp4\"");
    forget(&texts);
}

static void lengths_and_sizes_are_told_as_people_do(void **state)
{
    (void)state;
    static const struct {
        int64_t duration_ms, audio_bytes;
        const char *text;
    } rows[] = {
        {0, 0, "0 seconds, 0.0 kB."},
        {1000, 16000, "1 second, 16.0 kB."},
        {60000, 999949, "1 minute, 999.9 kB."},
        {61400, 999950, "1 minute 1 second, 1.0 MB."},
        {3600000, 57600000, "1 hour, 57.6 MB."},
        {43200000 + 120000, 1728000000, "12 hours 2 minutes, 1.7 GB."},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char params[200];
        struct texts texts;
        struct error err = {0};
        snprintf(params, sizeof params,
                 "{\"name\":\"a\",\"duration_ms\":%lld,\"audio_bytes\":%lld}",
                 (long long)rows[i].duration_ms, (long long)rows[i].audio_bytes);
        assert_true(write_letter("conversion_ready", params, &texts, &err));
        assert_holds(&texts.body, rows[i].text);
        forget(&texts);
    }
}

static void a_letter_without_sense_is_invalid(void **state)
{
    (void)state;
    struct texts texts;
    struct error err = {0};
    assert_false(write_letter("conversion_ready", "", &texts, &err));
    assert_int_equal(err.kind, ERROR_INVALID);
    forget(&texts);
    err = (struct error){0};
    assert_false(write_letter("love", "{}", &texts, &err));
    assert_int_equal(err.kind, ERROR_INVALID);
    forget(&texts);
}

static void links_lead_to_the_setting_or_to_where_the_gateway_listens(void **state)
{
    (void)state;
    static const struct {
        const char *setting, *listen, *url;
    } rows[] = {
        {"https://unreel.example.org/", "127.0.0.1:8080", "https://unreel.example.org"},
        {"https://example.org/unreel", "unix:/run/x", "https://example.org/unreel"},
        {"", "127.0.0.1:8080", "http://127.0.0.1:8080"},
        {"", "0.0.0.0:8080", "http://localhost:8080"},
        {"", "[::]:80", "http://localhost:80"},
        {"", "unix:/run/unreel.sock", "http://localhost"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char url[600];
        notifier_public_url(rows[i].setting, rows[i].listen, url, sizeof url);
        assert_string_equal(url, rows[i].url);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ready_letter_says_what_where_how_long_and_until_when),
        cmocka_unit_test(without_a_link_or_a_date_the_id_still_leads_to_the_file),
        cmocka_unit_test(a_failure_letter_says_why_and_what_to_do),
        cmocka_unit_test(a_failure_of_ours_is_not_blamed_on_the_video),
        cmocka_unit_test(a_name_cannot_begin_a_line_of_its_own),
        cmocka_unit_test(a_name_in_any_script_stays_as_it_is),
        cmocka_unit_test(lengths_and_sizes_are_told_as_people_do),
        cmocka_unit_test(a_letter_without_sense_is_invalid),
        cmocka_unit_test(links_lead_to_the_setting_or_to_where_the_gateway_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
