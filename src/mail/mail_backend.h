#pragma once
// For implementers of a backend: one file that ends in one `const struct mail_ops`, listed in
// mail.c.

#include "mail/mail.h"

struct mail_ops {
    const char *const *schemes; // {"smtp", "smtps", NULL}
    bool (*check_url)(const char *url, struct error *err);
    struct mail *(*open)(const char *url, struct error *err);
    void (*close)(struct mail *mail);
    enum mail_answer (*send)(struct mail *mail, const struct mail_envelope *envelope,
                             const char *message, size_t message_size, char *out_reply,
                             size_t out_size);
    bool (*ready)(struct mail *mail, const char *sender, struct error *err);
};

struct mail {
    const struct mail_ops *ops; // a backend's own struct begins with this one
};

extern const struct mail_ops mail_outbox_ops;
extern const struct mail_ops mail_smtp_ops;
extern const struct mail_ops *const mail_backends[]; // NULL ends it
