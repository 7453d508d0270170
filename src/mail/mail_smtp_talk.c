#include "mail/mail_smtp_talk.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

static const char *const phase_names[] = {
    [SMTP_CONNECT] = "connecting",
    [SMTP_GREETING] = "the greeting",
    [SMTP_HELLO] = "EHLO",
    [SMTP_STARTTLS] = "STARTTLS",
    [SMTP_LOGIN] = "AUTH",
    [SMTP_NOOP] = "NOOP",
    [SMTP_SENDER] = "MAIL FROM",
    [SMTP_RECIPIENT] = "RCPT TO",
    [SMTP_DATA] = "DATA",
    [SMTP_MESSAGE] = "the message",
    [SMTP_FINAL_DOT] = "the final dot",
};

void smtp_talk_begin(struct smtp_talk *talk, const struct smtp_timeouts *timeouts,
                     size_t message_size, int64_t now_ms)
{
    *talk = (struct smtp_talk){.timeouts = timeouts,
                               .message_size = message_size,
                               .begun_ms = now_ms,
                               .waits_since_ms = now_ms};
}

static void enter(struct smtp_talk *talk, enum smtp_phase phase, int64_t now_ms)
{
    talk->phase = phase;
    talk->waits_since_ms = now_ms;
    talk->code = 0;
    talk->is_continued = false;
    talk->reply[0] = '\0';
}

void smtp_talk_connected(struct smtp_talk *talk, int64_t now_ms)
{
    if (talk->phase == SMTP_CONNECT)
        enter(talk, SMTP_GREETING, now_ms);
}

static bool starts_with(const char *line, size_t size, const char *verb)
{
    return size >= strlen(verb) && memcmp(line, verb, strlen(verb)) == 0;
}

void smtp_talk_command(struct smtp_talk *talk, const char *line, size_t size, int64_t now_ms)
{
    static const struct {
        const char *verb;
        enum smtp_phase phase;
    } verbs[] = {
        {"EHLO ", SMTP_HELLO},        {"HELO ", SMTP_HELLO}, {"STARTTLS\r", SMTP_STARTTLS},
        {"AUTH ", SMTP_LOGIN},        {"NOOP", SMTP_NOOP},   {"MAIL FROM:", SMTP_SENDER},
        {"RCPT TO:", SMTP_RECIPIENT}, {"DATA\r", SMTP_DATA},
    };
    if (starts_with(line, size, "QUIT\r")) {
        talk->is_quitting = true;
        talk->waits_since_ms = now_ms;
        return;
    }
    enum smtp_phase phase = talk->phase; // a user name or a password in base64 is no verb
    for (size_t i = 0; talk->code != 334 && i < sizeof verbs / sizeof verbs[0]; i++)
        if (starts_with(line, size, verbs[i].verb))
            phase = verbs[i].phase;
    talk->has_login = talk->has_login || phase == SMTP_LOGIN;
    enter(talk, phase, now_ms);
}

void smtp_talk_message(struct smtp_talk *talk, size_t size, int64_t now_ms)
{
    talk->given_size += size;
    enter(talk, talk->given_size < talk->message_size ? SMTP_MESSAGE : SMTP_FINAL_DOT, now_ms);
}

// "250-first", "250 last", "250".
void smtp_talk_answer(struct smtp_talk *talk, const char *line, size_t size)
{
    if (talk->is_quitting)
        return;
    while (size > 0 && (line[size - 1] == '\r' || line[size - 1] == '\n'))
        size--;
    for (size_t i = 0; i < 3; i++)
        if (i >= size || line[i] < '0' || line[i] > '9')
            return;
    if (talk->phase == SMTP_CONNECT)
        talk->phase = SMTP_GREETING;
    if (!talk->is_continued)
        text_clean(talk->reply, sizeof talk->reply, line, size);
    talk->is_continued = size > 3 && line[3] == '-';
    if (!talk->is_continued)
        talk->code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
}

void smtp_talk_cancelled(struct smtp_talk *talk, int64_t now_ms)
{
    if (talk->is_cancelled)
        return;
    talk->is_cancelled = true;
    talk->cancelled_at_ms = now_ms;
}

static int64_t patience_ms(const struct smtp_talk *talk)
{
    if (talk->is_quitting)
        return talk->timeouts->quit_ms;
    switch (talk->phase) {
    case SMTP_CONNECT:
        return talk->timeouts->connect_ms;
    case SMTP_DATA:
        return talk->timeouts->data_ms;
    case SMTP_MESSAGE:
        return talk->timeouts->stall_ms;
    case SMTP_FINAL_DOT:
        return talk->timeouts->final_dot_ms;
    default:
        return talk->timeouts->command_ms;
    }
}

static bool lacks_login(const struct smtp_talk *talk)
{
    return talk->needs_login && !talk->has_login && talk->phase > SMTP_LOGIN;
}

bool smtp_talk_is_over(struct smtp_talk *talk, int64_t now_ms)
{
    bool awaits_final_answer = talk->phase == SMTP_FINAL_DOT && !talk->is_quitting;
    if (talk->is_cancelled &&
        !(awaits_final_answer && now_ms - talk->cancelled_at_ms < talk->timeouts->cancelled_ms))
        talk->is_over = true;
    if (now_ms - talk->waits_since_ms >= patience_ms(talk) ||
        now_ms - talk->begun_ms >= talk->timeouts->conversation_ms || lacks_login(talk))
        talk->is_over = true;
    return talk->is_over;
}

// "Log in first", or "not with this log-in".
static bool is_about_login(int code)
{
    return code == 503 || code == 530 || code == 534 || code == 535 || code == 538;
}

static enum mail_answer judge(const struct smtp_talk *talk)
{
    if (lacks_login(talk))
        return MAIL_DOWN;
    if ((talk->phase == SMTP_FINAL_DOT || talk->phase == SMTP_NOOP) && talk->code / 100 == 2)
        return MAIL_SENT;
    if (talk->phase == SMTP_FINAL_DOT && talk->code == 0)
        return MAIL_UNCERTAIN;
    if (talk->is_cancelled)
        return MAIL_CANCELLED;
    if (talk->phase < SMTP_RECIPIENT || talk->code == 421 || is_about_login(talk->code))
        return MAIL_DOWN;
    return talk->code / 100 == 5 ? MAIL_REFUSED : MAIL_LATER;
}

enum mail_answer smtp_talk_verdict(const struct smtp_talk *talk, const char *problem, char *out,
                                   size_t out_size)
{
    enum mail_answer answer = judge(talk);
    char line[256];
    if (answer == MAIL_SENT)
        snprintf(line, sizeof line, "%s", talk->reply);
    else if (lacks_login(talk))
        snprintf(line, sizeof line, "the server takes no user and password");
    else if (answer == MAIL_DOWN && talk->phase >= SMTP_RECIPIENT)
        snprintf(line, sizeof line, "%s was answered %d", phase_names[talk->phase], talk->code);
    else if (talk->code >= 400)
        snprintf(line, sizeof line, "%s (to %s)", talk->reply, phase_names[talk->phase]);
    else
        snprintf(line, sizeof line, "%s: %s%s", phase_names[talk->phase], problem,
                 answer == MAIL_UNCERTAIN ? "; the mail may have been taken" : "");
    text_copy(out, out_size, line);
    return answer;
}
