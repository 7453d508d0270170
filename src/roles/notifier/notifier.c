// The notifier role: takes letters that are due, builds the mail, sends it, notes what came of it.
// crew.h has the two threads: a server may keep us waiting for minutes after the final dot.
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "letters/letters.h"
#include "mail/mail.h"
#include "mail/mail_message.h"
#include "queue/queue.h"
#include "roles/crew/crew.h"
#include "roles/notifier/notifier_letter.h"
#include "roles/notifier/notifier_watch.h"
#include "roles/roles.h"

#include <stdio.h>
#include <string.h>

enum {
    SUBJECT_LIMIT = 512,
    BODY_LIMIT = 8192,
    MESSAGE_LIMIT = 65536,
    ADDRESS_SIZE = 320,
    MESSAGE_ID_SIZE = ID_SIZE + ADDRESS_SIZE,
    REPLY_SIZE = 200,
    URL_SIZE = 600,
    NOTE_MS = 30000, // half a lease
    NOTE_STOPPING_MS = 5000,
    BACKOFF_BASE_MS = 100,
    BACKOFF_CAP_MS = 5000,
};

struct notifier {
    const struct config *config;
    char public_url[URL_SIZE];
    char sender[ADDRESS_SIZE]; // plain address
    char worker[64];
    struct crew_duty duty;
    struct crew *crew;
    struct notifier_watch watch;
    struct jobs *jobs; // these two: the worker thread's
    struct mail *mail;
    struct mail *check_mail; // the admin port's thread's
};

enum note { NOTE_SENT, NOTE_POSTPONED, NOTE_UNCERTAIN, NOTE_BOUNCED, NOTE_GIVEN_BACK };

static const char *const note_names[] = {
    [NOTE_SENT] = "sent",       [NOTE_POSTPONED] = "postponed",   [NOTE_UNCERTAIN] = "uncertain",
    [NOTE_BOUNCED] = "bounced", [NOTE_GIVEN_BACK] = "given_back",
};

// ---- one letter ----

static void name_message(const struct notifier *notifier, const char *id, char out[MESSAGE_ID_SIZE])
{
    snprintf(out, MESSAGE_ID_SIZE, "%s@%s", id, strrchr(notifier->sender, '@') + 1);
}

static bool build(const struct notifier *notifier, const struct letter *letter,
                  const char *message_id, struct buf *out, struct error *err)
{
    SCOPED_BUF struct buf subject, body;
    buf_init(&subject, SUBJECT_LIMIT);
    buf_init(&body, BODY_LIMIT);
    if (!notifier_letter_write(letter, notifier->public_url, &subject, &body, err))
        return false;
    const struct mail_message message = {.from = notifier->config->mail_from,
                                         .to = letter->recipient,
                                         .subject = subject.bytes,
                                         .message_id = message_id,
                                         .traceparent = letter->traceparent,
                                         .date_ms = clock_now_ms(),
                                         .body = body.bytes};
    return mail_message_write(&message, out, err);
}

static bool is_cancelled(void *context)
{
    struct notifier *notifier = context;
    return crew_cancelled(notifier->crew) != CREW_GO_ON;
}

static enum note note_of(enum mail_answer answer, const struct letter *letter)
{
    switch (answer) {
    case MAIL_SENT:
        return NOTE_SENT;
    case MAIL_REFUSED:
        return NOTE_BOUNCED;
    case MAIL_UNCERTAIN:
        return NOTE_UNCERTAIN;
    case MAIL_CANCELLED:
        return NOTE_GIVEN_BACK;
    case MAIL_DOWN: // costs the letter no try, but not for ever: postponing ends in giving up
        if (clock_now_ms() - letter->created_at_ms < LETTER_GIVE_UP_MS)
            return NOTE_GIVEN_BACK;
        break;
    case MAIL_LATER:
        break;
    }
    return NOTE_POSTPONED;
}

