#pragma once
// One mail to one address. The RFC 5322 text is built once, above the backends (mail_message.h).
//
// `outbox:DIRECTORY`: the mail becomes a file `<message id>.eml` there, durably; the same
// Message-ID again replaces the file.
//
// `smtp://[USER:PASSWORD@]HOST[:PORT][?tls=off|required][&tls-ca=FILE]`: port 25, or 587 with a
// user. STARTTLS is required, and the certificate and its name are verified, unless the host is
// loopback or `tls=off`. `smtps://…[?tls-ca=FILE]`: TLS from the first byte, port 465. A password
// is never sent without TLS, unless the host is loopback. A new connection for each mail.

#include "base/error.h"
#include "base/scope.h"

#include <stdbool.h>
#include <stddef.h>

struct mail;

// Whether there is a backend for the URL and the URL has its form; opens nothing. INVALID if not.
bool mail_check_url(const char *url, struct error *err);

struct mail *mail_open(const char *url, struct error *err);
void mail_close(struct mail *mail);
SCOPE_DEFINE(mail_close, struct mail *);

struct mail_envelope {
    const char *sender, *recipient; // plain addresses
    const char *message_id;         // without the angle brackets
    // NULL, or asked at least every second while a server keeps us waiting. Once it says true the
    // sending ends: at once before the final dot, some seconds after it.
    bool (*is_cancelled)(void *context);
    void *context;
};

enum mail_answer {
    MAIL_SENT,
    MAIL_LATER,   // 4xx, no answer, full disk: try again
    MAIL_REFUSED, // 5xx about the recipient or the mail: trying again will not help
    MAIL_DOWN, // no mail can be sent now: no server, no TLS, wrong password, 421. No mail's fault
    MAIL_UNCERTAIN, // the whole mail was handed over, no answer came: try again, same Message-ID
    MAIL_CANCELLED, // not sent, because is_cancelled said so
};

// MAIL_REFUSED without asking the backend when an address is not plain, or when the message has a
// bare CR or LF, a NUL or a line of more than 998 bytes: nothing odd ever reaches a server.
// `out_reply` is one line for the letter's row ("250 queued as 4F…"), at most out_size-1 bytes.
enum mail_answer mail_send(struct mail *mail, const struct mail_envelope *envelope,
                           const char *message, size_t message_size, char *out_reply,
                           size_t out_size);

// The directory can be written to; the server answers, gives TLS and takes the password. A
// conversation of its own, 5 s at most: whoever asks often remembers the answer. EHLO is
// said by the same name as for a mail of that sender.
bool mail_ready(struct mail *mail, const char *sender, struct error *err);
