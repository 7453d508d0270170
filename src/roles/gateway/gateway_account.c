// GET /api/v1/account: who is logged in, and how much of the quota is used.

#include "http/http_reply.h"
#include "roles/gateway/gateway_handlers.h"
#include "roles/gateway/gateway_session.h"
#include "roles/gateway/gateway_worker.h"

void gateway_account_get(struct http_exchange *exchange)
{
    const struct config *config = gateway_config(exchange);
    struct token_claims claims;
    struct jobs_usage usage;
    struct error err = {0};
    if (!gateway_authenticate(exchange, &claims))
        return;
    struct jobs *jobs = gateway_jobs(exchange);
    if (jobs == NULL)
        return;
    if (!jobs_usage(jobs, claims.account, &usage, &err)) {
        http_reply_error(exchange, &err);
        return;
    }
    http_reply_json(exchange, 200,
                    json_pack("{s:s, s:s, s:s, s:{s:I, s:I, s:I, s:I}}", "id", claims.account,
                              "email", claims.email, "role", claims.role, "quota", "bytes_used",
                              (json_int_t)usage.bytes, "bytes_limit",
                              (json_int_t)config->user_bytes_bytes, "unfinished",
                              (json_int_t)usage.unfinished, "unfinished_limit",
                              (json_int_t)config->user_unfinished));
}
