#include "tools/connect.h"

#include "accounts/accounts.h"
#include "blobs/blobs.h"
#include "http/http_client.h"
#include "jobs/jobs.h"
#include "mail/mail.h"
#include "mail/mail_message.h"
#include "queue/queue.h"

#include <stdio.h>

enum { AUTH_TIMEOUT_MS = 5000 };

static bool ask_accounts(const struct config *config, struct error *err)
{
    SCOPED(accounts_close) struct accounts *accounts = accounts_open(config->accounts, err);
    return accounts != NULL && accounts_ready(accounts, err);
}

static bool ask_jobs(const struct config *config, struct error *err)
{
    SCOPED(jobs_close) struct jobs *jobs = jobs_open(config->jobs, err);
    return jobs != NULL && jobs_ready(jobs, err);
}

static bool ask_blobs(const struct config *config, struct error *err)
{
    int64_t free_bytes;
    SCOPED(blobs_close) struct blobs *blobs = blobs_open(config->blobs, err);
    return blobs != NULL && blobs_ready(blobs, &free_bytes, err);
}

static bool ask_queue(const struct config *config, struct error *err)
{
    SCOPED(queue_close) struct queue *queue = queue_open(config->queue, NULL, err);
    return queue != NULL && queue_pump(queue, err);
}

static bool ask_mail(const struct config *config, struct error *err)
{
    char sender[320];
    if (!mail_address(config->mail_from, sender, sizeof sender))
        return error_set(err, ERROR_INVALID, "mail-from holds no address");
    SCOPED(mail_close) struct mail *mail = mail_open(config->mail, err);
    return mail != NULL && mail_ready(mail, sender, err);
}

static bool ask_auth(const struct config *config, struct error *err)
{
    SCOPED(http_client_close) struct http_client *client = NULL;
    if (!http_client_start())
        return error_set(err, ERROR_INTERNAL, "libcurl does not start");
    client = http_client_open(config->auth_url, err);
    if (client == NULL)
        return false;
    const struct http_client_request request = {
        .method = "GET", .path = "/.well-known/jwks.json", .timeout_ms = AUTH_TIMEOUT_MS};
    struct http_client_reply reply;
    bool is_answered = http_client_send(client, &request, &reply, err);
    if (is_answered && reply.status != 200)
        is_answered = error_set(err, ERROR_UNAVAILABLE, "it answers %d", reply.status);
    http_client_reply_finish(&reply);
    return is_answered;
}

bool connect_all(const struct config *config, char role)
{
    static const struct {
        const char *setting;
        bool (*ask)(const struct config *config, struct error *err);
    } ports[] = {
        {"accounts", ask_accounts}, {"jobs", ask_jobs}, {"blobs", ask_blobs},
        {"queue", ask_queue},       {"mail", ask_mail}, {"auth-url", ask_auth},
    };
    bool do_all_answer = true;
    for (size_t i = 0; i < sizeof ports / sizeof ports[0]; i++) {
        struct error err = {0};
        if (!config_is_used_by(ports[i].setting, role))
            continue;
        bool is_answered = ports[i].ask(config, &err);
        printf("%s: %s\n", ports[i].setting, is_answered ? "answers" : err.text);
        do_all_answer = do_all_answer && is_answered;
    }
    return do_all_answer;
}
