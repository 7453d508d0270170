// Reading: one conversion, lists, changes, figures, the event log.

#include "base/text.h"
#include "jobs/jobs_internal.h"

#include <string.h>

bool jobs_find(struct jobs *jobs, const char *owner, const char *id, struct conversion *out,
               struct error *err)
{
    struct jobs_rows rows = {.items = out, .limit = 1};
    if (!sql_query(jobs->durable,
                   JOBS_SELECT " WHERE c.id=? AND c.owner=? AND c.state<>'deleting'"
                               " AND c.state<>'deleted'",
                   SQL_VALUES(SQL_TEXT(id), SQL_TEXT(owner)), jobs_collect_row, &rows, err))
        return error_prefix(err, "find conversion");
    return rows.count == 1 || error_set(err, ERROR_NOT_FOUND, "no such conversion");
}

bool jobs_list(struct jobs *jobs, const char *owner, const char *before, size_t limit,
               struct conversion *out, size_t *out_count, int64_t *out_as_of_ms, struct error *err)
{
    struct jobs_rows rows = {.items = out, .limit = limit};
    // The clock first: whatever changes behind it, the caller can ask for with jobs_changed.
    if (!sql_now_ms(jobs->durable, out_as_of_ms, err) ||
        !sql_query(jobs->durable,
                   JOBS_SELECT " WHERE c.owner=? AND c.id<? AND c.state<>'receiving'"
                               " AND c.state<>'deleting' AND c.state<>'deleted'"
                               " ORDER BY c.id DESC LIMIT ?",
                   SQL_VALUES(SQL_TEXT(owner), SQL_TEXT(before ? before : "~"),
                              SQL_INTEGER((int64_t)limit)),
                   jobs_collect_row, &rows, err))
        return error_prefix(err, "list conversions");
    *out_count = rows.count;
    return true;
}

struct changes {
    bool (*each)(const struct conversion *conversion, void *context);
    void *context;
};

static bool hand_over(const struct sql_row *row, void *context)
{
    struct changes *changes = context;
    struct conversion conversion;
    jobs_read_row(row, &conversion);
    return changes->each(&conversion, changes->context);
}

bool jobs_changed(struct jobs *jobs, const char *owner, int64_t since_ms,
                  bool (*each)(const struct conversion *conversion, void *context), void *context,
                  struct error *err)
{
    struct changes changes = {.each = each, .context = context};
    bool is_read =
        owner ? sql_query(jobs->durable,
                          JOBS_SELECT " WHERE c.owner=? AND c.updated_at>? AND c.state<>'receiving'"
                                      " ORDER BY c.updated_at",
                          SQL_VALUES(SQL_TEXT(owner), SQL_INTEGER(since_ms)), hand_over, &changes,
                          err)
              : sql_query(jobs->durable,
                          JOBS_SELECT " WHERE c.updated_at>? AND c.state<>'receiving'"
                                      " ORDER BY c.updated_at",
                          SQL_VALUES(SQL_INTEGER(since_ms)), hand_over, &changes, err);
    return is_read || error_prefix(err, "read changes");
}

static bool read_count(const struct sql_row *row, void *context)
{
    struct jobs_count *count = context;
    count->count = sql_row_integer(row, 0);
    int64_t overdue_ms = sql_row_integer(row, 1);
    count->oldest_due_ms = overdue_ms > 0 ? overdue_ms : 0;
    return false;
}

static bool count_states(struct jobs *jobs, const char *statement, const char *const *states,
                         size_t states_count, struct jobs_count *out, struct error *err)
{
    for (size_t i = 0; i < states_count; i++) {
        out[i] = (struct jobs_count){.state = states[i]};
        if (!sql_query(jobs->durable, statement,
                       SQL_VALUES(SQL_TEXT(states[i]), SQL_INTEGER(JOBS_COUNT_LIMIT)), read_count,
                       &out[i], err))
            return error_prefix(err, "count rows");
    }
    return true;
}

