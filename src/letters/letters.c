#include "letters/letters.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

enum {
    REPLY_SIZE = 240,
    WORKER_SIZE = 64,
    FIRST_BACK_OFF_MS = 60000,
    LONGEST_BACK_OFF_MS = 3600000
};

bool letters_add(struct sql *sql, const struct letters_new *letter, struct error *err)
{
    char id[ID_SIZE];
    id_new(id);
    struct error refusal = {0};
    bool added = sql_execute(
        sql,
        "INSERT INTO letter (id, dedupe, conversion, recipient, kind, params, state, wake_at,"
        " worker, attempt, last_reply, traceparent, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, 'pending', {now}, '', 0, '', ?, {now}, {now})",
        SQL_VALUES(SQL_TEXT(id), SQL_TEXT(letter->dedupe), SQL_TEXT(letter->conversion),
                   SQL_TEXT(letter->recipient), SQL_TEXT(letter->kind), SQL_TEXT(letter->params),
                   SQL_TEXT(letter->traceparent ? letter->traceparent : "")),
        NULL, &refusal);
    if (added || refusal.kind == ERROR_CONFLICT)
        return true;
    *err = refusal;
    return error_prefix(err, "write letter");
}

bool letters_cancel(struct sql *sql, const char *conversion, struct error *err)
{
    return sql_execute(sql,
                       "UPDATE letter SET state='cancelled', params='', wake_at=NULL, claim=NULL,"
                       " updated_at={now}"
                       " WHERE conversion=? AND state IN ('pending', 'sending')",
                       SQL_VALUES(SQL_TEXT(conversion)), NULL, err);
}

bool letters_wake_sleepers(struct sql *sql, struct error *err)
{
    static const char *const states[] = {"pending", "sending"};
    for (size_t i = 0; i < 2; i++)
        if (!sql_execute(sql, "UPDATE letter SET wake_at={now}+? WHERE state=? AND wake_at>{now}+?",
                         SQL_VALUES(SQL_INTEGER(LETTER_LEASE_MS), SQL_TEXT(states[i]),
                                    SQL_INTEGER(LONGEST_BACK_OFF_MS)),
                         NULL, err))
            return error_prefix(err, "wake sleeping letters");
    return true;
}

bool letters_forget(struct sql *sql, const char *conversion, struct error *err)
{
    return sql_execute(sql, "DELETE FROM letter WHERE conversion=?",
                       SQL_VALUES(SQL_TEXT(conversion)), NULL, err);
}

static bool read_integer(const struct sql_row *row, void *context)
{
    *(int64_t *)context = sql_row_integer(row, 0);
    return false;
}

bool letters_count(struct sql *sql, const char *dedupe_prefix, int64_t age_ms, int64_t *out,
                   struct error *err)
{
    char end[128]; // '~' sorts behind all that a dedupe text is made of
    snprintf(end, sizeof end, "%s~", dedupe_prefix);
    *out = 0;
    return sql_query(sql,
                     "SELECT COUNT(*) FROM letter WHERE dedupe>=? AND dedupe<?"
                     " AND created_at>{now}-?",
                     SQL_VALUES(SQL_TEXT(dedupe_prefix), SQL_TEXT(end), SQL_INTEGER(age_ms)),
                     read_integer, out, err);
}

struct id_list {
    char (*ids)[ID_SIZE];
    size_t limit, count;
};

static bool read_id(const struct sql_row *row, void *context)
{
    struct id_list *list = context;
    if (list->count < list->limit)
        sql_row_copy(row, 0, list->ids[list->count++], ID_SIZE);
    return list->count < list->limit;
}

bool letters_due(struct sql *sql, char (*out_ids)[ID_SIZE], size_t limit, size_t *out_count,
                 struct error *err)
{
    struct id_list list = {.ids = out_ids, .limit = limit};
    // Expired leases first: they are few, and pending letters may never come to an end.
    static const char *const states[] = {"sending", "pending"};
    for (size_t i = 0; i < 2 && list.count < limit; i++) {
        if (!sql_query(sql,
                       "SELECT id FROM letter WHERE state=? AND wake_at<={now}"
                       " ORDER BY wake_at LIMIT ?",
                       SQL_VALUES(SQL_TEXT(states[i]), SQL_INTEGER((int64_t)(limit - list.count))),
                       read_id, &list, err))
            return error_prefix(err, "look for due letters");
    }
    *out_count = list.count;
    return true;
}