static enum note send_mail(struct notifier *notifier, const struct letter *letter,
                           char reply[REPLY_SIZE])
{
    struct error err = {0};
    char message_id[MESSAGE_ID_SIZE];
    name_message(notifier, letter->id, message_id);
    SCOPED_BUF struct buf message;
    buf_init(&message, MESSAGE_LIMIT);
    if (!build(notifier, letter, message_id, &message, &err)) {
        snprintf(reply, REPLY_SIZE, "not sent: %.180s", err.text);
        return NOTE_BOUNCED;
    }
    if (crew_cancelled(notifier->crew) != CREW_GO_ON)
        return NOTE_GIVEN_BACK;
    const struct mail_envelope envelope = {.sender = notifier->sender,
                                           .recipient = letter->recipient,
                                           .message_id = message_id,
                                           .is_cancelled = is_cancelled,
                                           .context = notifier};
    enum mail_answer answer =
        mail_send(notifier->mail, &envelope, message.bytes, message.size, reply, REPLY_SIZE);
    if (answer == MAIL_DOWN)
        notifier_watch_down(&notifier->watch, reply, clock_monotonic_ms());
    else if (answer != MAIL_CANCELLED)
        notifier_watch_worked(&notifier->watch, clock_monotonic_ms());
    return note_of(answer, letter);
}

static enum letters_answer write_note(struct notifier *notifier, const struct letter *letter,
                                      enum note note, const char *reply, struct error *err)
{
    if (notifier->jobs == NULL)
        notifier->jobs = jobs_open(notifier->config->jobs, err);
    if (notifier->jobs == NULL)
        return LETTERS_ERROR;
    struct sql *sql = jobs_sql(notifier->jobs);
    switch (note) {
    case NOTE_SENT:
        return letters_sent(sql, letter, reply, err);
    case NOTE_POSTPONED:
    case NOTE_UNCERTAIN:
        return letters_postpone(sql, letter, reply, err);
    case NOTE_BOUNCED:
        return letters_bounced(sql, letter, reply, err);
    case NOTE_GIVEN_BACK:
        break;
    }
    return letters_give_back(sql, letter, err);
}

// A mail that was sent and not noted is sent again: so this tries for as long as the lease lasts.
static enum letters_answer write_note_surely(struct notifier *notifier, const struct letter *letter,
                                             enum note note, const char *reply, struct error *err)
{
    int64_t begun_ms = clock_monotonic_ms();
    for (int tries = 1;; tries++) {
        struct error problem = {0};
        enum letters_answer answer = write_note(notifier, letter, note, reply, &problem);
        if (answer != LETTERS_ERROR)
            return answer;
        log_warn("what came of a mail could not be noted", LOG_TEXT("outcome", note_names[note]),
                 LOG_TEXT("reason", problem.text), LOG_INTEGER("tries", tries));
        jobs_close(TAKE(notifier->jobs));
        int64_t pause_ms = clock_backoff_ms(tries, BACKOFF_BASE_MS, BACKOFF_CAP_MS);
        int64_t until_ms =
            begun_ms + (crew_wait_ms(notifier->crew, 0) ? NOTE_STOPPING_MS : NOTE_MS);
        if (clock_monotonic_ms() + pause_ms > until_ms) {
            *err = problem;
            return LETTERS_ERROR;
        }
        clock_sleep_ms(pause_ms);
    }
}

