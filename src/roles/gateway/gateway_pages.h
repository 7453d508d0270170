#pragma once
// The pages that the gateway writes itself: plain HTML, no script, nothing from elsewhere.

#include "base/buf.h"

#include <stdbool.h>

// For the answer's Content-Security-Policy: only the page's own style sheet, by its hash.
extern const char gateway_page_policy[];
extern const char gateway_page_style[];

// What this service is and how to use it with curl at that address. False when it does not fit.
bool gateway_page_write_home(const char *address, struct buf *out);
bool gateway_page_write_link_over(struct buf *out);
