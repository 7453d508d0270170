#pragma once
// SIGTERM and SIGINT become a flag and a readable descriptor. Call once, before any thread starts;
// SIGPIPE is ignored from then on.

#include <stdbool.h>
#include <stdint.h>

void stop_install(void);

bool stop_is_requested(void);

// Readable for ever once a stop is requested: for poll(2).
int stop_fd(void);

// As the signal would. For a part that cannot go on and for tests.
void stop_request(void);

// Waits that long or until a stop is requested; true when it is.
bool stop_wait_ms(int64_t ms);
