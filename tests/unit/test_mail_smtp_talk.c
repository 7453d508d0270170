// What a conversation with a mail server is taken for, and how long each step may last.

#include "mail/mail_smtp_talk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct smtp_timeouts timeouts = {
    .connect_ms = 30,
    .command_ms = 60,
    .data_ms = 120,
    .stall_ms = 180,
    .final_dot_ms = 600,
    .cancelled_ms = 10,
    .quit_ms = 5,
    .conversation_ms = 2000,
};

enum { MESSAGE_SIZE = 100 };

static struct smtp_talk talk;
static char reply[200];

static void say(const char *line)
{
    smtp_talk_command(&talk, line, strlen(line), talk.waits_since_ms);
}

static void hear(const char *line)
{
    smtp_talk_answer(&talk, line, strlen(line));
}

// All that comes before the phase goes well; the phase itself has no answer yet.
static void go_to(enum smtp_phase phase)
{
    smtp_talk_begin(&talk, &timeouts, MESSAGE_SIZE, 0);
    const struct {
        enum smtp_phase phase;
        const char *command, *answer;
    } steps[] = {
        {SMTP_HELLO, "EHLO x\r\n", "250 x\r\n"},
        {SMTP_STARTTLS, "STARTTLS\r\n", "220 go\r\n"},
        {SMTP_HELLO, "EHLO x\r\n", "250-x\r\n250-AUTH PLAIN\r\n250 8BITMIME\r\n"},
        {SMTP_LOGIN, "AUTH PLAIN\r\n", "334 \r\n"},
        {SMTP_LOGIN, "REFUQQ0KAA==\r\n", "235 yes\r\n"},
        {SMTP_SENDER, "MAIL FROM:<a@x>\r\n", "250 ok\r\n"},
        {SMTP_RECIPIENT, "RCPT TO:<b@x>\r\n", "250 ok\r\n"},
        {SMTP_DATA, "DATA\r\n", "354 go on\r\n"},
    };
    if (phase == SMTP_CONNECT)
        return;
    smtp_talk_connected(&talk, 0);
    if (phase == SMTP_GREETING)
        return;
    hear("220 x\r\n");
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        say(steps[i].command);
        assert_int_equal(talk.phase, steps[i].phase);
        if (steps[i].phase == phase)
            return;
        hear(steps[i].answer);
    }
    smtp_talk_message(&talk, MESSAGE_SIZE / 2, 0);
    if (phase == SMTP_FINAL_DOT)
        smtp_talk_message(&talk, MESSAGE_SIZE / 2, 0);
    assert_int_equal(talk.phase, phase);
}

static enum mail_answer verdict(void)
{
    return smtp_talk_verdict(&talk, "the connection broke", reply, sizeof reply);
}

static enum mail_answer verdict_on(enum smtp_phase phase, const char *answer)
{
    go_to(phase);
    hear(answer);
    return verdict();
}

static void only_an_answer_to_the_final_dot_sends_a_mail(void **state)
{
    (void)state;
    assert_int_equal(verdict_on(SMTP_FINAL_DOT, "250 2.0.0 queued as 4F\r\n"), MAIL_SENT);
    assert_string_equal(reply, "250 2.0.0 queued as 4F");
    assert_int_equal(verdict_on(SMTP_RECIPIENT, "250 ok\r\n"), MAIL_LATER);
    assert_int_equal(verdict_on(SMTP_DATA, "250 ok\r\n"), MAIL_LATER);
    assert_int_equal(verdict_on(SMTP_FINAL_DOT, "354 go on\r\n"), MAIL_LATER);
}

static void a_refusal_of_recipient_or_mail_is_for_good(void **state)
{
    (void)state;
    static const char *const answers[] = {"550 5.1.1 nobody\r\n", "552 5.2.2 full\r\n",
                                          "553 no\r\n", "554 5.7.1 spam\r\n", "501 5.1.3 what\r\n"};
    static const enum smtp_phase phases[] = {SMTP_RECIPIENT, SMTP_DATA, SMTP_FINAL_DOT};
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        for (size_t k = 0; k < 3; k++)
            assert_int_equal(verdict_on(phases[k], answers[i]), MAIL_REFUSED);
    assert_string_equal(reply, "501 5.1.3 what (to the final dot)");
}

