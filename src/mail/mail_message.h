#pragma once
// The text of a mail by RFC 5322: CRLF line ends, lines of at most 998 bytes, headers encoded by
// RFC 2047 where they are not ASCII, body as text/plain; charset=utf-8, quoted-printable.

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct mail_message {
    const char *from;        // "Unreel <unreel@example.org>" or a plain address
    const char *to;          // plain address
    const char *subject;     // UTF-8; control bytes are refused
    const char *message_id;  // without the angle brackets
    const char *traceparent; // NULL or "" for none; becomes X-Traceparent
    int64_t date_ms;
    const char *body; // UTF-8, lines ended by \n
};

// INVALID when a header field holds a control byte or an address is not plain: nothing that a user
// chose can add a header.
bool mail_message_write(const struct mail_message *message, struct buf *out, struct error *err);

// ASCII local@domain without quotes, comments or routes; at most 64 bytes before the '@' and 254 in
// all.
bool mail_address_is_plain(const char *address);

// The plain address inside "Name <address>"; false if there is none, or the name is not UTF-8 or
// has control bytes.
bool mail_address(const char *from, char *out, size_t out_size);