struct found_letter {
    struct letter *letter;
    bool is_found;
};

static bool read_letter(const struct sql_row *row, void *context)
{
    struct found_letter *found = context;
    struct letter *letter = found->letter;
    sql_row_copy(row, 0, letter->id, sizeof letter->id);
    sql_row_copy(row, 1, letter->conversion, sizeof letter->conversion);
    sql_row_copy(row, 2, letter->recipient, sizeof letter->recipient);
    sql_row_copy(row, 3, letter->kind, sizeof letter->kind);
    sql_row_copy(row, 4, letter->params, sizeof letter->params);
    letter->attempt = sql_row_integer(row, 5);
    letter->created_at_ms = sql_row_integer(row, 6);
    sql_row_copy(row, 7, letter->traceparent, sizeof letter->traceparent);
    sql_row_copy(row, 8, letter->claim, sizeof letter->claim);
    found->is_found = true;
    return false;
}

static enum letters_answer find_claimed(struct sql *sql, const char *id, const char *claim,
                                        struct letter *out, struct error *err)
{
    struct found_letter found = {.letter = out};
    if (!sql_query(sql,
                   "SELECT id, conversion, recipient, kind, params, attempt, created_at,"
                   " traceparent, claim FROM letter WHERE id=? AND state='sending' AND claim=?",
                   SQL_VALUES(SQL_TEXT(id), SQL_TEXT(claim)), read_letter, &found, err))
        return LETTERS_ERROR;
    return found.is_found ? LETTERS_DONE : LETTERS_NOT_YOURS;
}

// A letter whose sender dies each time would otherwise be sent for ever.
static bool give_up_stale(struct sql *sql, const char *id, struct error *err)
{
    return sql_execute(sql,
                       "UPDATE letter SET state='gave_up', params='', wake_at=NULL, claim=NULL,"
                       " updated_at={now} WHERE id=? AND state='sending' AND wake_at<={now}"
                       " AND created_at<={now}-?",
                       SQL_VALUES(SQL_TEXT(id), SQL_INTEGER(LETTER_GIVE_UP_MS)), NULL, err);
}

enum letters_answer letters_claim(struct sql *sql, const char *id, const char *worker,
                                  struct letter *out, struct error *err)
{
    char claim[LETTER_CLAIM_SIZE];
    unsigned char random[(LETTER_CLAIM_SIZE - 1) / 2];
    random_bytes(random, sizeof random);
    text_hex(random, sizeof random, claim);
    char short_worker[WORKER_SIZE];
    text_copy(short_worker, sizeof short_worker, worker);

    int64_t matched = 0;
    struct error failure = {0};
    bool is_answered = sql_execute(
        sql,
        "UPDATE letter SET state='sending', claim=?, worker=?, attempt=attempt+1,"
        " wake_at={now}+?, updated_at={now}"
        " WHERE id=? AND wake_at<={now}"
        " AND (state='pending' OR (state='sending' AND created_at>{now}-?))",
        SQL_VALUES(SQL_TEXT(claim), SQL_TEXT(short_worker), SQL_INTEGER(LETTER_LEASE_MS),
                   SQL_TEXT(id), SQL_INTEGER(LETTER_GIVE_UP_MS)),
        &matched, &failure);
    if (is_answered && matched == 0)
        return give_up_stale(sql, id, err) ? LETTERS_NOT_YOURS : LETTERS_ERROR;
    enum letters_answer answer = find_claimed(sql, id, claim, out, err);
    if (is_answered || answer == LETTERS_DONE)
        return answer;
    *err = failure; // the claim may or may not have happened; its lease will end
    return LETTERS_ERROR;
}

enum letters_answer letters_renew(struct sql *sql, const char *id, const char *claim,
                                  struct error *err)
{
    int64_t matched = 0;
    if (!sql_execute(
            sql, "UPDATE letter SET wake_at={now}+? WHERE id=? AND state='sending' AND claim=?",
            SQL_VALUES(SQL_INTEGER(LETTER_LEASE_MS), SQL_TEXT(id), SQL_TEXT(claim)), &matched, err))
        return LETTERS_ERROR;
    return matched == 1 ? LETTERS_DONE : LETTERS_NOT_YOURS;
}

