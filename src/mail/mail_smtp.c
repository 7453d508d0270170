// Mail by SMTP, with libcurl. It has no time-out for each phase and calls 452 and 550 the same, so
// its own record of what passes is read along (mail_smtp_talk.h): that says how long to wait and
// what came of it. A conversation a mail: a connection kept would have to be told dead from alive.
#include "mail/mail_smtp.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/text.h"
#include "base/url.h"
#include "mail/mail_backend.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { READY_MS = 5000, HELLO_SIZE = 256, ADDRESS_SIZE = 260 };

// RFC 5321, 4.5.3.2 has longer ones for most; a mail that waits in a row can be tried again.
static const struct smtp_timeouts usual_timeouts = {
    .connect_ms = 30000,
    .command_ms = 60000,
    .data_ms = 120000,
    .stall_ms = 180000,
    .final_dot_ms = 600000,
    .cancelled_ms = 10000,
    .quit_ms = 5000,
    .conversation_ms = 1800000,
};

struct smtp {
    struct mail base;
    struct url url;
    bool wants_tls;
    const struct smtp_timeouts *timeouts;
};

// ---- the URL ----

static bool wants_tls(const struct url *url)
{
    const char *tls = url_parameter(url, "tls");
    if (tls != NULL)
        return strcmp(tls, "required") == 0;
    return strcmp(url->scheme, "smtps") == 0 || !url_is_loopback(url->hosts[0].name);
}

static bool parse(const char *text, struct url *out, struct error *err)
{
    static const char *const of_smtp[] = {"tls", "tls-ca", NULL};
    static const char *const of_smtps[] = {"tls-ca", NULL};
    if (!url_parse(text, out, err) ||
        !url_check_parameters(out, strcmp(out->scheme, "smtp") == 0 ? of_smtp : of_smtps, err))
        return false;
    const char *tls = url_parameter(out, "tls");
    if (out->host_count != 1)
        return error_set(err, ERROR_INVALID, "mail goes to one host");
    if (out->path[0] != '\0')
        return error_set(err, ERROR_INVALID, "a path means nothing here");
    if (tls != NULL && strcmp(tls, "off") != 0 && strcmp(tls, "required") != 0)
        return error_set(err, ERROR_INVALID, "tls is off or required");
    const char *tls_ca = url_parameter(out, "tls-ca");
    if (tls_ca != NULL && !wants_tls(out))
        return error_set(err, ERROR_INVALID, "tls-ca needs tls=required");
    if (tls_ca != NULL && tls_ca[0] == '\0')
        return error_set(err, ERROR_INVALID, "tls-ca needs the name of a file");
    if (out->user[0] != '\0' && out->password[0] == '\0')
        return error_set(err, ERROR_INVALID, "the user has no password");
    if (out->user[0] != '\0' && !wants_tls(out) && !url_is_loopback(out->hosts[0].name))
        return error_set(err, ERROR_INVALID,
                         "tls=off would send the password readable for all to '%s'",
                         out->hosts[0].name);
    return true;
}

static bool smtp_check_url(const char *text, struct error *err)
{
    struct url url;
    return parse(text, &url, err);
}

static int port_of(const struct url *url)
{
    if (url->hosts[0].port != 0)
        return url->hosts[0].port;
    return strcmp(url->scheme, "smtps") == 0 ? 465 : url->user[0] != '\0' ? 587 : 25;
}

// By what name we say EHLO. Servers want one with a dot: the host's own, else the sender's domain.
static void name_for_hello(const char *sender, char out[HELLO_SIZE])
{
    char host[HELLO_SIZE] = "";
    if (gethostname(host, sizeof host - 1) != 0)
        host[0] = '\0';
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789.-";
    bool is_full = strchr(host, '.') != NULL && host[strspn(host, allowed)] == '\0';
    const char *domain = strrchr(sender, '@');
    text_copy(out, HELLO_SIZE, is_full ? host : domain != NULL ? domain + 1 : "localhost");
}

// ---- what libcurl calls ----

struct conversation {
    struct smtp_talk talk;
    CURL *curl;
    const char *sender;
    const struct mail_envelope *envelope; // NULL where nothing is sent
    const char *message;
    size_t left; // of the message
};

static size_t give_message(char *out, size_t one, size_t limit, void *context)
{
    struct conversation *conversation = context;
    size_t size = one * limit < conversation->left ? one * limit : conversation->left;
    memcpy(out, conversation->message, size);
    conversation->message += size;
    conversation->left -= size;
    return size;
}

