// The notifier role as it runs, with the real letters, the real queue and an outbox.
#include "roles/roles.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "jobs_fixture.h"
#include "queue/queue.h"
#include "sql_under_test.h"
#include "temporary.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { WAIT_MS = 20000, MAIL_LIMIT = 65536 };

static struct {
    struct temporary directory;
    char outbox[80];
    struct config config;
    struct jobs *jobs;
    void *role;
} it;

static int begin(void **state)
{
    (void)state;
    memset(&it, 0, sizeof it);
    temporary_create(&it.directory);
    snprintf(it.outbox, sizeof it.outbox, "%s/outbox", it.directory.path);
    struct config *config = &it.config;
    snprintf(config->jobs, sizeof config->jobs, "%s", sql_under_test_url());
    snprintf(config->queue, sizeof config->queue, "local:%s", it.directory.path);
    snprintf(config->mail, sizeof config->mail, "outbox:%s", it.outbox);
    snprintf(config->mail_from, sizeof config->mail_from, "Unreel <unreel@example.org>");
    snprintf(config->public_url, sizeof config->public_url, "https://unreel.example.org/");
    it.jobs = fixture_open();
    return 0;
}

static int end(void **state)
{
    (void)state;
    if (it.role != NULL)
        notifier_role.stop(it.role);
    fixture_close(it.jobs);
    temporary_remove(&it.directory);
    return 0;
}

static void start(void)
{
    struct error err = {0};
    if (!notifier_role.start(&it.config, &it.role, &err))
        fail_msg("%s", err.text);
}

static void stop(void)
{
    notifier_role.stop(it.role);
    it.role = NULL;
}

static int64_t count_in(const char *state)
{
    return fixture_integer(it.jobs, "SELECT COUNT(*) FROM letter WHERE state=?", state);
}

static void wait_for(const char *state, int64_t count)
{
    int64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    while (count_in(state) != count && clock_left_ms(deadline_ms) > 0)
        clock_sleep_ms(5);
    assert_int_equal(count_in(state), count);
}

// The text of the last mail that is met is left in `out_text`, which may be NULL.
static int count_mails(struct buf *out_text)
{
    int count = 0;
    DIR *directory = opendir(it.outbox);
    if (directory == NULL)
        return 0;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        struct error err = {0};
        if (strstr(entry->d_name, ".eml") == NULL)
            continue;
        count++;
        char path[400];
        snprintf(path, sizeof path, "%s/%s", it.outbox, entry->d_name);
        if (out_text != NULL)
            assert_true(file_read(path, out_text, &err));
    }
    closedir(directory);
    return count;
}

static void a_letter_becomes_a_mail_and_is_noted_as_sent(void **state)
{
    (void)state;
    struct error err = {0};
    char id[ID_SIZE];
    start();
    SCOPED(queue_close) struct queue *queue = queue_open(it.config.queue, NULL, &err);
    assert_non_null(queue);
    fixture_ready(it.jobs, id);
    assert_true(queue_publish(queue, "mp3", id, &err));
    wait_for("sent", 1);
    SCOPED_BUF struct buf mail;
    buf_init(&mail, MAIL_LIMIT);
    assert_int_equal(count_mails(&mail), 1);
    assert_non_null(strstr(mail.bytes, "To: alice@example.org\r\n"));
    assert_non_null(strstr(mail.bytes, "Subject: Your MP3 is ready: talk.mp4\r\n"));
    assert_non_null(strstr(mail.bytes, "    https://unreel.example.org/d/"));
    assert_non_null(strstr(mail.bytes, id));
    assert_string_equal(fixture_row(it.jobs, id).mail_state, "sent");
}

static void letters_that_nobody_hinted_at_are_sent_once_each(void **state)
{
    (void)state;
    char id[ID_SIZE];
    for (int i = 0; i < 3; i++) {
        fixture_ready(it.jobs, id);
        fixture_failed(it.jobs, id);
    }
    start();
    wait_for("sent", 6);
    stop();
    assert_int_equal(count_mails(NULL), 6);
    assert_int_equal(fixture_integer(it.jobs, "SELECT SUM(attempt) FROM letter", NULL), 6);
}

