#include "mail/mail.h"

#include "base/text.h"
#include "mail/mail_backend.h"
#include "mail/mail_message.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

const struct mail_ops *const mail_backends[] = {
    &mail_outbox_ops,
    &mail_smtp_ops,
    NULL,
};

enum { LINE_LIMIT = 998 };

static const struct mail_ops *find_backend(const char *url, struct error *err)
{
    for (size_t i = 0; mail_backends[i] != NULL; i++)
        if (text_has_scheme_of(url, mail_backends[i]->schemes))
            return mail_backends[i];
    error_set(err, ERROR_INVALID, "no way to send mail is called '%.*s:'", (int)strcspn(url, ":"),
              url);
    return NULL;
}

bool mail_check_url(const char *url, struct error *err)
{
    const struct mail_ops *ops = find_backend(url, err);
    return ops != NULL && ops->check_url(url, err);
}

struct mail *mail_open(const char *url, struct error *err)
{
    const struct mail_ops *ops = find_backend(url, err);
    return ops == NULL || !ops->check_url(url, err) ? NULL : ops->open(url, err);
}

void mail_close(struct mail *mail)
{
    if (mail != NULL)
        mail->ops->close(mail);
}

// A bare CR or LF is read as a line end by some servers and not by others, and what follows as a
// mail of its own (SMTP smuggling).
static bool has_sound_lines(const char *message, size_t size)
{
    size_t line_start = 0;
    for (size_t i = 0; i < size; i++) {
        if (message[i] == '\0' || message[i] == '\n')
            return false;
        if (message[i] == '\r') {
            if (i + 1 == size || message[i + 1] != '\n' || i - line_start > LINE_LIMIT)
                return false;
            line_start = ++i + 1;
        }
    }
    return line_start == size;
}

enum mail_answer mail_send(struct mail *mail, const struct mail_envelope *envelope,
                           const char *message, size_t message_size, char *out_reply,
                           size_t out_size)
{
    assert(out_size > 0);
    out_reply[0] = '\0';
    const char *problem = NULL;
    if (!mail_address_is_plain(envelope->sender))
        problem = "the sender is not a plain address";
    else if (!mail_address_is_plain(envelope->recipient))
        problem = "the recipient is not a plain address";
    else if (!mail_address_is_plain(envelope->message_id))
        problem = "the Message-ID is not of the form id@domain";
    else if (!has_sound_lines(message, message_size))
        problem = "the message has lines that mail does not allow";
    if (problem != NULL) {
        text_copy(out_reply, out_size, problem);
        return MAIL_REFUSED;
    }
    return mail->ops->send(mail, envelope, message, message_size, out_reply, out_size);
}

bool mail_ready(struct mail *mail, const char *sender, struct error *err)
{
    return mail->ops->ready(mail, sender, err);
}