// Both read nothing but the index of state and wake_at.
bool jobs_counts(struct jobs *jobs, struct jobs_count out[JOBS_STATES], struct error *err)
{
    static const char *const states[JOBS_STATES] = {"receiving", "queued",   "converting", "ready",
                                                    "failed",    "deleting", "deleted"};
    return count_states(jobs,
                        "SELECT COUNT(*), {now}-MIN(wake_at) FROM (SELECT wake_at FROM conversion"
                        " WHERE state=? ORDER BY wake_at LIMIT ?) counted",
                        states, JOBS_STATES, out, err);
}

bool jobs_letter_counts(struct jobs *jobs, struct jobs_count out[JOBS_LETTER_STATES],
                        struct error *err)
{
    static const char *const states[JOBS_LETTER_STATES] = {"pending", "sending"};
    return count_states(jobs,
                        "SELECT COUNT(*), {now}-MIN(wake_at) FROM (SELECT wake_at FROM letter"
                        " WHERE state=? ORDER BY wake_at LIMIT ?) counted",
                        states, JOBS_LETTER_STATES, out, err);
}

struct event_list {
    struct jobs_event *items;
    size_t limit, count;
};

static bool collect_event(const struct sql_row *row, void *context)
{
    struct event_list *list = context;
    if (list->count == list->limit)
        return false;
    struct jobs_event *event = &list->items[list->count++];
    event->revision = sql_row_integer(row, 0);
    sql_row_copy(row, 1, event->from_state, sizeof event->from_state);
    sql_row_copy(row, 2, event->to_state, sizeof event->to_state);
    event->attempt = sql_row_integer(row, 3);
    sql_row_copy(row, 4, event->actor, sizeof event->actor);
    event->at_ms = sql_row_integer(row, 5);
    return true;
}

bool jobs_events(struct jobs *jobs, const char *id, struct jobs_event *out, size_t limit,
                 size_t *out_count, struct error *err)
{
    struct event_list list = {.items = out, .limit = limit};
    if (!sql_query(jobs->durable,
                   "SELECT revision, from_state, to_state, attempt, actor, happened_at FROM event"
                   " WHERE conversion=? ORDER BY revision LIMIT ?",
                   SQL_VALUES(SQL_TEXT(id), SQL_INTEGER((int64_t)limit)), collect_event, &list,
                   err))
        return error_prefix(err, "read events");
    *out_count = list.count;
    return true;
}

static bool is_garbage(const struct conversion *row, const char *blob_key)
{
    if (strcmp(row->state, "deleting") == 0 || strcmp(row->state, "deleted") == 0)
        return true;
    if (strcmp(row->source_key, blob_key) == 0 || strcmp(row->audio_key, blob_key) == 0)
        return false;
    if (text_starts_with(blob_key, "source/"))
        return true;
    const char *slash = strrchr(blob_key, '/');
    int64_t attempt = 0;
    if (!text_starts_with(blob_key, "audio/") || !slash ||
        !text_parse_integer(slash + 1, 1, INT64_MAX, &attempt))
        return false;
    // The present attempt is still at work on its blob. An attempt that the row has not seen yet
    // means that the database lost its tail: the blob may be all that is left of what was accepted.
    bool is_running = strcmp(row->state, "converting") == 0;
    return attempt < row->attempt || (attempt == row->attempt && !is_running);
}

bool jobs_blob_is_garbage(struct jobs *jobs, const char *id, const char *blob_key, bool *out_known,
                          bool *out_is_garbage, struct error *err)
{
    struct conversion row;
    struct error lookup = {0};
    *out_known = jobs_load(jobs->durable, id, &row, &lookup);
    *out_is_garbage = *out_known && is_garbage(&row, blob_key);
    if (*out_known || lookup.kind == ERROR_NOT_FOUND)
        return true;
    *err = lookup;
    return error_prefix(err, "look up the row of a blob");
}
