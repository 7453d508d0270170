#pragma once
// One mail to one address. The RFC 5322 text is built once, above the backends (mail_message.h).
//
// `outbox:DIRECTORY`: the mail becomes a file `<message id>.eml` there, durably; the same
// Message-ID again replaces the file.

#include "base/error.h"
#include "base/scope.h"

#include <stdbool.h>
#include <stddef.h>

struct mail;

// Whether there is a backend for the URL; opens nothing. INVALID if not.
bool mail_check_url(const char *url, struct error *err);

struct mail *mail_open(const char *url, struct error *err);
void mail_close(struct mail *mail);
SCOPE_DEFINE(mail_close, struct mail *);

struct mail_envelope {
    const char *sender, *recipient; // plain addresses
    const char *message_id;         // without the angle brackets
};

enum mail_answer {
    MAIL_SENT,
    MAIL_LATER,   // 4xx, no answer, full disk: try again
    MAIL_REFUSED, // 5xx: trying again will not help
};

// MAIL_REFUSED without asking the backend when an address is not plain, or when the message has a
// bare CR or LF, a NUL or a line of more than 998 bytes: nothing odd ever reaches a server.
// `out_reply` is one line for the letter's row ("250 queued as 4F…"), at most out_size-1 bytes.
enum mail_answer mail_send(struct mail *mail, const struct mail_envelope *envelope,
                           const char *message, size_t message_size, char *out_reply,
                           size_t out_size);

// The server answers, the directory can be written to.
bool mail_ready(struct mail *mail, struct error *err);
