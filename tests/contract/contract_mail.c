// What mail.h promises, on files in a temporary directory; with UNREEL_TEST_BACKEND=smtp on the
// mail server of UNREEL_TEST_SMTP, whose mails are files in UNREEL_TEST_SMTP_FOLDER. What holds for
// one backend only stands at the end, in its own table. How servers misbehave:
// tests/system/test_smtp.py.

#include "base/alloc.h"
#include "base/file.h"
#include "base/id.h"
#include "base/text.h"
#include "faulty_mail.h"
#include "mail/mail.h"
#include "temporary.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct temporary temporary;
static char *url;
static const char *folder; // the server's
static struct mail *mail;
static struct error err;
static char reply[200];

static const char message[] = "Subject: x\r\n\r\n.first\r\nlast\r\n";

static int open_mail(const char *by_url)
{
    url = alloc_text(by_url);
    mail = mail_open(url, &err);
    if (mail == NULL)
        fprintf(stderr, "%s: %s\n", url, err.text);
    return mail == NULL ? -1 : 0;
}

static int open_outbox(void **state)
{
    (void)state;
    temporary_create(&temporary);
    SCOPED(free) char *outbox = alloc_format("outbox:%s/outbox", temporary.path);
    return open_mail(outbox);
}

static int open_smtp(void **state)
{
    (void)state;
    temporary_create(&temporary);
    return open_mail(getenv("UNREEL_TEST_SMTP"));
}

static int close_mail(void **state)
{
    (void)state;
    mail_close(mail);
    free(url);
    temporary_remove(&temporary);
    return 0;
}

struct letter {
    char message_id[64];
    struct mail_envelope envelope;
};

static void make_letter(struct letter *out)
{
    char id[ID_SIZE];
    id_new(id);
    snprintf(out->message_id, sizeof out->message_id, "%s@example.org", id);
    out->envelope = (struct mail_envelope){.sender = "unreel@example.org",
                                           .recipient = "someone@example.org",
                                           .message_id = out->message_id};
}

static enum mail_answer send_text(struct mail *by, const struct mail_envelope *envelope,
                                  const char *text)
{
    memset(reply, 'x', sizeof reply);
    return mail_send(by, envelope, text, strlen(text), reply, sizeof reply);
}

static void a_mail_is_accepted_with_a_line_for_the_record(void **state)
{
    (void)state;
    struct letter letter;
    make_letter(&letter);
    assert_true(mail_ready(mail, "unreel@example.org", &err));
    assert_int_equal(send_text(mail, &letter.envelope, message), MAIL_SENT);
    assert_true(strlen(reply) > 3);
    assert_null(strpbrk(reply, "\r\n"));
}

static void odd_addresses_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "someone",
                                        "@example.org",
                                        "someone@",
                                        "a@b@example.org",
                                        "some one@example.org",
                                        "someone@example.org\r\nRCPT TO:<x@example.org>",
                                        "someone@example.org\nBcc: x@example.org",
                                        "<someone@example.org>",
                                        "someone@exa>mple.org",
                                        ".someone@example.org",
                                        "some..one@example.org",
                                        "someone@example..org",
                                        "\"some one\"@example.org",
                                        "\xC3\xBC@example.org"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct letter letter;
        make_letter(&letter);
        letter.envelope.recipient = wrong[i];
        assert_int_equal(send_text(mail, &letter.envelope, message), MAIL_REFUSED);
        make_letter(&letter);
        letter.envelope.sender = wrong[i];
        assert_int_equal(send_text(mail, &letter.envelope, message), MAIL_REFUSED);
        make_letter(&letter);
        letter.envelope.message_id = wrong[i];
        assert_int_equal(send_text(mail, &letter.envelope, message), MAIL_REFUSED);
    }
}

