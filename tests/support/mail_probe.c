// Sends one mail by the real SMTP backend, for tests/system/test_smtp.py:
//
//   mail-probe URL send|ready [TIMEOUT MS]...     prints "ANSWER REPLY"
//
// TIMEOUT is a member of struct smtp_timeouts without its _ms. SIGTERM cancels.
#include "base/error.h"
#include "base/stop.h"
#include "base/text.h"
#include "mail/mail_smtp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct smtp_timeouts timeouts = {.connect_ms = 30000,
                                        .command_ms = 60000,
                                        .data_ms = 120000,
                                        .stall_ms = 180000,
                                        .final_dot_ms = 600000,
                                        .cancelled_ms = 10000,
                                        .quit_ms = 5000,
                                        .conversation_ms = 1800000};

static int64_t *timeout_of(const char *name)
{
    const struct {
        const char *name;
        int64_t *ms;
    } names[] = {
        {"connect", &timeouts.connect_ms},     {"command", &timeouts.command_ms},
        {"data", &timeouts.data_ms},           {"stall", &timeouts.stall_ms},
        {"final_dot", &timeouts.final_dot_ms}, {"cancelled", &timeouts.cancelled_ms},
        {"quit", &timeouts.quit_ms},           {"conversation", &timeouts.conversation_ms},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i].name, name) == 0)
            return names[i].ms;
    fprintf(stderr, "no time-out is called %s\n", name);
    exit(2);
}

static bool is_stopping(void *context)
{
    (void)context;
    return stop_is_requested();
}

static int run(struct mail *mail, bool is_sending)
{
    static const char *const answers[] = {
        [MAIL_SENT] = "sent", [MAIL_LATER] = "later",         [MAIL_REFUSED] = "refused",
        [MAIL_DOWN] = "down", [MAIL_UNCERTAIN] = "uncertain", [MAIL_CANCELLED] = "cancelled"};
    static const char message[] = "Subject: x\r\n\r\n.a dot\r\n..two\r\n.\r\nlast\r\n";
    struct error err = {0};
    if (!is_sending) {
        bool is_ready = mail_ready(mail, "unreel@example.org", &err);
        printf("%s %s\n", is_ready ? "ready" : "not-ready", err.text);
        return 0;
    }
    char reply[200];
    const struct mail_envelope envelope = {.sender = "unreel@example.org",
                                           .recipient = "someone@example.org",
                                           .message_id = "1@example.org",
                                           .is_cancelled = is_stopping};
    enum mail_answer answer =
        mail_send(mail, &envelope, message, sizeof message - 1, reply, sizeof reply);
    printf("%s %s\n", answers[answer], reply);
    return 0;
}

int main(int count, char **arguments)
{
    struct error err = {0};
    if (count < 3)
        return 2;
    for (int i = 3; i + 1 < count; i += 2)
        if (!text_parse_integer(arguments[i + 1], 1, INT32_MAX, timeout_of(arguments[i])))
            return 2;
    stop_install();
    struct mail *mail = mail_smtp_open(arguments[1], &timeouts, &err);
    if (mail == NULL) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    int status = run(mail, strcmp(arguments[2], "send") == 0);
    mail_close(mail);
    return status;
}
