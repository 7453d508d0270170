// `unreel serve`: all roles on this machine, each a child process that runs its own command.
#include "tools/tools.h"

#include "accounts/accounts.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "blobs/blobs.h"
#include "http/http_address.h"
#include "jobs/jobs.h"
#include "supervisor/supervisor.h"
#include "tools/load.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static const char usage[] = "Usage: unreel serve [SETTINGS]\n\n"
                            "Runs the whole service on this machine: gateway, auth, converters and "
                            "notifier, each started\nagain when it dies. Everything is kept under "
                            "the data directory. Ctrl-C or SIGTERM stops it.";

enum { FIXED_CHILDREN = 3, CONVERTERS_LIMIT = 64, PORT_WAIT_MS = 3000, PORT_LOOK_MS = 200 };

// The children and what they are told, built from the settings.
struct plan {
    const struct config *config;
    struct supervisor_child children[FIXED_CHILDREN + CONVERTERS_LIMIT];
    char *names[FIXED_CHILDREN + CONVERTERS_LIMIT];
    size_t count;
};

// The letter of the role's column in settings.def.
static char letter_of(const char *role)
{
    return (char)toupper((unsigned char)role[0]);
}

// "127.0.0.1:8081" + 2 → "127.0.0.1:8083", "unix:PATH" + 2 → "unix:PATH-2". Port 0 stays 0.
static char *admin_listen_of(const char *first, size_t index)
{
    const char *colon = strrchr(first, ':');
    int64_t port = 0;
    if (text_starts_with(first, "unix:"))
        return alloc_format("%s-%zu", first, index);
    if (colon != NULL && text_parse_integer(colon + 1, 1, 65535, &port))
        return alloc_format("%.*s:%" PRId64, (int)(colon - first), first, port + (int64_t)index);
    return alloc_text(first);
}

// This process's environment without UNREEL_*, and the settings of that role.
static char **environment_of(const struct config *config, const char *role, size_t index)
{
    struct config own = *config;
    SCOPED(free) char *admin_listen = admin_listen_of(config->admin_listen, index);
    text_copy(own.admin_listen, sizeof own.admin_listen, admin_listen);
    own.ready_fd = 3;
    char **settings = config_environment(&own, letter_of(role));
    size_t count = 0, kept = 0;
    while (environ != NULL && environ[count] != NULL)
        count++;
    size_t settings_count = 0;
    while (settings[settings_count] != NULL)
        settings_count++;
    char **list = alloc_zeroed(count + settings_count + 1, sizeof *list);
    for (size_t i = 0; i < count; i++)
        if (!text_starts_with(environ[i], "UNREEL_"))
            list[kept++] = alloc_text(environ[i]);
    memcpy(list + kept, settings, settings_count * sizeof *list);
    free(settings);
    return list;
}

static void add(struct plan *plan, const char *role, int stop_phase, int number)
{
    size_t index = plan->count++;
    plan->names[index] = number == 0 ? alloc_text(role) : alloc_format("%s-%d", role, number);
    plan->children[index] =
        (struct supervisor_child){.name = plan->names[index],
                                  .role = role,
                                  .environment = environment_of(plan->config, role, index),
                                  .stop_phase = stop_phase};
}

static void plan_finish(struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        free(plan->names[i]);
        config_environment_free(plan->children[i].environment);
    }
}

// Stopped in this order: no new work, then the running work, then what the gateway asked.
static void plan_init(struct plan *plan, const struct config *config)
{
    *plan = (struct plan){.config = config};
    add(plan, "gateway", 0, 0);
    add(plan, "auth", 2, 0);
    add(plan, "notifier", 1, 0);
    for (int number = 1; number <= (int)config->converters; number++)
        add(plan, "converter", 1, number);
}

static void say_ready(void *context)
{
    const struct config *config = context;
    if (text_starts_with(config->listen, "unix:"))
        printf("Unreel is ready on %s\n", config->listen);
    else
        printf("Unreel is ready: http://%s\n", config->listen);
    fflush(stdout);
}

// Two supervisors would fight over one data directory's sockets. Held until this process ends.
static bool lock_data(const struct config *config, struct error *err)
{
    SCOPED(free) char *path = alloc_format("%s/serve.lock", config->data);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(err, errno, "open %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    file_close(fd);
    return error_set(err, ERROR_CONFLICT, "another `unreel serve` uses %s", config->data);
}

// A port of another program is said once and plainly, instead of by every child again and again.
// The children of a supervisor that was just killed get a moment to end.
static bool check_port(const char *listen, const char *setting, struct error *err)
{
    int64_t until_ms = clock_monotonic_ms() + PORT_WAIT_MS;
    int fd, port;
    if (text_starts_with(listen, "unix:"))
        return true;
    while ((fd = http_address_listen(listen, &port, err)) < 0 && clock_left_ms(until_ms) > 0)
        clock_sleep_ms(PORT_LOOK_MS);
    file_close(fd);
    return fd >= 0 || error_prefix(err, "see the setting %s", setting);
}

static bool check_ports(const struct config *config, struct error *err)
{
    size_t count = FIXED_CHILDREN + (size_t)config->converters;
    bool is_free = check_port(config->listen, "listen", err);
    for (size_t i = 0; is_free && i < count; i++) {
        SCOPED(free) char *listen = admin_listen_of(config->admin_listen, i);
        is_free = check_port(listen, "admin-listen", err);
    }
    return is_free;
}

static bool prepare(const struct config *config, struct error *err)
{
    return file_make_directory(config->data, 0700, err) && lock_data(config, err) &&
           check_ports(config, err) && accounts_migrate(config->accounts, err) &&
           jobs_migrate(config->jobs, err) && blobs_make(config->blobs, err);
}

int serve_command(char *const *arguments)
{
    struct config config;
    struct error err = {0};
    int status;
    if (!load_settings(arguments, usage, 'S', &config, &status))
        return status;
    log_start("serve", strcmp(config.log, "json") == 0, LOG_LEVEL_INFO);
    if (!prepare(&config, &err)) {
        log_error("cannot start", LOG_TEXT("reason", err.text));
        return 1;
    }
    struct plan plan;
    plan_init(&plan, &config);
    struct supervisor_options options = {.children = plan.children,
                                         .count = plan.count,
                                         .stop_timeout_ms = (int)config.stop_timeout_ms + 1000,
                                         .all_ready = say_ready,
                                         .context = &config};
    status = supervisor_run(&options);
    plan_finish(&plan);
    return status;
}
