#include "roles/role.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"

#include <stdio.h>
#include <string.h>

enum { CHECKS_LIMIT = 8, STOP_LOOK_MS = 1000 };

static enum log_level level_of(const char *name)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0)
            return (enum log_level)i;
    return LOG_LEVEL_INFO;
}

int role_run(const struct role *role, const struct config *config)
{
    struct error err = {0};
    void *state = NULL;
    log_start(role->name, strcmp(config->log, "json") == 0, level_of(config->log_level));
    stop_install();
    if (!role->start(config, &state, &err)) {
        log_error("cannot start", LOG_TEXT("reason", err.text));
        return 1;
    }
    struct http_admin_check checks[CHECKS_LIMIT];
    size_t count = role->checks(state, checks, CHECKS_LIMIT);
    struct http_admin *admin =
        http_admin_start(config->admin_listen, checks, count, (int)config->ready_fd, &err);
    if (admin == NULL) {
        log_error("cannot start the operators' port", LOG_TEXT("listen", config->admin_listen),
                  LOG_TEXT("reason", err.text));
        role->stop(state);
        return 1;
    }
    log_info("started", LOG_TEXT("admin", config->admin_listen));
    while (!stop_wait_ms(STOP_LOOK_MS)) {
    }
    log_info("stopping");
    http_admin_draining(admin);
    role->stop(state);
    http_admin_stop(admin);
    log_info("stopped");
    return 0;
}
