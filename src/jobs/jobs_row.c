// Reading rows, and the one way a state changes.

#include "base/text.h"
#include "jobs/jobs_internal.h"

#include <string.h>

// In the order of JOBS_SELECT.
void jobs_read_row(const struct sql_row *row, struct conversion *out)
{
    int column = 0;
#define COPY(field) sql_row_copy(row, column++, out->field, sizeof out->field)
#define NUMBER(field) out->field = sql_row_integer(row, column++)
    COPY(id);
    COPY(owner);
    COPY(owner_email);
    COPY(name);
    COPY(options);
    COPY(state);
    COPY(worker);
    NUMBER(attempt);
    NUMBER(failures);
    NUMBER(crashes);
    NUMBER(progress_permille);
    COPY(source_key);
    NUMBER(source_bytes);
    COPY(source_sha256);
    COPY(audio_key);
    NUMBER(audio_bytes);
    COPY(audio_sha256);
    NUMBER(duration_ms);
    COPY(error_code);
    COPY(error_detail);
    COPY(idempotency_key);
    COPY(traceparent);
    NUMBER(wake_at_ms);
    NUMBER(created_at_ms);
    NUMBER(updated_at_ms);
    NUMBER(expires_at_ms);
    NUMBER(revision);
    COPY(mail_state);
#undef COPY
#undef NUMBER
}

bool jobs_collect_row(const struct sql_row *row, void *rows)
{
    struct jobs_rows *list = rows;
    if (list->count < list->limit)
        jobs_read_row(row, &list->items[list->count++]);
    return list->count < list->limit;
}

bool jobs_collect_id(const struct sql_row *row, void *ids)
{
    struct jobs_ids *list = ids;
    if (list->count < list->limit)
        sql_row_copy(row, 0, list->items[list->count++], ID_SIZE);
    return list->count < list->limit;
}

bool jobs_collect_integer(const struct sql_row *row, void *out)
{
    *(int64_t *)out = sql_row_integer(row, 0);
    return false;
}

bool jobs_load(struct sql *sql, const char *id, struct conversion *out, struct error *err)
{
    struct jobs_rows rows = {.items = out, .limit = 1};
    if (!sql_query(sql, JOBS_SELECT " WHERE c.id=?", SQL_VALUES(SQL_TEXT(id)), jobs_collect_row,
                   &rows, err))
        return false;
    return rows.count == 1 || error_set(err, ERROR_NOT_FOUND, "no conversion %.26s", id);
}

bool jobs_add_event(struct sql *sql, const char *id, const char *actor, struct error *err)
{
    char short_actor[JOBS_WORKER_SIZE];
    text_copy(short_actor, sizeof short_actor, actor);
    return sql_execute(
        sql,
        "INSERT INTO event (conversion, revision, from_state, to_state, attempt, actor,"
        " happened_at) SELECT id, revision, previous_state, state, attempt, ?, updated_at"
        " FROM conversion WHERE id=?",
        SQL_VALUES(SQL_TEXT(short_actor), SQL_TEXT(id)), NULL, err);
}

bool jobs_change(struct sql *sql, const char *id, const char *update, struct sql_values values,
                 const char *actor, bool *out_changed, struct error *err)
{
    int64_t matched = 0;
    *out_changed = false;
    if (!sql_execute(sql, update, values, &matched, err))
        return false;
    *out_changed = matched == 1;
    return matched == 0 || jobs_add_event(sql, id, actor, err);
}

bool jobs_silence(struct sql *sql, const char *id, struct error *err)
{
    return letters_cancel(sql, id, err) && sql_execute(sql, "DELETE FROM link WHERE conversion=?",
                                                       SQL_VALUES(SQL_TEXT(id)), NULL, err);
}

void jobs_clean(char *out, size_t out_size, const char *text)
{
    text_clean(out, out_size, text ? text : "", text ? strlen(text) : 0);
}
