#pragma once
// Who asks: the access token from `Authorization: Bearer` or, for browsers, from the cookie.
// A Bearer token wins over a cookie. With a cookie, whatever changes something must come from a
// page of this very server (`Origin`), since a browser adds cookies to strangers' requests too.

#include "http/http.h"
#include "security/token.h"

#include <stdbool.h>

#define GATEWAY_ACCESS_COOKIE "unreel_access"
#define GATEWAY_REFRESH_COOKIE "unreel_refresh"

// False: the request is answered already, with 401 missing_token, expired_token or invalid_token,
// 403 cross_origin, or 503 auth_unavailable.
bool gateway_authenticate(struct http_exchange *exchange, struct token_claims *out);

// For routes of the predecessors: a token that is there but not good is 403.
bool gateway_authenticate_as_predecessor(struct http_exchange *exchange, struct token_claims *out);

// For requests that are handed on to auth, which checks the token itself. False: answered with 403.
bool gateway_check_origin(struct http_exchange *exchange);