static void lines_that_could_smuggle_a_mail_are_refused(void **state)
{
    (void)state;
    struct letter letter;
    make_letter(&letter);
    static const char *const wrong[] = {"a\n",         "a\r",
                                        "a\r\n.\n",    "a\r\n\r.\r\n",
                                        "no line end", "a\r\n\n.\r\nMAIL FROM:<x@example.org>\r\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(send_text(mail, &letter.envelope, wrong[i]), MAIL_REFUSED);
    char line[1010];
    memset(line, 'a', sizeof line);
    memcpy(line + 999, "\r\n", 3);
    assert_int_equal(send_text(mail, &letter.envelope, line), MAIL_REFUSED);
    memcpy(line + 998, "\r\n", 3);
    assert_int_equal(send_text(mail, &letter.envelope, line), MAIL_SENT);
    assert_int_equal(mail_send(mail, &letter.envelope, "a\0\r\n", 4, reply, sizeof reply),
                     MAIL_REFUSED);
}

static void the_reply_fits_where_it_goes(void **state)
{
    (void)state;
    struct letter letter;
    make_letter(&letter);
    char small[8];
    memset(small, 'x', sizeof small);
    assert_int_equal(mail_send(mail, &letter.envelope, message, strlen(message), small, 4),
                     MAIL_SENT);
    assert_true(strlen(small) < 4);
    assert_int_equal(small[4], 'x');
}

static void what_fails_for_now_is_sent_later(void **state)
{
    (void)state;
    for (int after = 0; after < 2; after++) {
        struct letter letter;
        make_letter(&letter);
        struct fault fault = {.fail_at = 1, .after_effect = after == 1};
        struct mail *faulty = faulty_mail_wrap(mail_open(url, &err), &fault);
        assert_int_equal(send_text(faulty, &letter.envelope, message), MAIL_LATER);
        assert_int_equal(send_text(faulty, &letter.envelope, message), MAIL_SENT);
        mail_close(faulty);
    }
}

static void unknown_ways_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",  "outbox", "outbox:", "nonsense:x",
                                        ":", "smtp",   "smtp:x"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_null(mail_open(wrong[i], &err));
        assert_int_equal(err.kind, ERROR_INVALID);
        assert_false(mail_check_url(wrong[i], &err));
        assert_int_equal(err.kind, ERROR_INVALID);
    }
}

// ---- the outbox ----

static char *outbox_path(const char *message_id)
{
    return alloc_format("%s/%s.eml", url + strlen("outbox:"), message_id);
}

static void the_outbox_holds_the_very_bytes(void **state)
{
    (void)state;
    struct letter letter;
    make_letter(&letter);
    SCOPED(free) char *path = outbox_path(letter.message_id);
    for (int i = 0; i < 2; i++) { // the same Message-ID replaces the file
        assert_int_equal(send_text(mail, &letter.envelope, message), MAIL_SENT);
        SCOPED_BUF struct buf read;
        buf_init(&read, 10000);
        assert_true(file_read(path, &read, &err));
        assert_string_equal(read.bytes, message);
    }
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
}

static void a_message_id_never_leaves_the_outbox(void **state)
{
    (void)state;
    static const char *const wrong[] = {"../../x@example.org", "/tmp/x@example.org",
                                        "a/b@example.org", "*@example.org"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct letter letter;
        make_letter(&letter);
        letter.envelope.message_id = wrong[i];
        assert_int_equal(send_text(mail, &letter.envelope, message), MAIL_REFUSED);
    }
}

static void an_outbox_that_is_gone_asks_for_patience(void **state)
{
    (void)state;
    SCOPED(free) char *directory = alloc_format("%s/gone", temporary.path);
    SCOPED(free) char *gone_url = alloc_format("outbox:%s", directory);
    struct mail *gone = mail_open(gone_url, &err);
    assert_non_null(gone);
    assert_true(file_remove_tree(directory, &err));
    struct letter letter;
    make_letter(&letter);
    assert_int_equal(send_text(gone, &letter.envelope, message), MAIL_LATER);
    assert_false(mail_ready(gone, "unreel@example.org", &err));
    mail_close(gone);
}

// ---- a server ----

// The file that holds the text, as the server wrote it.
static bool find_mail(const char *text, struct buf *out)
{
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    bool is_found = false;
    for (struct dirent *entry = readdir(directory); entry != NULL && !is_found;
         entry = readdir(directory)) {
        if (entry->d_name[0] == '.')
            continue;
        SCOPED(free) char *path = alloc_format("%s/%s", folder, entry->d_name);
        buf_clear(out);
        assert_true(file_read(path, out, &err));
        is_found = strstr(out->bytes, text) != NULL;
    }
    closedir(directory);
    return is_found;
}

