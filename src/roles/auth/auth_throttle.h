#pragma once
// Slows down guessing. After failed log-ins an account waits 0, 0, 0, 1, 2, 4 … 900 s before the
// next try, whether it exists or not; a client address (an IPv6 /64) has 20 failures a minute. Both
// tables are of fixed size: when one is full, those with the fewest failures are forgotten first.
//
// It lives in one process's memory: several replicas each count for themselves, a restart forgets.

#include "base/scope.h"

#include <stdint.h>

struct auth_throttle;

struct auth_throttle *auth_throttle_create(void);
void auth_throttle_destroy(struct auth_throttle *throttle);
SCOPE_DEFINE(auth_throttle_destroy, struct auth_throttle *);

// How long this try has to wait; 0: go on. `client` that is no IP address counts for nothing. Times
// are of the monotonic clock.
int64_t auth_throttle_wait_ms(struct auth_throttle *throttle, const char *email, const char *client,
                              int64_t now_ms);
void auth_throttle_failed(struct auth_throttle *throttle, const char *email, const char *client,
                          int64_t now_ms);
// Forgets the failures of the account, not those of a client: he may own one account and guess at
// others.
void auth_throttle_succeeded(struct auth_throttle *throttle, const char *email);
