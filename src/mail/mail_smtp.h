#pragma once
// For tests, which cannot wait as long as a mail server may keep the product waiting.

#include "mail/mail_smtp_talk.h"

// `timeouts` must outlive the mail.
struct mail *mail_smtp_open(const char *url, const struct smtp_timeouts *timeouts,
                            struct error *err);
