#pragma once
// Two clocks, one unit: milliseconds in int64_t. Durations and deadlines use the monotonic one; the
// calendar is for people, tokens and the database's rows.

#include <stdint.h>

int64_t clock_now_ms(void);       // since 1970-01-01 UTC
int64_t clock_monotonic_ms(void); // since an unknown moment, never going back

// RFC 3339 in UTC with milliseconds: "2026-11-21T10:00:00.123Z".
enum { CLOCK_TEXT_SIZE = 32 };
void clock_format(int64_t unix_ms, char out[CLOCK_TEXT_SIZE]);

// Milliseconds until a monotonic deadline, never negative, fit for poll(2).
int clock_left_ms(int64_t deadline_ms);

void clock_sleep_ms(int64_t ms);

// Back-off before try number `attempt` (1, 2, …): base doubled each time, at most `cap_ms`, with
// full jitter over its upper half, so that replicas do not march in step.
int64_t clock_backoff_ms(int attempt, int64_t base_ms, int64_t cap_ms);
