// What goes out about a conversion that has ended: its letters, and links that need no log-in.

#include "jobs/jobs_internal.h"
#include "security/sha256.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { LETTERS_AN_HOUR = 5, HOUR_MS = 60 * 60 * 1000, DEDUPE_SIZE = 96, LINKS_LIMIT = 100 };

bool jobs_add_link(struct sql *sql, const char *id, int64_t expires_at_ms,
                   char out_token[TOKEN_SIZE], struct error *err)
{
    token_new(out_token);
    char hash[JOBS_SHA256_SIZE];
    sha256_hex(out_token, strlen(out_token), hash);
    return sql_execute(
        sql, "INSERT INTO link (token_hash, conversion, expires_at) VALUES (?, ?, ?)",
        SQL_VALUES(SQL_TEXT(hash), SQL_TEXT(id), SQL_INTEGER(expires_at_ms)), NULL, err);
}

static bool note_count(const struct sql_row *row, void *context)
{
    *(int64_t *)context = sql_row_integer(row, 0);
    return true;
}

static bool count_links(struct jobs *jobs, const char *id, int64_t *out, struct error *err)
{
    return sql_query(jobs->durable, "SELECT COUNT(*) FROM link WHERE conversion=?",
                     SQL_VALUES(SQL_TEXT(id)), note_count, out, err);
}

// Two at once may pass the limit by one, which harms nobody.
bool jobs_link_create(struct jobs *jobs, const char *owner, const char *id, int64_t lifetime_ms,
                      char out_token[TOKEN_SIZE], struct error *err)
{
    struct conversion row;
    int64_t now_ms = 0, count = 0;
    if (!jobs_find(jobs, owner, id, &row, err) || !sql_now_ms(jobs->durable, &now_ms, err) ||
        !count_links(jobs, row.id, &count, err))
        return error_prefix(err, "create link");
    if (strcmp(row.state, "ready") != 0)
        return error_set(err, ERROR_CONFLICT, "the conversion is not ready");
    if (count >= LINKS_LIMIT)
        return error_set(err, ERROR_TOO_LARGE, "the conversion has %d links", LINKS_LIMIT);
    return jobs_add_link(jobs->durable, id, now_ms + lifetime_ms, out_token, err) ||
           error_prefix(err, "create link");
}

bool jobs_link_find(struct jobs *jobs, const char *token, struct conversion *out, struct error *err)
{
    char hash[JOBS_SHA256_SIZE];
    sha256_hex(token, strlen(token), hash);
    struct jobs_rows rows = {.items = out, .limit = 1};
    if (!sql_query(jobs->durable,
                   JOBS_SELECT " WHERE c.state='ready' AND c.id=(SELECT k.conversion FROM link k"
                               " WHERE k.token_hash=? AND k.expires_at>{now})",
                   SQL_VALUES(SQL_TEXT(hash)), jobs_collect_row, &rows, err))
        return error_prefix(err, "find link");
    return rows.count == 1 || error_set(err, ERROR_NOT_FOUND, "no such link");
}

static bool write_params(const json_t *params, char out[LETTER_PARAMS_SIZE], struct error *err)
{
    size_t size = json_dumpb(params, out, LETTER_PARAMS_SIZE - 1, JSON_COMPACT);
    if (!params || size == 0 || size >= LETTER_PARAMS_SIZE)
        return error_set(err, ERROR_INTERNAL, "a letter's parameters do not fit");
    out[size] = '\0';
    return true;
}

static bool add_letter(struct sql *sql, const struct conversion *row, const char *dedupe,
                       json_t *params, struct error *err)
{
    char text[LETTER_PARAMS_SIZE];
    bool is_ready = strcmp(row->state, "ready") == 0;
    bool is_written = write_params(params, text, err);
    json_decref(params);
    struct letters_new letter = {
        .conversion = row->id,
        .dedupe = dedupe,
        .recipient = row->owner_email,
        .kind = is_ready ? "conversion_ready" : "conversion_failed",
        .params = text,
        .traceparent = row->traceparent,
    };
    return is_written && letters_add(sql, &letter, err);
}

bool jobs_add_letter(struct sql *sql, const char *id, const char *dedupe, struct error *err)
{
    struct conversion row;
    if (!jobs_load(sql, id, &row, err))
        return false;
    if (row.owner_email[0] == '\0')
        return true;
    if (strcmp(row.state, "ready") != 0)
        return add_letter(sql, &row, dedupe,
                          json_pack("{s:s, s:s, s:s}", "name", row.name, "code", row.error_code,
                                    "detail", row.error_detail),
                          err);
    char token[TOKEN_SIZE];
    return jobs_add_link(sql, id, row.expires_at_ms, token, err) &&
           add_letter(sql, &row, dedupe,
                      json_pack("{s:s, s:s, s:I, s:I, s:I}", "name", row.name, "link_token", token,
                                "duration_ms", (json_int_t)row.duration_ms, "audio_bytes",
                                (json_int_t)row.audio_bytes, "expires_at_ms",
                                (json_int_t)row.expires_at_ms),
                      err);
}

bool jobs_add_ending_letter(struct sql *sql, const char *id, int64_t attempt, struct error *err)
{
    char dedupe[DEDUPE_SIZE];
    snprintf(dedupe, sizeof dedupe, "%s/end/%lld", id, (long long)attempt);
    return jobs_add_letter(sql, id, dedupe, err);
}

struct again {
    const char *owner, *id, *dedupe, *prefix;
};

static bool again_body(struct sql *sql, void *context, struct error *err)
{
    const struct again *again = context;
    // Touched first, so that requests side by side are counted one after the other.
    int64_t matched = 0;
    if (!sql_execute(
            sql,
            "UPDATE conversion SET owner=? WHERE id=? AND owner=?"
            " AND state IN ('ready', 'failed')",
            SQL_VALUES(SQL_TEXT(again->owner), SQL_TEXT(again->id), SQL_TEXT(again->owner)),
            &matched, err))
        return false;
    if (matched == 0)
        return error_set(err, ERROR_CONFLICT, "the conversion has not ended");
    int64_t count = 0;
    if (!letters_count(sql, again->prefix, HOUR_MS, &count, err))
        return false;
    if (count >= LETTERS_AN_HOUR)
        return error_set(err, ERROR_CONFLICT, "%d letters were asked for within an hour",
                         LETTERS_AN_HOUR);
    return jobs_add_letter(sql, again->id, again->dedupe, err);
}

bool jobs_letter_again(struct jobs *jobs, const char *owner, const char *id, struct error *err)
{
    struct conversion row;
    if (!jobs_find(jobs, owner, id, &row, err))
        return false;
    char letter_id[ID_SIZE];
    id_new(letter_id);
    char prefix[DEDUPE_SIZE], dedupe[DEDUPE_SIZE];
    snprintf(prefix, sizeof prefix, "%s/again/", row.id);
    snprintf(dedupe, sizeof dedupe, "%s/again/%s", row.id, letter_id);
    struct again again = {.owner = owner, .id = row.id, .dedupe = dedupe, .prefix = prefix};
    return sql_transaction(jobs->durable, again_body, &again, err);
}