static void what_is_refused_before_the_recipient_is_no_mails_fault(void **state)
{
    (void)state;
    static const char *const answers[] = {"421 busy\r\n", "451 later\r\n", "535 wrong\r\n",
                                          "550 no\r\n", "554 go away\r\n"};
    for (enum smtp_phase phase = SMTP_GREETING; phase < SMTP_RECIPIENT; phase++)
        for (size_t i = 0; phase != SMTP_NOOP && i < sizeof answers / sizeof answers[0]; i++) {
            assert_int_equal(verdict_on(phase, answers[i]), MAIL_DOWN);
            assert_memory_equal(reply, answers[i], 3);
        }
}

static void a_closing_server_and_one_that_wants_a_login_are_down_at_any_step(void **state)
{
    (void)state;
    static const char *const answers[] = {"421 4.3.2 b@x: too many\r\n",
                                          "530 5.7.0 b@x: log in\r\n", "535 b@x\r\n",
                                          "503 b@x: log in first\r\n"};
    static const enum smtp_phase phases[] = {SMTP_RECIPIENT, SMTP_DATA, SMTP_FINAL_DOT};
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        for (size_t k = 0; k < 3; k++) {
            assert_int_equal(verdict_on(phases[k], answers[i]), MAIL_DOWN);
            assert_null(strstr(reply, "b@x")); // it goes to the log
        }
}

static void silence_is_judged_by_the_step_it_meets(void **state)
{
    (void)state;
    for (enum smtp_phase phase = SMTP_CONNECT; phase < SMTP_RECIPIENT; phase++) {
        if (phase == SMTP_NOOP)
            continue;
        go_to(phase);
        assert_int_equal(verdict(), MAIL_DOWN);
    }
    for (enum smtp_phase phase = SMTP_RECIPIENT; phase < SMTP_FINAL_DOT; phase++) {
        go_to(phase);
        assert_int_equal(verdict(), MAIL_LATER);
    }
    go_to(SMTP_FINAL_DOT);
    hear("250-half an answer\r\n");
    assert_int_equal(verdict(), MAIL_UNCERTAIN);
    assert_non_null(strstr(reply, "the connection broke"));
}

static void other_temporary_refusals_ask_for_patience(void **state)
{
    (void)state;
    assert_int_equal(verdict_on(SMTP_RECIPIENT, "450 4.2.0 greylisted\r\n"), MAIL_LATER);
    assert_int_equal(verdict_on(SMTP_RECIPIENT, "452 4.5.3 too many\r\n"), MAIL_LATER);
    assert_int_equal(verdict_on(SMTP_DATA, "451 4.3.0 later\r\n"), MAIL_LATER);
    assert_int_equal(verdict_on(SMTP_FINAL_DOT, "452 4.3.1 full\r\n"), MAIL_LATER);
    assert_string_equal(reply, "452 4.3.1 full (to the final dot)");
}

static void the_first_line_of_an_answer_is_kept_and_the_last_one_counts(void **state)
{
    (void)state;
    go_to(SMTP_RECIPIENT);
    hear("550-5.1.1 The account does not exist.\r\n");
    hear("550-5.1.1 Look for typing errors.\r\n");
    hear("550 5.1.1 https://support.example.org\x01\r\n");
    assert_int_equal(verdict(), MAIL_REFUSED);
    assert_string_equal(reply, "550-5.1.1 The account does not exist. (to RCPT TO)");
    go_to(SMTP_FINAL_DOT);
    hear("250");
    assert_int_equal(verdict(), MAIL_SENT);
    go_to(SMTP_FINAL_DOT);
    hear("2");
    hear("");
    hear("25x\r\n");
    assert_int_equal(verdict(), MAIL_UNCERTAIN);
}

static void a_settled_mail_stays_settled_whatever_quit_brings(void **state)
{
    (void)state;
    go_to(SMTP_FINAL_DOT);
    hear("250 queued\r\n");
    say("QUIT\r\n");
    hear("550 and now?\r\n");
    smtp_talk_cancelled(&talk, 1);
    assert_int_equal(verdict(), MAIL_SENT);
    assert_string_equal(reply, "250 queued");
}

static void credentials_are_not_taken_for_commands(void **state)
{
    (void)state;
    go_to(SMTP_LOGIN);
    hear("334 VXNlcm5hbWU6\r\n");
    say("DATA\r\n");
    assert_int_equal(talk.phase, SMTP_LOGIN);
    hear("535 no\r\n");
    assert_int_equal(verdict(), MAIL_DOWN);
}