static void the_server_gets_the_very_bytes(void **state)
{
    (void)state;
    struct letter letter;
    make_letter(&letter);
    char line[999];
    memset(line, '.', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    SCOPED(free)
    char *text =
        alloc_format("Message-ID: <%s>\r\n\r\n.\r\n..\r\n.first\r\n%s\r\n\r\n \r\nlast\r\n",
                     letter.message_id, line);
    assert_int_equal(send_text(mail, &letter.envelope, text), MAIL_SENT);
    assert_memory_equal(reply, "250", 3);
    SCOPED_BUF struct buf read;
    buf_init(&read, 100000);
    assert_true(find_mail(letter.message_id, &read));
    assert_non_null(strstr(read.bytes, text));
    assert_string_equal(strstr(read.bytes, text), text);
    assert_non_null(strstr(read.bytes, "unreel@example.org"));
    assert_non_null(strstr(read.bytes, "someone@example.org"));
}

static void a_server_that_is_not_there_is_down(void **state)
{
    (void)state;
    struct letter letter;
    make_letter(&letter);
    struct mail *gone = mail_open("smtp://127.0.0.1:1", &err);
    assert_non_null(gone);
    assert_int_equal(send_text(gone, &letter.envelope, message), MAIL_DOWN);
    assert_true(strlen(reply) > 10);
    assert_false(mail_ready(gone, "unreel@example.org", &err));
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    mail_close(gone);
}

static void the_form_of_a_url_is_checked_without_asking_the_server(void **state)
{
    (void)state;
    static const char *const right[] = {
        "smtp://mail.example.org",
        "smtp://mail.example.org:25?tls=off",
        "smtp://mail.example.org/?tls=required&tls-ca=/etc/ssl/own.pem",
        "smtp://me%40example.org:a%2Fb@mail.example.org",
        "smtp://me:secret@127.0.0.1:1025",
        "smtp://me:secret@[::1]?tls=off",
        "smtps://me:secret@mail.example.org?tls-ca=/etc/ssl/own.pem",
    };
    static const char *const wrong[] = {
        "smtp://",
        "smtp://one.example.org,two.example.org",
        "smtp://mail.example.org/path",
        "smtp://mail.example.org?tls=maybe",
        "smtp://mail.example.org?tsl=off",
        "smtps://mail.example.org?tls=off",
        "smtp://secret@mail.example.org",
        "smtp://me:secret@mail.example.org?tls=off",
        "smtp://me:25?secret=x@mail.example.org",
        "smtps://mail.example.org?tls-ca=",
        "smtp://127.0.0.1?tls-ca=/etc/ssl/own.pem",
        "smtp://mail.example.org?tls=off&tls-ca=/etc/ssl/own.pem",
    };
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
        if (!mail_check_url(right[i], &err))
            fail_msg("%s: %s", right[i], err.text);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (mail_check_url(wrong[i], &err))
            fail_msg("%s is taken", wrong[i]);
        assert_int_equal(err.kind, ERROR_INVALID);
        assert_null(strstr(err.text, "secret"));
    }
}

#define FOR_ALL                                                                                    \
    cmocka_unit_test(a_mail_is_accepted_with_a_line_for_the_record),                               \
        cmocka_unit_test(odd_addresses_are_refused),                                               \
        cmocka_unit_test(lines_that_could_smuggle_a_mail_are_refused),                             \
        cmocka_unit_test(the_reply_fits_where_it_goes),                                            \
        cmocka_unit_test(what_fails_for_now_is_sent_later),                                        \
        cmocka_unit_test(unknown_ways_are_refused)

int main(void)
{
    const struct CMUnitTest on_outbox[] = {
        FOR_ALL,
        cmocka_unit_test(the_outbox_holds_the_very_bytes),
        cmocka_unit_test(a_message_id_never_leaves_the_outbox),
        cmocka_unit_test(an_outbox_that_is_gone_asks_for_patience),
    };
    const struct CMUnitTest on_smtp[] = {
        FOR_ALL,
        cmocka_unit_test(the_server_gets_the_very_bytes),
        cmocka_unit_test(a_server_that_is_not_there_is_down),
        cmocka_unit_test(the_form_of_a_url_is_checked_without_asking_the_server),
    };
    const char *backend = getenv("UNREEL_TEST_BACKEND");
    if (backend == NULL || strcmp(backend, "smtp") != 0)
        return cmocka_run_group_tests(on_outbox, open_outbox, close_mail);
    folder = getenv("UNREEL_TEST_SMTP_FOLDER");
    if (getenv("UNREEL_TEST_SMTP") == NULL || folder == NULL) {
        printf("1..0 # SKIP UNREEL_TEST_SMTP names no server\n");
        return 0;
    }
    return cmocka_run_group_tests(on_smtp, open_smtp, close_mail);
}
