#pragma once
// What all roles do alike, so that the second role reads like the first: log, signals, as many
// descriptors as the system allows, the role's own parts, the operators' port, wait, stop in
// reverse order.

#include "base/error.h"
#include "config/config.h"
#include "http/http_admin.h"

#include <stdbool.h>
#include <stddef.h>

struct role {
    const char *name;
    bool has_server; // serves http-connections, which takes descriptors
    // Opens and starts everything; the state is the role's own. False ends the process with the
    // text of err.
    bool (*start)(const struct config *config, void **out_state, struct error *err);
    // What must answer for the role to be ready: fills at most `limit`, returns how many.
    size_t (*checks)(void *state, struct http_admin_check *out, size_t limit);
    // No new work; running work gets config->stop_timeout_ms. Frees the state.
    void (*stop)(void *state);
};

// Returns the process's exit status.
int role_run(const struct role *role, const struct config *config);