static void a_password_that_nobody_asks_for_stops_the_mail(void **state)
{
    (void)state;
    smtp_talk_begin(&talk, &timeouts, MESSAGE_SIZE, 0);
    talk.needs_login = true;
    hear("220 x\r\n");
    say("EHLO x\r\n");
    hear("250 x\r\n");
    assert_false(smtp_talk_is_over(&talk, 1));
    say("MAIL FROM:<a@x>\r\n");
    assert_true(smtp_talk_is_over(&talk, 1));
    say("RCPT TO:<b@x>\r\n");
    hear("550 relay denied\r\n");
    assert_int_equal(verdict(), MAIL_DOWN);
    assert_string_equal(reply, "the server takes no user and password");
}

static void each_step_has_its_own_patience(void **state)
{
    (void)state;
    static const struct {
        enum smtp_phase phase;
        int64_t ms;
    } rows[] = {{SMTP_CONNECT, 30},   {SMTP_GREETING, 60}, {SMTP_HELLO, 60},
                {SMTP_STARTTLS, 60},  {SMTP_LOGIN, 60},    {SMTP_SENDER, 60},
                {SMTP_RECIPIENT, 60}, {SMTP_DATA, 120},    {SMTP_MESSAGE, 180},
                {SMTP_FINAL_DOT, 600}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        go_to(rows[i].phase);
        assert_false(smtp_talk_is_over(&talk, rows[i].ms - 1));
        assert_true(smtp_talk_is_over(&talk, rows[i].ms));
        assert_true(smtp_talk_is_over(&talk, 0)); // for good
    }
    go_to(SMTP_FINAL_DOT);
    say("QUIT\r\n");
    assert_false(smtp_talk_is_over(&talk, 4));
    assert_true(smtp_talk_is_over(&talk, 5));
}

static void a_message_that_moves_on_is_waited_for_but_not_for_ever(void **state)
{
    (void)state;
    go_to(SMTP_DATA);
    for (int64_t now_ms = 0; now_ms < 2000; now_ms += 100) {
        assert_false(smtp_talk_is_over(&talk, now_ms));
        smtp_talk_message(&talk, 1, now_ms);
    }
    assert_true(smtp_talk_is_over(&talk, 2000));
    assert_int_equal(verdict(), MAIL_LATER);
}

static void a_cancelled_mail_is_dropped_before_its_final_dot_only(void **state)
{
    (void)state;
    for (enum smtp_phase phase = SMTP_CONNECT; phase < SMTP_FINAL_DOT; phase++) {
        if (phase == SMTP_NOOP)
            continue;
        go_to(phase);
        smtp_talk_cancelled(&talk, 1);
        assert_true(smtp_talk_is_over(&talk, 1));
        assert_int_equal(verdict(), MAIL_CANCELLED);
    }
    go_to(SMTP_FINAL_DOT);
    smtp_talk_cancelled(&talk, 1);
    smtp_talk_cancelled(&talk, 9);
    assert_false(smtp_talk_is_over(&talk, 10));
    hear("250 queued\r\n");
    assert_int_equal(verdict(), MAIL_SENT);
    go_to(SMTP_FINAL_DOT);
    smtp_talk_cancelled(&talk, 1);
    assert_true(smtp_talk_is_over(&talk, 11));
    assert_int_equal(verdict(), MAIL_UNCERTAIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_an_answer_to_the_final_dot_sends_a_mail),
        cmocka_unit_test(a_refusal_of_recipient_or_mail_is_for_good),
        cmocka_unit_test(what_is_refused_before_the_recipient_is_no_mails_fault),
        cmocka_unit_test(a_closing_server_and_one_that_wants_a_login_are_down_at_any_step),
        cmocka_unit_test(silence_is_judged_by_the_step_it_meets),
        cmocka_unit_test(other_temporary_refusals_ask_for_patience),
        cmocka_unit_test(the_first_line_of_an_answer_is_kept_and_the_last_one_counts),
        cmocka_unit_test(a_settled_mail_stays_settled_whatever_quit_brings),
        cmocka_unit_test(credentials_are_not_taken_for_commands),
        cmocka_unit_test(a_password_that_nobody_asks_for_stops_the_mail),
        cmocka_unit_test(each_step_has_its_own_patience),
        cmocka_unit_test(a_message_that_moves_on_is_waited_for_but_not_for_ever),
        cmocka_unit_test(a_cancelled_mail_is_dropped_before_its_final_dot_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