static void log_note(const struct letter *letter, enum note note, const char *reply)
{
    char labels[64];
    snprintf(labels, sizeof labels, "outcome=\"%s\"", note_names[note]);
    metrics_add("unreel_letters_total", labels, 1);
    static const struct {
        enum log_level level;
        const char *text;
    } lines[] = {
        [NOTE_SENT] = {LOG_LEVEL_INFO, "mail sent"},
        [NOTE_POSTPONED] = {LOG_LEVEL_WARN, "mail postponed"},
        [NOTE_UNCERTAIN] = {LOG_LEVEL_WARN, "mail handed over but not confirmed"},
        [NOTE_BOUNCED] = {LOG_LEVEL_WARN, "mail bounced"},
        [NOTE_GIVEN_BACK] = {LOG_LEVEL_INFO, "mail given back"},
    };
    log_write(lines[note].level, lines[note].text,
              LOG_FIELDS(LOG_TEXT("letter", letter->id), LOG_TEXT("kind", letter->kind),
                         LOG_INTEGER("attempt", letter->attempt)));
    // A server's reply may repeat the address.
    log_debug("reply", LOG_TEXT("letter", letter->id), LOG_TEXT("reply", reply));
}

static bool deliver(struct notifier *notifier, const struct letter *letter, struct error *err)
{
    char reply[REPLY_SIZE] = "";
    crew_hold(notifier->crew, letter->id, letter->claim);
    enum note note = send_mail(notifier, letter, reply);
    crew_let_go(notifier->crew);
    switch (write_note_surely(notifier, letter, note, reply, err)) {
    case LETTERS_DONE:
        log_note(letter, note, reply);
        return true;
    case LETTERS_NOT_YOURS:
        log_warn("somebody else has this letter now", LOG_TEXT("letter", letter->id),
                 LOG_TEXT("outcome", note_names[note]));
        return true;
    case LETTERS_ERROR:
        break;
    }
    return false;
}

// ---- the duty ----

// After a pause the server is asked first: a look that finds no letter due says nothing about it.
static bool check_that_it_is_back(struct notifier *notifier, struct error *err)
{
    if (!notifier_watch_is_down(&notifier->watch))
        return true;
    if (mail_ready(notifier->mail, notifier->sender, err)) {
        notifier_watch_answered(&notifier->watch, clock_monotonic_ms());
        return true;
    }
    notifier_watch_down(&notifier->watch, err->text, clock_monotonic_ms());
    return error_prefix(err, "mail");
}

static bool prepare(void *context, struct error *err)
{
    struct notifier *notifier = context;
    if (!notifier_watch_may_try(&notifier->watch, clock_monotonic_ms(), err))
        return error_prefix(err, "mail");
    if (notifier->jobs == NULL)
        notifier->jobs = jobs_open(notifier->config->jobs, err);
    if (notifier->jobs != NULL && notifier->mail == NULL)
        notifier->mail = mail_open(notifier->config->mail, err);
    return notifier->jobs != NULL && notifier->mail != NULL && check_that_it_is_back(notifier, err);
}

static void release(void *context)
{
    struct notifier *notifier = context;
    jobs_close(TAKE(notifier->jobs));
    mail_close(TAKE(notifier->mail));
}

static bool due(void *context, char (*out_ids)[ID_SIZE], size_t limit, size_t *out_count,
                struct error *err)
{
    struct notifier *notifier = context;
    return letters_due(jobs_sql(notifier->jobs), out_ids, limit, out_count, err);
}

static enum crew_answer work(void *context, const char *id, struct error *err)
{
    struct notifier *notifier = context;
    struct letter letter;
    switch (letters_claim(jobs_sql(notifier->jobs), id, notifier->worker, &letter, err)) {
    case LETTERS_DONE:
        break;
    case LETTERS_NOT_YOURS:
        return CREW_NOT_OURS;
    case LETTERS_ERROR:
        return CREW_TROUBLE;
    }
    log_conversion(letter.conversion[0] != '\0' ? letter.conversion : NULL);
    bool is_noted = deliver(notifier, &letter, err);
    log_conversion(NULL);
    if (is_noted && !notifier_watch_may_try(&notifier->watch, clock_monotonic_ms(), err))
        is_noted = error_prefix(err, "mail");
    return is_noted ? CREW_WORKED : CREW_TROUBLE;
}