static bool read_flag(const struct sql_row *row, void *context)
{
    (void)row;
    *(bool *)context = true;
    return false;
}

// Runs an UPDATE that leaves `sending`. A row keeps the claim of whoever ended it, so an answer
// that was lost, or a second call, can be told from a row that somebody else has taken.
static enum letters_answer end_claim(struct sql *sql, const struct letter *letter,
                                     const char *to_state, const char *statement,
                                     struct sql_values values, struct error *err)
{
    int64_t matched = 0;
    struct error failure = {0};
    bool is_answered = sql_execute(sql, statement, values, &matched, &failure);
    if (is_answered && matched == 1)
        return LETTERS_DONE;
    bool is_ended = false;
    if (!sql_query(sql, "SELECT id FROM letter WHERE id=? AND claim=? AND state=?",
                   SQL_VALUES(SQL_TEXT(letter->id), SQL_TEXT(letter->claim), SQL_TEXT(to_state)),
                   read_flag, &is_ended, err))
        return LETTERS_ERROR;
    if (is_ended)
        return LETTERS_DONE;
    if (is_answered)
        return LETTERS_NOT_YOURS;
    *err = failure;
    return LETTERS_ERROR;
}

static enum letters_answer end_for_good(struct sql *sql, const struct letter *letter,
                                        const char *state, const char *reply, struct error *err)
{
    char text[REPLY_SIZE];
    text_clean(text, sizeof text, reply ? reply : "", reply ? strlen(reply) : 0);
    return end_claim(
        sql, letter, state,
        "UPDATE letter SET state=?, params='', wake_at=NULL, last_reply=?,"
        " updated_at={now} WHERE id=? AND state='sending' AND claim=?",
        SQL_VALUES(SQL_TEXT(state), SQL_TEXT(text), SQL_TEXT(letter->id), SQL_TEXT(letter->claim)),
        err);
}

enum letters_answer letters_sent(struct sql *sql, const struct letter *letter, const char *reply,
                                 struct error *err)
{
    return end_for_good(sql, letter, "sent", reply, err);
}

enum letters_answer letters_bounced(struct sql *sql, const struct letter *letter, const char *reply,
                                    struct error *err)
{
    return end_for_good(sql, letter, "bounced", reply, err);
}

static int64_t back_off_ms(int64_t attempt)
{
    int64_t wait_ms = FIRST_BACK_OFF_MS;
    for (int64_t i = 0; i < attempt && wait_ms < LONGEST_BACK_OFF_MS; i++)
        wait_ms *= 2;
    return wait_ms < LONGEST_BACK_OFF_MS ? wait_ms : LONGEST_BACK_OFF_MS;
}

enum letters_answer letters_postpone(struct sql *sql, const struct letter *letter,
                                     const char *reply, struct error *err)
{
    int64_t now_ms = 0;
    if (!sql_now_ms(sql, &now_ms, err))
        return LETTERS_ERROR;
    if (now_ms - letter->created_at_ms >= LETTER_GIVE_UP_MS)
        return end_for_good(sql, letter, "gave_up", reply, err);
    char text[REPLY_SIZE];
    text_clean(text, sizeof text, reply ? reply : "", reply ? strlen(reply) : 0);
    return end_claim(sql, letter, "pending",
                     "UPDATE letter SET state='pending', wake_at={now}+?, last_reply=?,"
                     " updated_at={now} WHERE id=? AND state='sending' AND claim=?",
                     SQL_VALUES(SQL_INTEGER(back_off_ms(letter->attempt)), SQL_TEXT(text),
                                SQL_TEXT(letter->id), SQL_TEXT(letter->claim)),
                     err);
}

enum letters_answer letters_give_back(struct sql *sql, const struct letter *letter,
                                      struct error *err)
{
    return end_claim(sql, letter, "pending",
                     "UPDATE letter SET state='pending', wake_at={now}, attempt=attempt-1,"
                     " updated_at={now} WHERE id=? AND state='sending' AND claim=?",
                     SQL_VALUES(SQL_TEXT(letter->id), SQL_TEXT(letter->claim)), err);
}
