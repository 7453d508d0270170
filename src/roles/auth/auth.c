// The auth role: accounts, sessions, access tokens. Starts and stops its parts; the routes are in
// auth_routes.c.
#include "roles/auth/auth.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/stop.h"
#include "base/text.h"
#include "roles/roles.h"
#include "security/password.h"

#include <libgen.h>
#include <string.h>

enum { SWEEP_EVERY_MS = 60000, EVENT_THREADS = 2 };

static void *open_worker(void *application, struct error *err)
{
    const struct auth *auth = application;
    return accounts_open(auth->config->accounts, err);
}

static void close_worker(void *worker)
{
    accounts_close(worker);
}

static void sweep_once(const struct auth *auth)
{
    struct error err = {0};
    int64_t removed = 0;
    SCOPED(accounts_close) struct accounts *accounts = accounts_open(auth->config->accounts, &err);
    if (accounts == NULL || !accounts_ready(accounts, &err)) {
        log_warn("cannot sweep sessions", LOG_TEXT("reason", err.text));
        return;
    }
    do {
        if (!accounts_sweep(accounts, &removed, &err)) {
            log_warn("cannot sweep sessions", LOG_TEXT("reason", err.text));
            return;
        }
        metrics_add("unreel_sweeps_total", "kind=\"session\"", removed);
    } while (removed > 0 && !stop_is_requested());
}

static void *sweep(void *argument)
{
    while (!stop_wait_ms(SWEEP_EVERY_MS))
        sweep_once(argument);
    return NULL;
}

static bool make_socket_directory(const char *listen, struct error *err)
{
    static const char prefix[] = "unix:";
    if (!text_starts_with(listen, prefix))
        return true;
    SCOPED(free) char *path = alloc_text(listen + sizeof prefix - 1);
    return file_make_directory(dirname(path), 0700, err);
}

static bool open_keys(struct auth *auth, struct error *err)
{
    auth->key = signing_key_open(auth->config->signing_key, err);
    if (auth->key == NULL)
        return false;
    auth->jwks = signing_key_jwks(auth->key);
    auth->keys = token_keys_parse(auth->jwks, strlen(auth->jwks), err);
    return auth->keys != NULL;
}

static bool start_server(struct auth *auth, struct error *err)
{
    const struct config *config = auth->config;
    const struct http_server_options options = {
        .name = "auth",
        .listen = config->auth_listen,
        .routes = auth_routes,
        .routes_count = auth_routes_count,
        .worker_count = (int)config->http_workers,
        .event_thread_count = EVENT_THREADS,
        .connection_limit = (int)config->http_connections,
        .worker_open = open_worker,
        .worker_close = close_worker,
        .application = auth,
        .trusted_proxies = config->trusted_proxies,
    };
    auth->server = http_server_start(&options, err);
    return auth->server != NULL;
}

static void auth_stop(void *state)
{
    struct auth *auth = state;
    if (auth->server != NULL)
        http_server_stop(auth->server, auth->config->stop_timeout_ms);
    if (auth->has_sweeper)
        pthread_join(auth->sweeper, NULL);
    auth_throttle_destroy(auth->throttle);
    token_keys_destroy(auth->keys);
    free(auth->jwks);
    signing_key_destroy(auth->key);
    free(auth);
}

static bool auth_start(const struct config *config, void **out_state, struct error *err)
{
    struct auth *auth = alloc_zeroed(1, sizeof *auth);
    auth->config = config;
    auth->throttle = auth_throttle_create();
    password_slots((int)config->password_hashes);
    if (!password_start(err) || !open_keys(auth, err) ||
        !make_socket_directory(config->auth_listen, err) || !start_server(auth, err)) {
        auth_stop(auth);
        return false;
    }
    auth->has_sweeper = pthread_create(&auth->sweeper, NULL, sweep, auth) == 0;
    if (!auth->has_sweeper)
        log_warn("cannot start the sweep of sessions");
    *out_state = auth;
    return true;
}

// Opens its handle anew each time: the workers' are theirs, and a check comes every two seconds.
static bool check_accounts(void *context, struct error *err)
{
    const struct auth *auth = context;
    SCOPED(accounts_close) struct accounts *accounts = accounts_open(auth->config->accounts, err);
    return accounts != NULL && accounts_ready(accounts, err);
}

static size_t auth_checks(void *state, struct http_admin_check *out, size_t limit)
{
    if (limit < 1)
        return 0;
    out[0] =
        (struct http_admin_check){.name = "accounts", .check = check_accounts, .context = state};
    return 1;
}

const struct role auth_role = {.name = "auth",
                               .has_server = true,
                               .start = auth_start,
                               .checks = auth_checks,
                               .stop = auth_stop};
