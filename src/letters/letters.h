#pragma once
// Letters: mails that have to be sent, as rows in the jobs database.
//
//     pending ─► sending ─► sent | pending (4xx: back-off, 48 h) | bounced (5xx) | gave_up |
//     cancelled
//
// Delivery is at least once: a second mail, with the same Message-ID, only where a process dies
// between the mail's acceptance and noting it (RFC 1047). Claims work as in jobs.h.

#include "base/error.h"
#include "base/id.h"
#include "sql/sql.h"
#include "sql/sql_migrate.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LETTER_RECIPIENT_SIZE = 255,
    LETTER_PARAMS_SIZE = 2048,
    LETTER_CLAIM_SIZE = 33,
    LETTER_LEASE_MS = 60000,
    LETTER_GIVE_UP_MS = 48 * 60 * 60 * 1000,
};

struct letter {
    char id[ID_SIZE];
    char conversion[ID_SIZE]; // "" for account letters
    char recipient[LETTER_RECIPIENT_SIZE];
    char kind[32];                   // "conversion_ready", "conversion_failed"
    char params[LETTER_PARAMS_SIZE]; // JSON; wiped when the letter is sent, it may hold a link
    int64_t attempt;
    int64_t created_at_ms;
    char traceparent[56];
    char claim[LETTER_CLAIM_SIZE];
};

extern const struct sql_migration letters_migrations[];
extern const size_t letters_migrations_count;

struct letters_new {
    const char *conversion; // NULL for none
    const char *dedupe;     // unique: the same letter is not written twice
    const char *recipient, *kind, *params, *traceparent;
};
// Inside the caller's transaction. A letter with that dedupe text is already there: fine.
bool letters_add(struct sql *sql, const struct letters_new *letter, struct error *err);
// pending or sending → cancelled for all letters of a conversion, inside the caller's transaction.
// A notifier that is just sending one finds out when it renews before the mail's final dot.
bool letters_cancel(struct sql *sql, const char *conversion, struct error *err);
// Rows that sleep longer than any back-off: the database's clock was set back. They are due within
// a minute. Each call is one statement a state.
bool letters_wake_sleepers(struct sql *sql, struct error *err);
// Removes all letters of a conversion, inside the caller's transaction.
bool letters_forget(struct sql *sql, const char *conversion, struct error *err);
// How many letters, written within the last `age_ms`, have a dedupe text that starts so.
bool letters_count(struct sql *sql, const char *dedupe_prefix, int64_t age_ms, int64_t *out,
                   struct error *err);

// A column for another module's SELECT: the state of the newest letter about the conversion whose
// id that column holds; NULL when there is none.
#define LETTERS_NEWEST_STATE(conversion_column_)                                                   \
    "(SELECT l.state FROM letter l WHERE l.conversion=" conversion_column_                         \
    " ORDER BY l.created_at DESC, l.id DESC LIMIT 1)"

enum letters_answer { LETTERS_DONE, LETTERS_NOT_YOURS, LETTERS_ERROR };

// Ids of letters that are due, oldest first: sending with an expired lease, then pending. A hint on
// the topic "mp3" names a conversion and means "some letter is due": the notifier asks here.
bool letters_due(struct sql *sql, char (*out_ids)[ID_SIZE], size_t limit, size_t *out_count,
                 struct error *err);
enum letters_answer letters_claim(struct sql *sql, const char *id, const char *worker,
                                  struct letter *out, struct error *err);
enum letters_answer letters_renew(struct sql *sql, const char *id, const char *claim,
                                  struct error *err);
enum letters_answer letters_sent(struct sql *sql, const struct letter *letter, const char *reply,
                                 struct error *err);
// 4xx, or the server did not answer: due again after min(1 min · 2^attempt, 1 h); gave_up past 48
// h.
enum letters_answer letters_postpone(struct sql *sql, const struct letter *letter,
                                     const char *reply, struct error *err);
enum letters_answer letters_bounced(struct sql *sql, const struct letter *letter, const char *reply,
                                    struct error *err);
enum letters_answer letters_give_back(struct sql *sql, const struct letter *letter,
                                      struct error *err);
