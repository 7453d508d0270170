#pragma once
// The texts of the letters: what a person reads, and nothing about how it is sent.

#include "base/buf.h"
#include "base/error.h"
#include "letters/letters.h"

#include <stdbool.h>
#include <stddef.h>

// Where users reach this service, for links: the setting, or else what the gateway listens on.
// Without a slash at the end.
void notifier_public_url(const char *setting, const char *listen, char *out, size_t out_size);

// Appends subject (one line without control characters) and body (lines ended by \n). INVALID: the
// letter says too little, or is of a kind without a text.
bool notifier_letter_write(const struct letter *letter, const char *public_url,
                           struct buf *out_subject, struct buf *out_body, struct error *err);
