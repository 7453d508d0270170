#include "mail/mail_message.h"

#include "base/alloc.h"
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct buf text;
static struct error err;

static int start(void **state)
{
    (void)state;
    buf_init(&text, 1024 * 1024);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    buf_finish(&text);
    return 0;
}

static struct mail_message a_message(void)
{
    return (struct mail_message){.from = "Unreel <unreel@example.org>",
                                 .to = "someone@example.org",
                                 .subject = "Your MP3",
                                 .message_id = "01J@example.org",
                                 .traceparent = "",
                                 .date_ms = 1763719200123,
                                 .body = "Hello\n"};
}

static const char *write_message(const struct mail_message *message)
{
    buf_clear(&text);
    if (!mail_message_write(message, &text, &err))
        fail_msg("%s", err.text);
    return text.bytes;
}

static void assert_has(const char *line)
{
    if (strstr(text.bytes, line) == NULL)
        fail_msg("'%s' is not in:\n%s", line, text.bytes);
}

static void a_plain_mail_is_these_very_bytes(void **state)
{
    (void)state;
    struct mail_message message = a_message();
    message.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    assert_string_equal(write_message(&message),
                        "Date: Fri, 21 Nov 2025 10:00:00 +0000\r\n"
                        "From: Unreel <unreel@example.org>\r\n"
                        "To: someone@example.org\r\n"
                        "Subject: Your MP3\r\n"
                        "Message-ID: <01J@example.org>\r\n"
                        "Auto-Submitted: auto-generated\r\n"
                        "MIME-Version: 1.0\r\n"
                        "Content-Type: text/plain; charset=utf-8\r\n"
                        "Content-Transfer-Encoding: quoted-printable\r\n"
                        "X-Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
                        "\r\n"
                        "Hello\r\n");
}

static void a_subject_that_is_not_ascii_is_encoded(void **state)
{
    (void)state;
    struct mail_message message = a_message();
    message.subject = "Gr\xC3\xBC\xC3\x9F"
                      "e \xE2\x9C\x93";
    write_message(&message);
    assert_has("\r\nSubject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe_=E2=9C=93?=\r\n");
    message.subject = "=?UTF-8?Q?not_ours?=";
    write_message(&message);
    assert_has("\r\nSubject: =?UTF-8?Q?=3D=3FUTF=2D8=3FQ=3Fnot=5Fours=3F=3D?=\r\n");
}

static void long_subjects_fold_between_code_points(void **state)
{
    (void)state;
    char subject[601];
    for (size_t i = 0; i < 600; i += 3)
        memcpy(subject + i, "\xE2\x9C\x93", 3);
    subject[600] = '\0';
    struct mail_message message = a_message();
    message.subject = subject;
    write_message(&message);
    char *line = strstr(text.bytes, "\r\nSubject: ") + 2;
    int marks = 0;
    for (bool is_first = true; is_first || *line == ' '; is_first = false) {
        char *end = strstr(line, "\r\n");
        assert_in_range(end - line, 1, 76);
        *end = '\0';
        char *word = strstr(line, "=?UTF-8?Q?");
        assert_non_null(word);
        assert_in_range(strlen(word), 12, 75);
        for (word += 10; strncmp(word, "=E2=9C=93", 9) == 0; word += 9)
            marks++;
        assert_string_equal(word, "?=");
        line = end + 2;
    }
    assert_int_equal(marks, 200);
}

static void names_of_senders_are_encoded_where_they_must(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"unreel@example.org", "\r\nFrom: unreel@example.org\r\n"},
        {"<unreel@example.org>", "\r\nFrom: unreel@example.org\r\n"},
        {"My Unreel <unreel@example.org>", "\r\nFrom: My Unreel <unreel@example.org>\r\n"},
        {"\"My Unreel\" <unreel@example.org>", "\r\nFrom: My Unreel <unreel@example.org>\r\n"},
        {"Unreel, the <b> one <unreel@example.org>",
         "\r\nFrom: =?UTF-8?Q?Unreel=2C_the_=3Cb=3E_one?=\r\n <unreel@example.org>\r\n"},
        {"Gr\xC3\xBCn <unreel@example.org>",
         "\r\nFrom: =?UTF-8?Q?Gr=C3=BCn?=\r\n <unreel@example.org>\r\n"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct mail_message message = a_message();
        message.from = pairs[i][0];
        write_message(&message);
        assert_has(pairs[i][1]);
    }
}

static void nothing_can_add_a_header(void **state)
{
    (void)state;
    static const char *const tricks[] = {"x\r\nBcc: thief@example.org",
                                         "x\nBcc: thief@example.org",
                                         "x\rBcc: thief@example.org",
                                         "x\tx",
                                         "x\x7F",
                                         "x\xC2\x85y",
                                         "x\xFF",
                                         "x\xC0\x8A"};
    for (size_t i = 0; i < sizeof tricks / sizeof tricks[0]; i++) {
        SCOPED(free) char *address = alloc_format("%s@example.org", tricks[i]);
        SCOPED(free) char *sender = alloc_format("%s <unreel@example.org>", tricks[i]);
        struct mail_message messages[5];
        for (size_t j = 0; j < 5; j++)
            messages[j] = a_message();
        messages[0].subject = tricks[i];
        messages[1].from = sender;
        messages[2].to = address;
        messages[3].message_id = address;
        messages[4].traceparent = tricks[i];
        for (size_t j = 0; j < 5; j++) {
            buf_clear(&text);
            err.kind = ERROR_NONE;
            if (mail_message_write(&messages[j], &text, &err))
                fail_msg("trick %zu passed in field %zu:\n%s", i, j, text.bytes);
            assert_int_equal(err.kind, ERROR_INVALID);
        }
    }
}

