// Conversions as their owner sees and steers them: list, one, wait, delete, retry, letter.

#include "roles/gateway/gateway_conversions.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "http/http_reply.h"
#include "roles/gateway/gateway_handlers.h"
#include "roles/gateway/gateway_json.h"
#include "roles/gateway/gateway_session.h"
#include "roles/gateway/gateway_worker.h"

#include <string.h>

enum { LIST_DEFAULT = 20, LIST_MOST = 100, WAIT_MOST_S = 60, WAIT_STEP_MS = 250 };

void gateway_reply_not_found(struct http_exchange *exchange)
{
    http_reply_problem(exchange, 404, "not_found", "There is no such conversion.");
}

void gateway_reply_jobs_error(struct http_exchange *exchange, const struct error *err)
{
    if (err->kind == ERROR_NOT_FOUND)
        gateway_reply_not_found(exchange);
    else
        http_reply_error(exchange, err);
}

// ---- list ----

// False: answered.
static bool read_page(struct http_exchange *exchange, const char **out_cursor, int64_t *out_limit)
{
    const char *limit = http_query(exchange, "limit");
    *out_cursor = http_query(exchange, "cursor");
    *out_limit = LIST_DEFAULT;
    if (limit != NULL && !text_parse_integer(limit, 1, LIST_MOST, out_limit))
        http_reply_problem(exchange, 400, "invalid_parameter", "limit is a number from 1 to 100.");
    else if (*out_cursor != NULL && !id_is_valid(*out_cursor))
        http_reply_problem(exchange, 400, "invalid_parameter",
                           "cursor is what \"next\" said in the page before.");
    else
        return true;
    return false;
}

static json_t *page_json(const struct conversion *found, size_t count, size_t limit,
                         int64_t as_of_ms)
{
    bool has_more = count > limit;
    size_t shown = has_more ? limit : count;
    json_t *items = json_array();
    for (size_t i = 0; i < shown; i++)
        json_array_append_new(items, gateway_conversion_json(&found[i]));
    json_t *next = has_more ? json_string(found[shown - 1].id) : json_null();
    return json_pack("{s:o, s:o, s:o}", "items", items, "next", next, "as_of",
                     gateway_time_json(as_of_ms));
}

void gateway_conversions_list(struct http_exchange *exchange)
{
    struct token_claims claims;
    const char *cursor;
    int64_t limit, as_of_ms = 0;
    struct error err = {0};
    if (!gateway_authenticate(exchange, &claims) || !read_page(exchange, &cursor, &limit))
        return;
    struct jobs *jobs = gateway_jobs(exchange);
    if (jobs == NULL)
        return;
    // One more than asked for tells whether there is a next page.
    size_t room = (size_t)limit + 1, count = 0;
    struct conversion *found = alloc_zeroed(room, sizeof *found);
    if (jobs_list(jobs, claims.account, cursor, room, found, &count, &as_of_ms, &err))
        http_reply_json(exchange, 200, page_json(found, count, (size_t)limit, as_of_ms));
    else
        gateway_reply_jobs_error(exchange, &err);
    free(found);
}

// ---- one ----

struct conversion *gateway_find_own(struct http_exchange *exchange, struct jobs *jobs,
                                    const char *owner, const char *id)
{
    struct error err = {0};
    if (id == NULL || !id_is_valid(id)) {
        gateway_reply_not_found(exchange);
        return NULL;
    }
    struct conversion *conversion = alloc_zeroed(1, sizeof *conversion);
    if (jobs_find(jobs, owner, id, conversion, &err))
        return conversion;
    gateway_reply_jobs_error(exchange, &err);
    free(conversion);
    return NULL;
}

struct wait {
    char owner[ID_SIZE]; // the token was good when the waiting began
    int64_t until_ms;
};

// False: answered.
static bool begin_wait(struct http_exchange *exchange, struct wait **out)
{
    struct token_claims claims;
    int64_t seconds = 0;
    const char *text = http_query(exchange, "wait");
    if (!gateway_authenticate(exchange, &claims))
        return false;
    if (text != NULL && !text_parse_integer(text, 0, WAIT_MOST_S, &seconds)) {
        http_reply_problem(exchange, 400, "invalid_parameter",
                           "wait is a number of seconds from 0 to 60.");
        return false;
    }
    struct wait *wait = alloc_zeroed(1, sizeof *wait);
    memcpy(wait->owner, claims.account, sizeof wait->owner);
    wait->until_ms = clock_monotonic_ms() + seconds * 1000;
    http_set_state(exchange, wait);
    *out = wait;
    return true;
}

static bool is_over(const struct conversion *conversion)
{
    return strcmp(conversion->state, "ready") == 0 || strcmp(conversion->state, "failed") == 0;
}