// What a server says to NOOP would go to standard output.
static size_t drop(char *bytes, size_t one, size_t size, void *context)
{
    (void)bytes, (void)context;
    return one * size;
}

static int listen_in(CURL *curl, curl_infotype type, char *bytes, size_t size, void *context)
{
    (void)curl;
    struct conversation *conversation = context;
    if (type == CURLINFO_HEADER_OUT)
        smtp_talk_command(&conversation->talk, bytes, size, clock_monotonic_ms());
    else if (type == CURLINFO_HEADER_IN)
        smtp_talk_answer(&conversation->talk, bytes, size);
    else if (type == CURLINFO_DATA_OUT)
        smtp_talk_message(&conversation->talk, size, clock_monotonic_ms());
    return 0;
}

// libcurl calls it each second at least, also where it blocks, which it does after the final dot.
static int look_at_clock(void *context, curl_off_t to_get, curl_off_t got, curl_off_t to_give,
                         curl_off_t given)
{
    (void)to_get, (void)got, (void)to_give, (void)given;
    struct conversation *conversation = context;
    const struct mail_envelope *envelope = conversation->envelope;
    int64_t now_ms = clock_monotonic_ms();
    curl_off_t connect_time = 0;
    if (curl_easy_getinfo(conversation->curl, CURLINFO_CONNECT_TIME_T, &connect_time) == CURLE_OK &&
        connect_time > 0)
        smtp_talk_connected(&conversation->talk, now_ms);
    if (envelope != NULL && envelope->is_cancelled != NULL &&
        envelope->is_cancelled(envelope->context))
        smtp_talk_cancelled(&conversation->talk, now_ms);
    return smtp_talk_is_over(&conversation->talk, now_ms) ? 1 : 0;
}

// ---- a conversation ----

static bool set_options(CURL *curl, const struct smtp *smtp, struct conversation *conversation)
{
    const struct url *url = &smtp->url;
    const char *host = url->hosts[0].name;
    bool is_ipv6 = strchr(host, ':') != NULL;
    char hello[HELLO_SIZE];
    name_for_hello(conversation->sender, hello);
    SCOPED(free)
    char *text = alloc_format("%s://%s%s%s:%d/%s", url->scheme, is_ipv6 ? "[" : "", host,
                              is_ipv6 ? "]" : "", port_of(url), hello);
    const char *tls_ca = url_parameter(url, "tls-ca");
    bool is_set = true;
#define SET(option_, value_) is_set = curl_easy_setopt(curl, option_, value_) == CURLE_OK && is_set
    SET(CURLOPT_URL, text);
    SET(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    SET(CURLOPT_PROXY, ""); // the environment has no say
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L); // a name server that hangs is not waited for
    SET(CURLOPT_FORBID_REUSE, 1L);
    SET(CURLOPT_USE_SSL, smtp->wants_tls ? (long)CURLUSESSL_ALL : (long)CURLUSESSL_NONE);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (tls_ca != NULL) {
        SET(CURLOPT_CAINFO, tls_ca);
        SET(CURLOPT_CAPATH, NULL); // the system's would be trusted as well
    }
    if (url->user[0] != '\0') {
        SET(CURLOPT_USERNAME, url->user);
        SET(CURLOPT_PASSWORD, url->password);
        SET(CURLOPT_LOGIN_OPTIONS, "AUTH=PLAIN;AUTH=LOGIN"); // not what a ticket lying about allows
    }
    SET(CURLOPT_WRITEFUNCTION, drop);
    // look_at_clock knows better; these are only not to be in its way.
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)smtp->timeouts->conversation_ms);
    SET(CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)(smtp->timeouts->conversation_ms / 1000 + 1));
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, look_at_clock);
    SET(CURLOPT_XFERINFODATA, conversation);
    SET(CURLOPT_VERBOSE, 1L); // for listen_in; nothing is printed
    SET(CURLOPT_DEBUGFUNCTION, listen_in);
    SET(CURLOPT_DEBUGDATA, conversation);
    return is_set;
}

