#pragma once
// Wraps any mail backend and fails one call: MAIL_LATER, or an UNAVAILABLE mail_ready.

#include "fault.h"
#include "mail/mail.h"

// Takes `inner` over; borrows `fault` until it is closed.
struct mail *faulty_mail_wrap(struct mail *inner, struct fault *fault);
