#include "roles/role.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum { CHECKS_LIMIT = 8, STOP_LOOK_MS = 1000, HEAPS = 2 };

static enum log_level level_of(const char *name)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0)
            return (enum log_level)i;
    return LOG_LEVEL_INFO;
}

// The usual soft limit, 1024, is there for programs that use select(2).
static void raise_descriptor_limit(const struct role *role, const struct config *config)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        getrlimit(RLIMIT_NOFILE, &limit);
    // A connection has its socket and the file that it reads or writes; a worker has its stores.
    int64_t wanted = 2 * config->http_connections + 16 * config->http_workers + 512;
    if (!role->has_server || limit.rlim_cur >= (rlim_t)wanted)
        return;
    log_warn("too few file descriptors for http-connections: raise the limit (ulimit -n) or lower "
             "the setting",
             LOG_INTEGER("limit", (int64_t)limit.rlim_cur), LOG_INTEGER("wanted", wanted));
}

int role_run(const struct role *role, const struct config *config)
{
    struct error err = {0};
    void *state = NULL;
    log_start(role->name, strcmp(config->log, "json") == 0, level_of(config->log_level));
    stop_install();
    raise_descriptor_limit(role, config);
    mallopt(M_ARENA_MAX, HEAPS); // one a thread would each keep what uploads left in it
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
        stop_request(); // the role's threads wait for it
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