// ?wait=SECONDS answers when the conversion is ready or failed, or when the time is up. No worker
// is held meanwhile.
void gateway_conversion_get(struct http_exchange *exchange)
{
    struct wait *wait = http_state(exchange);
    if (wait == NULL && !begin_wait(exchange, &wait))
        return;
    struct jobs *jobs = gateway_jobs(exchange);
    if (jobs == NULL)
        return;
    struct conversion *conversion =
        gateway_find_own(exchange, jobs, wait->owner, http_parameter(exchange, "id"));
    if (conversion == NULL)
        return;
    int left_ms = clock_left_ms(wait->until_ms);
    if (is_over(conversion) || left_ms == 0 || http_is_stopping(exchange))
        http_reply_json(exchange, 200, gateway_conversion_json(conversion));
    else
        http_again(exchange, left_ms < WAIT_STEP_MS ? left_ms : WAIT_STEP_MS);
    free(conversion);
}

void gateway_conversion_get_finish(struct http_exchange *exchange)
{
    free(http_state(exchange));
}

// ---- steering ----

// What the three below begin with. False: answered.
static bool begin_change(struct http_exchange *exchange, struct token_claims *out_claims,
                         const char **out_id, struct jobs **out_jobs)
{
    if (!gateway_authenticate(exchange, out_claims))
        return false;
    *out_id = http_parameter(exchange, "id");
    if (*out_id == NULL || !id_is_valid(*out_id)) {
        gateway_reply_not_found(exchange);
        return false;
    }
    *out_jobs = gateway_jobs(exchange);
    return *out_jobs != NULL;
}

static void log_change(const char *message, const char *id)
{
    log_conversion(id);
    log_info(message);
    log_conversion(NULL);
}

void gateway_conversion_delete(struct http_exchange *exchange)
{
    struct token_claims claims;
    const char *id;
    struct jobs *jobs;
    struct error err = {0};
    if (!begin_change(exchange, &claims, &id, &jobs))
        return;
    if (!jobs_delete(jobs, claims.account, id, &err)) {
        gateway_reply_jobs_error(exchange, &err);
        return;
    }
    log_change("deleted by its owner", id);
    http_reply_empty(exchange, 204);
}

static void reply_retry_conflict(struct http_exchange *exchange, struct jobs *jobs,
                                 const char *owner, const char *id)
{
    struct conversion *conversion = gateway_find_own(exchange, jobs, owner, id);
    if (conversion == NULL)
        return;
    if (strcmp(conversion->state, "failed") == 0)
        http_reply_problem(exchange, 409, "source_gone",
                           "The video is no longer here. Upload it again.");
    else
        http_reply_problem(exchange, 409, "not_failed",
                           "Only a failed conversion can be tried again.");
    free(conversion);
}

void gateway_conversion_retry(struct http_exchange *exchange)
{
    struct token_claims claims;
    const char *id;
    struct jobs *jobs;
    struct error err = {0};
    if (!begin_change(exchange, &claims, &id, &jobs))
        return;
    struct conversion *conversion = alloc_zeroed(1, sizeof *conversion);
    if (jobs_retry(jobs, claims.account, id, conversion, &err)) {
        log_change("tried again by its owner", id);
        http_reply_json(exchange, 202, gateway_conversion_json(conversion));
        gateway_hint(exchange, "video", id);
    } else if (err.kind == ERROR_CONFLICT) {
        reply_retry_conflict(exchange, jobs, claims.account, id);
    } else {
        gateway_reply_jobs_error(exchange, &err);
    }
    free(conversion);
}

static void reply_letter_conflict(struct http_exchange *exchange, struct jobs *jobs,
                                  const char *owner, const char *id)
{
    struct conversion *conversion = gateway_find_own(exchange, jobs, owner, id);
    if (conversion == NULL)
        return;
    if (is_over(conversion)) {
        http_reply_header(exchange, "Retry-After", "3600");
        http_reply_problem(exchange, 429, "too_many_letters",
                           "Five mails about this conversion within an hour are enough.");
    } else {
        http_reply_problem(exchange, 409, "not_finished",
                           "The conversion is not finished; a mail comes when it is.");
    }
    free(conversion);
}

void gateway_conversion_letter(struct http_exchange *exchange)
{
    struct token_claims claims;
    const char *id;
    struct jobs *jobs;
    struct error err = {0};
    if (!begin_change(exchange, &claims, &id, &jobs))
        return;
    if (jobs_letter_again(jobs, claims.account, id, &err)) {
        struct conversion *conversion = gateway_find_own(exchange, jobs, claims.account, id);
        if (conversion == NULL)
            return;
        http_reply_json(exchange, 202, gateway_conversion_json(conversion));
        free(conversion);
        gateway_hint(exchange, "mp3", id);
    } else if (err.kind == ERROR_CONFLICT) {
        reply_letter_conflict(exchange, jobs, claims.account, id);
    } else {
        gateway_reply_jobs_error(exchange, &err);
    }
}