static bool set_message(CURL *curl, struct conversation *conversation, struct curl_slist *to)
{
    char from[ADDRESS_SIZE];
    snprintf(from, sizeof from, "<%s>", conversation->sender);
    bool is_set = to != NULL;
    SET(CURLOPT_MAIL_FROM, from);
    SET(CURLOPT_MAIL_RCPT, to);
    SET(CURLOPT_UPLOAD, 1L);
    SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)conversation->left);
    SET(CURLOPT_READFUNCTION, give_message);
    SET(CURLOPT_READDATA, conversation);
    return is_set;
}
#undef SET

static void perform(CURL *curl, const struct smtp *smtp, struct conversation *conversation,
                    char problem[CURL_ERROR_SIZE])
{
    const struct mail_envelope *envelope = conversation->envelope;
    struct curl_slist *to = NULL;
    bool is_set = set_options(curl, smtp, conversation);
    if (envelope != NULL) {
        char recipient[ADDRESS_SIZE];
        snprintf(recipient, sizeof recipient, "<%s>", envelope->recipient);
        to = curl_slist_append(NULL, recipient);
        is_set = is_set && set_message(curl, conversation, to);
    } else {
        is_set = is_set && curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "NOOP") == CURLE_OK;
    }
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, problem);
    CURLcode code = is_set ? curl_easy_perform(curl) : CURLE_OUT_OF_MEMORY;
    curl_slist_free_all(to);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        snprintf(problem, CURL_ERROR_SIZE, "%s",
                 conversation->talk.is_cancelled ? "cancelled" : "no answer in time");
    else if (code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR)
        snprintf(problem, CURL_ERROR_SIZE, "the connection broke");
    else if (problem[0] == '\0')
        snprintf(problem, CURL_ERROR_SIZE, "%s", curl_easy_strerror(code));
}

static enum mail_answer converse(const struct smtp *smtp, struct conversation *conversation,
                                 const struct smtp_timeouts *timeouts, char *out, size_t out_size)
{
    char problem[CURL_ERROR_SIZE] = "";
    CURL *curl = curl_easy_init();
    smtp_talk_begin(&conversation->talk, timeouts, conversation->left, clock_monotonic_ms());
    conversation->talk.needs_login = smtp->url.user[0] != '\0';
    conversation->curl = curl;
    if (curl != NULL)
        perform(curl, smtp, conversation, problem);
    else
        text_copy(problem, sizeof problem, "libcurl does not start");
    curl_easy_cleanup(curl);
    return smtp_talk_verdict(&conversation->talk, problem, out, out_size);
}

static enum mail_answer smtp_send(struct mail *mail, const struct mail_envelope *envelope,
                                  const char *message, size_t message_size, char *out_reply,
                                  size_t out_size)
{
    const struct smtp *smtp = (const struct smtp *)mail;
    struct conversation conversation = {
        .sender = envelope->sender, .envelope = envelope, .message = message, .left = message_size};
    return converse(smtp, &conversation, smtp->timeouts, out_reply, out_size);
}

static bool smtp_ready(struct mail *mail, const char *sender, struct error *err)
{
    const struct smtp *smtp = (const struct smtp *)mail;
    struct conversation conversation = {.sender = sender};
    struct smtp_timeouts timeouts = *smtp->timeouts;
    timeouts.conversation_ms = READY_MS;
    char reply[200];
    return converse(smtp, &conversation, &timeouts, reply, sizeof reply) == MAIL_SENT ||
           error_set(err, ERROR_UNAVAILABLE, "%s:%d: %s", smtp->url.hosts[0].name,
                     port_of(&smtp->url), reply);
}

static void smtp_close(struct mail *mail)
{
    free(mail);
}

struct mail *mail_smtp_open(const char *url, const struct smtp_timeouts *timeouts,
                            struct error *err)
{
    struct smtp *smtp = alloc_zeroed(1, sizeof *smtp);
    smtp->base.ops = &mail_smtp_ops;
    smtp->timeouts = timeouts;
    if (!parse(url, &smtp->url, err)) {
        free(smtp);
        return NULL;
    }
    smtp->wants_tls = wants_tls(&smtp->url);
    return &smtp->base;
}

static struct mail *smtp_open(const char *url, struct error *err)
{
    return mail_smtp_open(url, &usual_timeouts, err);
}

static const char *const smtp_schemes[] = {"smtp", "smtps", NULL};

const struct mail_ops mail_smtp_ops = {
    .schemes = smtp_schemes,
    .check_url = smtp_check_url,
    .open = smtp_open,
    .close = smtp_close,
    .send = smtp_send,
    .ready = smtp_ready,
};
