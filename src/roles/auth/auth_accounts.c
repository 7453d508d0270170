// Registration.
#include "base/log.h"
#include "http/http_reply.h"
#include "roles/auth/auth.h"
#include "security/password.h"

#include <string.h>

enum auth_registration auth_register(struct http_exchange *exchange, const char *email,
                                     const char *password, struct account *out, struct error *err)
{
    const struct auth *auth = http_application(exchange);
    struct accounts *accounts = http_worker(exchange);
    if (strcmp(auth->config->registration, "open") != 0)
        return AUTH_REGISTRATION_CLOSED;
    if (!accounts_check_email(email, err)) {
        error_prefix(err, "This cannot be used as an e-mail address");
        return AUTH_EMAIL_INVALID;
    }
    if (!password_check(password, email, err))
        return AUTH_PASSWORD_WEAK;
    if (!auth_place_take(exchange))
        return AUTH_REGISTRATION_ANSWERED;
    char hash[PASSWORD_HASH_TEXT_SIZE];
    bool is_hashed = password_hash(password, hash, err);
    auth_place_give();
    if (is_hashed && accounts_create(accounts, email, hash, "user", out, err)) {
        log_info("registered", LOG_TEXT("account", out->id));
        return AUTH_REGISTERED;
    }
    if (err->kind == ERROR_CONFLICT)
        return AUTH_EMAIL_TAKEN;
    http_reply_error(exchange, err);
    return AUTH_REGISTRATION_ANSWERED;
}

static void reply_registration(struct http_exchange *exchange, enum auth_registration answer,
                               const struct account *account, const struct error *err)
{
    switch (answer) {
    case AUTH_REGISTERED:
        http_reply_header(exchange, "Location", "/api/v1/account");
        http_reply_json(exchange, 201,
                        json_pack("{s:s, s:s}", "id", account->id, "email", account->email));
        break;
    case AUTH_REGISTRATION_CLOSED:
        http_reply_problem(exchange, 403, "registration_closed",
                           "Accounts of this server are made by its administrator.");
        break;
    case AUTH_EMAIL_INVALID:
        http_reply_problem(exchange, 400, "invalid_email", err->text);
        break;
    case AUTH_PASSWORD_WEAK:
        http_reply_problem(exchange, 400, "weak_password", err->text);
        break;
    case AUTH_EMAIL_TAKEN:
        http_reply_problem(exchange, 409, "email_taken", "This address already has an account.");
        break;
    case AUTH_REGISTRATION_ANSWERED:
        break;
    }
}

void auth_accounts_create(struct http_exchange *exchange)
{
    static const char *const members[] = {"email", "password", NULL};
    const char *email, *password;
    struct account account;
    struct error err = {0};
    SCOPED(json_decref) json_t *body = auth_read_json(exchange, members);
    if (body == NULL || !auth_json_text(exchange, body, "email", &email) ||
        !auth_json_text(exchange, body, "password", &password))
        return;
    if (email == NULL || password == NULL) {
        http_reply_problem(exchange, 400, "invalid_json",
                           "The body has to be a JSON object with email and password.");
        return;
    }
    reply_registration(exchange, auth_register(exchange, email, password, &account, &err), &account,
                       &err);
}
