#pragma once
// The operators' port, the same for all roles: /livez (the process answers), /readyz (what it needs
// answers; 503 with a line for each that does not), /metrics.

#include "base/error.h"
#include "http/http.h"

struct http_admin_check {
    const char *name; // "jobs", "blobs", …: unreel_dependency_up{dependency=…}
    // Runs every 2 s (5 s deadline by its own means) in one thread of the admin port; must not
    // block for ever.
    bool (*check)(void *context, struct error *err);
    void *context;
    const char *remark; // a line that readyz says beside `ok`; may be NULL
};

struct http_admin;

// The checks run once before it returns; readyz stays 503 until all have passed.
// `ready_fd` >= 0 gets a newline when all checks pass for the first time, and is closed.
struct http_admin *http_admin_start(const char *listen, const struct http_admin_check *checks,
                                    size_t count, int ready_fd, struct error *err);
void http_admin_stop(struct http_admin *admin);
// From now on readyz is 503: the role is stopping. No check runs after it returns, so what the
// checks look at may go.
void http_admin_draining(struct http_admin *admin);
int http_admin_port(const struct http_admin *admin);
