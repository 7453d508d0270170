// Who is it? One password against one account, slowed down for guessers, in the same time whether
// there is such an account or not.
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "http/http_reply.h"
#include "roles/auth/auth.h"
#include "security/password.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { WAITING_LIMIT = 64, PLACE_WAIT_MS = 10000, LOOK_AGAIN_MS = 15 };

struct waiting {
    int64_t deadline_ms;
};

static bool refuse_busy(struct http_exchange *exchange)
{
    metrics_add("unreel_logins_total", "outcome=\"busy\"", 1);
    http_reply_header(exchange, "Retry-After", "5");
    http_reply_problem(exchange, 503, "busy", "Too many people are logging in right now.");
    return false;
}

bool auth_place_take(struct http_exchange *exchange)
{
    struct auth *auth = http_application(exchange);
    if (password_slot_take(0))
        return true;
    struct waiting *waiting = http_state(exchange);
    if (waiting == NULL) {
        if (atomic_fetch_add(&auth->waiting, 1) >= WAITING_LIMIT) {
            atomic_fetch_sub(&auth->waiting, 1);
            return refuse_busy(exchange);
        }
        waiting = alloc_zeroed(1, sizeof *waiting);
        waiting->deadline_ms = clock_monotonic_ms() + PLACE_WAIT_MS;
        http_set_state(exchange, waiting);
    }
    if (clock_monotonic_ms() >= waiting->deadline_ms)
        return refuse_busy(exchange);
    http_again(exchange, LOOK_AGAIN_MS);
    return false;
}

void auth_place_give(void)
{
    password_slot_give();
}

void auth_place_finish(struct http_exchange *exchange)
{
    struct auth *auth = http_application(exchange);
    struct waiting *waiting = http_state(exchange);
    if (waiting != NULL)
        atomic_fetch_sub(&auth->waiting, 1);
    free(waiting);
}

static bool is_throttled(struct http_exchange *exchange, const char *email)
{
    struct auth *auth = http_application(exchange);
    int64_t wait_ms = auth_throttle_wait_ms(auth->throttle, email, http_client_address(exchange),
                                            clock_monotonic_ms());
    if (wait_ms == 0)
        return false;
    char seconds[24];
    snprintf(seconds, sizeof seconds, "%" PRId64, (wait_ms + 999) / 1000);
    metrics_add("unreel_logins_total", "outcome=\"throttled\"", 1);
    log_info("log-in throttled", LOG_INTEGER("wait_ms", wait_ms));
    http_reply_header(exchange, "Retry-After", seconds);
    http_reply_problem(exchange, 429, "too_many_attempts",
                       "Too many log-ins have failed. Wait a little.");
    return true;
}

// The hash is made again while the password is at hand. If that fails, the old one stays good.
static void rehash(struct accounts *accounts, const struct account *account, const char *password)
{
    struct error err = {0};
    char hash[PASSWORD_HASH_TEXT_SIZE];
    if (!password_hash(password, hash, &err) || !accounts_rehash(accounts, account->id, hash, &err))
        log_warn("cannot renew a password's hash", LOG_TEXT("account", account->id),
                 LOG_TEXT("reason", err.text));
}

static enum auth_log_in refuse(struct http_exchange *exchange, const char *email,
                               const struct account *account)
{
    struct auth *auth = http_application(exchange);
    auth_throttle_failed(auth->throttle, email, http_client_address(exchange),
                         clock_monotonic_ms());
    metrics_add("unreel_logins_total", "outcome=\"refused\"", 1);
    log_info("log-in refused", LOG_TEXT("account", account == NULL ? "none" : account->id));
    return AUTH_REFUSED;
}

static enum auth_log_in check(struct http_exchange *exchange, const struct credentials *credentials,
                              struct account *out)
{
    struct auth *auth = http_application(exchange);
    struct accounts *accounts = http_worker(exchange);
    struct error err = {0};
    bool is_known = accounts_find_by_email(accounts, credentials->name, out, &err);
    if (!is_known && err.kind != ERROR_NOT_FOUND && err.kind != ERROR_INVALID) {
        http_reply_error(exchange, &err);
        return AUTH_ANSWERED;
    }
    if (!password_verify(credentials->password, is_known ? out->password_hash : NULL))
        return refuse(exchange, credentials->name, is_known ? out : NULL);
    if (strcmp(out->state, "active") != 0) {
        metrics_add("unreel_logins_total", "outcome=\"blocked\"", 1);
        log_info("log-in of a blocked account", LOG_TEXT("account", out->id));
        http_reply_problem(exchange, 403, "account_blocked", "This account is blocked.");
        return AUTH_ANSWERED;
    }
    auth_throttle_succeeded(auth->throttle, credentials->name);
    if (password_needs_rehash(out->password_hash))
        rehash(accounts, out, credentials->password);
    metrics_add("unreel_logins_total", "outcome=\"admitted\"", 1);
    log_info("logged in", LOG_TEXT("account", out->id));
    return AUTH_ADMITTED;
}

enum auth_log_in auth_log_in(struct http_exchange *exchange, const struct credentials *credentials,
                             struct account *out)
{
    // Whoever waited for a place is asked again before he gets it: of many guesses at once no more
    // than there are places get past the first failures.
    if (is_throttled(exchange, credentials->name) || !auth_place_take(exchange))
        return AUTH_ANSWERED;
    enum auth_log_in answer = check(exchange, credentials, out);
    auth_place_give();
    return answer;
}