static int hex_value(char digit)
{
    const char *at = strchr("0123456789ABCDEF", digit);
    assert_true(digit != '\0' && at != NULL);
    return (int)(at - "0123456789ABCDEF");
}

// Reads quoted-printable back by RFC 2045, checking every line of it.
static char *read_body(const char *message)
{
    const char *at = strstr(message, "\r\n\r\n") + 4;
    char *out = alloc_zeroed(strlen(at) + 1, 1);
    size_t size = 0;
    while (*at != '\0') {
        const char *end = strstr(at, "\r\n");
        assert_non_null(end);
        assert_in_range(end - at, 0, 76);
        assert_true(end == at || (end[-1] != ' ' && end[-1] != '\t'));
        assert_true(*at != '.');
        bool is_soft = end > at && end[-1] == '=';
        for (const char *last = is_soft ? end - 1 : end; at < last; at++) {
            assert_true(*at == '\t' || (*at >= ' ' && *at < 0x7F));
            if (*at == '=') {
                out[size++] = (char)(hex_value(at[1]) * 16 + hex_value(at[2]));
                at += 2;
            } else {
                out[size++] = *at;
            }
        }
        if (!is_soft)
            out[size++] = '\n';
        at = end + 2;
    }
    return out;
}

static void bodies_survive_quoted_printable(void **state)
{
    (void)state;
    char long_line[2003];
    memset(long_line, 'a', 2001);
    memcpy(long_line + 2001, "\n", 2);
    char equals[303];
    memset(equals, '=', 301);
    memcpy(equals + 301, "\n", 2);
    const char *const bodies[] = {
        "",
        "\n",
        "\n\n\n",
        "one line\n",
        "trailing space \nand tab\t\n \n",
        ".\n..\n.dot\n",
        "Gr\xC3\xBC\xC3\x9F"
        "e \xE2\x9C\x93\n",
        "a=b =3D\n",
        "\r lone\n",
        "1234567890123456789012345678901234567890123456789012345678901234567890123456\n",
        "12345678901234567890123456789012345678901234567890123456789012345678901234  \n",
        long_line,
        equals,
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct mail_message message = a_message();
        message.body = bodies[i];
        SCOPED(free) char *read = read_body(write_message(&message));
        assert_string_equal(read, bodies[i]);
    }
}

static void line_ends_become_what_mail_wants(void **state)
{
    (void)state;
    struct mail_message message = a_message();
    message.body = "one\r\ntwo\nthree";
    assert_non_null(strstr(write_message(&message), "\r\n\r\none\r\ntwo\r\nthree\r\n"));
    message.body = "not UTF-8: \xFF\n";
    buf_clear(&text);
    assert_false(mail_message_write(&message, &text, &err));
    assert_int_equal(err.kind, ERROR_INVALID);
}

static void a_buffer_that_is_too_small_is_said(void **state)
{
    (void)state;
    struct mail_message message = a_message();
    for (size_t limit = 0; limit < 300; limit += 7) {
        SCOPED_BUF struct buf small;
        buf_init(&small, limit);
        assert_false(mail_message_write(&message, &small, &err));
        assert_int_equal(err.kind, ERROR_TOO_LARGE);
    }
}

static void the_address_is_found_inside_the_sender(void **state)
{
    (void)state;
    char address[64];
    assert_true(mail_address("Unreel <unreel@example.org>", address, sizeof address));
    assert_string_equal(address, "unreel@example.org");
    assert_true(mail_address("unreel@localhost", address, sizeof address));
    assert_string_equal(address, "unreel@localhost");
    static const char *const wrong[] = {"",
                                        "Unreel",
                                        "Unreel <>",
                                        "Unreel <unreel@example.org",
                                        "Unreel <unreel@example.org> x",
                                        "a@b c",
                                        "Vid\xe9o <unreel@example.org>",
                                        "Un\nreel <unreel@example.org>"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(mail_address(wrong[i], address, sizeof address));
    assert_false(mail_address("Unreel <unreel@example.org>", address, 10));
}

static void long_addresses_are_not_plain(void **state)
{
    (void)state;
    SCOPED(free) char *long_local = alloc_format("%065d@example.org", 0);
    assert_false(mail_address_is_plain(long_local));
    assert_true(mail_address_is_plain(long_local + 1));
    SCOPED(free) char *long_domain = alloc_format("a@%0253d", 0);
    assert_false(mail_address_is_plain(long_domain));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_mail_is_these_very_bytes),
        cmocka_unit_test(a_subject_that_is_not_ascii_is_encoded),
        cmocka_unit_test(long_subjects_fold_between_code_points),
        cmocka_unit_test(names_of_senders_are_encoded_where_they_must),
        cmocka_unit_test(nothing_can_add_a_header),
        cmocka_unit_test(bodies_survive_quoted_printable),
        cmocka_unit_test(line_ends_become_what_mail_wants),
        cmocka_unit_test(a_buffer_that_is_too_small_is_said),
        cmocka_unit_test(the_address_is_found_inside_the_sender),
        cmocka_unit_test(long_addresses_are_not_plain),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
