#pragma once
// What a conversation with a mail server has come to, told by the lines that pass. No network: time
// is handed in. mail_smtp.c asks it how long to wait, and at the end what to make of it:
//
//   the final dot (or NOOP) was answered 2xx            MAIL_SENT
//   the final dot went out, no answer came              MAIL_UNCERTAIN
//   no answer, 4xx or 5xx before RCPT; 421 anywhere;
//   "log in first" (503, 530, 534, 535, 538) anywhere   MAIL_DOWN: the server's or the operator's
//   other 5xx to RCPT, DATA or the final dot            MAIL_REFUSED: the recipient's or the mail's
//   anything else from RCPT on                          MAIL_LATER
//
// So a wrong password or a sender that the server does not like bounces nobody's mail.

#include "mail/mail.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum smtp_phase {
    SMTP_CONNECT,
    SMTP_GREETING, // with the TLS handshake of smtps
    SMTP_HELLO,
    SMTP_STARTTLS, // with its handshake
    SMTP_LOGIN,
    SMTP_NOOP, // where nothing is sent
    SMTP_SENDER,
    SMTP_RECIPIENT,
    SMTP_DATA,
    SMTP_MESSAGE,
    SMTP_FINAL_DOT, // all of the message was handed over
};

struct smtp_timeouts {
    int64_t connect_ms;
    int64_t command_ms; // each of greeting, EHLO, STARTTLS, AUTH, MAIL, RCPT
    int64_t data_ms;
    int64_t stall_ms;        // the message does not move on
    int64_t final_dot_ms;    // RFC 5321, 4.5.3.2.6: shorter means more mails sent twice
    int64_t cancelled_ms;    // of that, once the sending is cancelled
    int64_t quit_ms;         // the mail is settled already
    int64_t conversation_ms; // all of it, however slowly it moves
};

struct smtp_talk {
    const struct smtp_timeouts *timeouts;
    size_t message_size;
    bool needs_login; // there is a password; libcurl goes on without, if the server offers no AUTH
    bool has_login;
    enum smtp_phase phase;
    bool is_cancelled, is_quitting, is_over;
    int64_t begun_ms, waits_since_ms, cancelled_at_ms;
    size_t given_size; // of the message
    int code;          // what the last command was answered; 0: nothing yet
    bool is_continued; // more lines of that answer follow
    char reply[160];   // its first line, readable
};

void smtp_talk_begin(struct smtp_talk *talk, const struct smtp_timeouts *timeouts,
                     size_t message_size, int64_t now_ms);

// What happens, in order.
void smtp_talk_connected(struct smtp_talk *talk, int64_t now_ms);
void smtp_talk_command(struct smtp_talk *talk, const char *line, size_t size, int64_t now_ms);
void smtp_talk_message(struct smtp_talk *talk, size_t size, int64_t now_ms); // bytes of it
void smtp_talk_answer(struct smtp_talk *talk, const char *line, size_t size);
void smtp_talk_cancelled(struct smtp_talk *talk, int64_t now_ms);

// Whether waiting any longer is too long. Once it is, it stays so: libcurl may still say QUIT.
bool smtp_talk_is_over(struct smtp_talk *talk, int64_t now_ms);

// Once it has ended. `problem` is why, where the server did not say. `out` is one line for people.
// For MAIL_DOWN, which goes to the log, it does not hold the recipient's address.
enum mail_answer smtp_talk_verdict(const struct smtp_talk *talk, const char *problem, char *out,
                                   size_t out_size);