static enum crew_answer renew(struct jobs *jobs, const char *id, const char *claim,
                              int64_t progress_permille, struct error *err)
{
    (void)progress_permille;
    switch (letters_renew(jobs_sql(jobs), id, claim, err)) {
    case LETTERS_DONE:
        return CREW_WORKED;
    case LETTERS_NOT_YOURS:
        return CREW_NOT_OURS;
    case LETTERS_ERROR:
        break;
    }
    return CREW_TROUBLE;
}

// ---- the role ----

static void stop(void *state)
{
    struct notifier *notifier = state;
    crew_stop(notifier->crew);
    mail_close(notifier->check_mail);
    notifier_watch_finish(&notifier->watch);
    free(notifier);
}

// With a sender or a public URL that no mail can hold, each letter would bounce: so one is written
// on trial.
static bool take_sender(struct notifier *notifier, struct error *err)
{
    const char *from = notifier->config->mail_from;
    if (!mail_address(from, notifier->sender, sizeof notifier->sender))
        return error_set(err, ERROR_INVALID, "mail-from holds no address");
    char id[ID_SIZE], message_id[MESSAGE_ID_SIZE];
    id_new(id);
    name_message(notifier, id, message_id);
    SCOPED_BUF struct buf trial;
    buf_init(&trial, MESSAGE_LIMIT);
    const struct mail_message message = {.from = from,
                                         .to = notifier->sender,
                                         .subject = "",
                                         .message_id = message_id,
                                         .date_ms = clock_now_ms(),
                                         .body = notifier->public_url};
    return mail_message_write(&message, &trial, err) ||
           error_prefix(err, "mail-from or public-url");
}

static bool start(const struct config *config, void **out_state, struct error *err)
{
    struct notifier *notifier = alloc_zeroed(1, sizeof *notifier);
    notifier->config = config;
    notifier_watch_init(&notifier->watch);
    notifier_public_url(config->public_url, config->listen, notifier->public_url,
                        sizeof notifier->public_url);
    crew_worker_name(notifier->worker);
    if (!take_sender(notifier, err))
        goto fail;
    notifier->duty = (struct crew_duty){
        .topic = "mp3",
        .hint_names_work = false,
        .context = notifier,
        .prepare = prepare,
        .release = release,
        .due = due,
        .work = work,
        .renew = renew,
    };
    notifier->crew = crew_create(&notifier->duty, config->queue, config->jobs, err);
    if (notifier->crew == NULL || !crew_start(notifier->crew, err))
        goto fail;
    *out_state = notifier;
    return true;
fail:
    stop(notifier);
    return false;
}

static bool ask_mail(struct notifier *notifier, struct error *err)
{
    if (notifier->check_mail == NULL)
        notifier->check_mail = mail_open(notifier->config->mail, err);
    if (notifier->check_mail == NULL)
        return false;
    if (mail_ready(notifier->check_mail, notifier->sender, err))
        return true;
    mail_close(TAKE(notifier->check_mail));
    return false;
}

// Runs every two seconds; a mail server is not asked that often.
static bool check_mail(void *context, struct error *err)
{
    struct notifier *notifier = context;
    if (notifier_watch_is_fresh(&notifier->watch, clock_monotonic_ms()))
        return true;
    if (!notifier_watch_may_try(&notifier->watch, clock_monotonic_ms(), err))
        return false;
    bool is_ready = ask_mail(notifier, err);
    if (is_ready)
        notifier_watch_answered(&notifier->watch, clock_monotonic_ms());
    else
        notifier_watch_down(&notifier->watch, err->text, clock_monotonic_ms());
    return is_ready;
}

static size_t checks(void *state, struct http_admin_check *out, size_t limit)
{
    struct notifier *notifier = state;
    size_t count = crew_checks(notifier->crew, out, limit);
    if (count < limit)
        out[count++] =
            (struct http_admin_check){.name = "mail", .check = check_mail, .context = notifier};
    return count;
}

const struct role notifier_role = {
    .name = "notifier",
    .start = start,
    .checks = checks,
    .stop = stop,
};
