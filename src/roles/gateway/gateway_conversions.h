#pragma once
// What the handlers about one conversion share.

#include "http/http.h"
#include "jobs/jobs.h"

// The conversion, for the caller to free; NULL with the answer given: 404 for another's, for an
// unknown and for a malformed id alike, so that nobody learns which ids exist.
struct conversion *gateway_find_own(struct http_exchange *exchange, struct jobs *jobs,
                                    const char *owner, const char *id);

void gateway_reply_not_found(struct http_exchange *exchange);
void gateway_reply_jobs_error(struct http_exchange *exchange, const struct error *err);