static void a_letter_that_cannot_be_written_bounces_and_holds_up_nobody(void **state)
{
    (void)state;
    char id[ID_SIZE];
    fixture_ready(it.jobs, id);
    fixture_execute(it.jobs, "UPDATE letter SET recipient=?",
                    "eve@example.org\r\nBcc: all@example.org");
    fixture_ready(it.jobs, id);
    start();
    wait_for("sent", 1);
    wait_for("bounced", 1);
    stop();
    assert_int_equal(count_mails(NULL), 1);
}

static void without_a_place_for_mails_no_letter_is_touched(void **state)
{
    (void)state;
    char id[ID_SIZE];
    struct error err = {0};
    struct http_admin_check checks[8];
    fixture_ready(it.jobs, id);
    snprintf(it.config.mail, sizeof it.config.mail, "outbox:/dev/null/outbox");
    start();
    size_t count = notifier_role.checks(it.role, checks, 8);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(checks[i].check(checks[i].context, &err),
                         strcmp(checks[i].name, "mail") != 0);
    stop();
    assert_int_equal(count_in("pending"), 1);
    assert_int_equal(fixture_integer(it.jobs, "SELECT SUM(attempt) FROM letter", NULL), 0);
}

static void a_server_that_is_away_costs_a_letter_no_try_for_two_days(void **state)
{
    (void)state;
    char young[ID_SIZE], old[ID_SIZE];
    fixture_ready(it.jobs, old);
    fixture_execute(it.jobs, "UPDATE letter SET wake_at=1, created_at=1 WHERE conversion=?", old);
    fixture_ready(it.jobs, young);
    snprintf(it.config.mail, sizeof it.config.mail, "smtp://127.0.0.1:1");
    start();
    wait_for("gave_up", 1);
    stop();
    assert_string_equal(fixture_row(it.jobs, old).mail_state, "gave_up");
    assert_string_equal(fixture_row(it.jobs, young).mail_state, "pending");
    assert_int_equal(
        fixture_integer(it.jobs, "SELECT attempt FROM letter WHERE conversion=?", young), 0);
}

static void a_sender_that_no_mail_can_have_is_told_at_the_start(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "Unreel",
        "Vid\xe9o <unreel@example.org>", // Latin-1
        "Un\nreel <unreel@example.org>",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct error err = {0};
        snprintf(it.config.mail_from, sizeof it.config.mail_from, "%s", wrong[i]);
        if (notifier_role.start(&it.config, &it.role, &err))
            fail_msg("taken: %s", wrong[i]);
        assert_int_equal(err.kind, ERROR_INVALID);
    }
}

static void an_address_of_the_service_that_no_mail_can_hold_is_told_at_the_start(void **state)
{
    (void)state;
    struct error err = {0};
    snprintf(it.config.public_url, sizeof it.config.public_url, "http://m\xfcnchen.example");
    assert_false(notifier_role.start(&it.config, &it.role, &err));
    assert_int_equal(err.kind, ERROR_INVALID);
}

#define TEST(function_) cmocka_unit_test_setup_teardown(function_, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_letter_becomes_a_mail_and_is_noted_as_sent),
        TEST(letters_that_nobody_hinted_at_are_sent_once_each),
        TEST(a_letter_that_cannot_be_written_bounces_and_holds_up_nobody),
        TEST(without_a_place_for_mails_no_letter_is_touched),
        TEST(a_server_that_is_away_costs_a_letter_no_try_for_two_days),
        TEST(a_sender_that_no_mail_can_have_is_told_at_the_start),
        TEST(an_address_of_the_service_that_no_mail_can_hold_is_told_at_the_start),
    };
    log_start("test", false, LOG_LEVEL_ERROR);
    sql_under_test_start();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sql_under_test_stop();
    return failed;
}
