// The gateway's side of an upload: a place is reserved before the first byte and becomes a queued
// conversion after the last one is durable.

#include "jobs/jobs_internal.h"

#include <string.h>

enum { IDEMPOTENCY_MS = 24 * 60 * 60 * 1000 };

// Announced bytes while receiving; then whatever is still stored.
static const char usage_query[] =
    "SELECT COALESCE(SUM(CASE WHEN source_key<>'' THEN source_bytes ELSE 0 END), 0)"
    " + COALESCE(SUM(CASE WHEN audio_key<>'' THEN audio_bytes ELSE 0 END), 0),"
    " COALESCE(SUM(CASE WHEN state IN ('receiving', 'queued', 'converting') THEN 1 ELSE 0 END), 0)"
    " FROM conversion WHERE owner=? AND state<>'deleting' AND state<>'deleted'";

static bool read_usage(const struct sql_row *row, void *context)
{
    struct jobs_usage *usage = context;
    usage->bytes = sql_row_integer(row, 0);
    usage->unfinished = sql_row_integer(row, 1);
    return false;
}

static bool query_usage(struct sql *sql, const char *owner, struct jobs_usage *out,
                        struct error *err)
{
    *out = (struct jobs_usage){0};
    return sql_query(sql, usage_query, SQL_VALUES(SQL_TEXT(owner)), read_usage, out, err);
}

bool jobs_usage(struct jobs *jobs, const char *owner, struct jobs_usage *out, struct error *err)
{
    return query_usage(jobs->durable, owner, out, err) || error_prefix(err, "sum up usage");
}

struct begin {
    const struct jobs_upload *upload;
    const struct jobs_limits *limits;
    struct conversion *existing;
    enum jobs_begin outcome;
};

// From here to the end of the transaction nobody else counts this owner's rows.
static bool lock_owner(struct sql *sql, const char *owner, struct error *err)
{
    static const char touch[] = "UPDATE uploader SET seen_at={now} WHERE owner=?";
    int64_t matched = 0;
    if (!sql_execute(sql, touch, SQL_VALUES(SQL_TEXT(owner)), &matched, err))
        return false;
    if (matched == 1)
        return true;
    struct error refusal = {0};
    if (sql_execute(sql, "INSERT INTO uploader (owner, seen_at) VALUES (?, {now})",
                    SQL_VALUES(SQL_TEXT(owner)), NULL, &refusal))
        return true;
    if (refusal.kind == ERROR_CONFLICT)
        return sql_execute(sql, touch, SQL_VALUES(SQL_TEXT(owner)), NULL, err);
    *err = refusal;
    return false;
}

static bool find_same_key(struct sql *sql, const struct jobs_upload *upload, struct conversion *out,
                          bool *out_is_found, struct error *err)
{
    struct jobs_rows rows = {.items = out, .limit = 1};
    if (!sql_query(sql, JOBS_SELECT " WHERE c.owner=? AND c.idempotency_key=?",
                   SQL_VALUES(SQL_TEXT(upload->owner), SQL_TEXT(upload->idempotency_key)),
                   jobs_collect_row, &rows, err))
        return false;
    *out_is_found = rows.count == 1;
    return true;
}

static bool insert_receiving(struct sql *sql, const struct jobs_upload *upload, struct error *err)
{
    char name[JOBS_NAME_SIZE];
    jobs_clean(name, sizeof name, upload->name);
    struct sql_value until = upload->idempotency_key ? SQL_INTEGER(IDEMPOTENCY_MS) : SQL_NULL;
    return sql_execute(
               sql,
               "INSERT INTO conversion (id, owner, owner_email, name, options, state,"
               " previous_state, wake_at, worker, attempt, failures, crashes, progress_permille,"
               " source_key, source_bytes, source_sha256, audio_key, audio_bytes, audio_sha256,"
               " duration_ms, error_code, error_detail, idempotency_key, idempotency_until,"
               " traceparent, created_at, updated_at, expires_at, revision)"
               " VALUES (?, ?, ?, ?, ?, 'receiving', '', {now}+?, '', 0, 0, 0, 0, ?, ?, '', '', 0,"
               " '', 0, '', '', ?, {now}+?, ?, {now}, {now}, 0, 1)",
               SQL_VALUES(SQL_TEXT(upload->id), SQL_TEXT(upload->owner),
                          SQL_TEXT(upload->owner_email ? upload->owner_email : ""), SQL_TEXT(name),
                          SQL_TEXT(upload->options ? upload->options : "{}"),
                          SQL_INTEGER(upload->deadline_ms), SQL_TEXT(upload->source_key),
                          SQL_INTEGER(upload->announced_bytes), SQL_TEXT(upload->idempotency_key),
                          until, SQL_TEXT(upload->traceparent ? upload->traceparent : "")),
               NULL, err) &&
           jobs_add_event(sql, upload->id, "owner", err);
}

static bool begin_body(struct sql *sql, void *context, struct error *err)
{
    struct begin *begin = context;
    const struct jobs_upload *upload = begin->upload;
    begin->outcome = JOBS_BEGIN_FAILED;
    if (!lock_owner(sql, upload->owner, err))
        return false;
    bool is_same = false;
    if (upload->idempotency_key && !find_same_key(sql, upload, begin->existing, &is_same, err))
        return false;
    if (is_same) {
        bool is_running = strcmp(begin->existing->state, "receiving") == 0;
        begin->outcome = is_running ? JOBS_SAME_RUNNING : JOBS_SAME_FINISHED;
        return true;
    }
    struct jobs_usage usage;
    if (!query_usage(sql, upload->owner, &usage, err))
        return false;
    if (usage.unfinished >= begin->limits->user_unfinished) {
        begin->outcome = JOBS_OVER_UNFINISHED;
        return true;
    }
    if (upload->announced_bytes > begin->limits->user_bytes - usage.bytes) {
        begin->outcome = JOBS_OVER_BYTES;
        return true;
    }
    if (!insert_receiving(sql, upload, err))
        return false;
    begin->outcome = JOBS_BEGUN;
    return true;
}

enum jobs_begin jobs_upload_begin(struct jobs *jobs, const struct jobs_upload *upload,
                                  const struct jobs_limits *limits, struct conversion *out_existing,
                                  struct error *err)
{
    struct conversion ignored;
    struct begin begin = {
        .upload = upload,
        .limits = limits,
        .existing = out_existing ? out_existing : &ignored,
    };
    struct error failure = {0};
    if (sql_transaction(jobs->durable, begin_body, &begin, &failure))
        return begin.outcome;
    // The COMMIT may have happened although its answer did not arrive.
    struct conversion row;
    struct error lookup = {0};
    if (failure.kind != ERROR_CONFLICT && jobs_load(jobs->durable, upload->id, &row, &lookup) &&
        strcmp(row.owner, upload->owner) == 0 && strcmp(row.state, "receiving") == 0)
        return JOBS_BEGUN;
    *err = failure;
    error_prefix(err, "begin upload");
    return JOBS_BEGIN_FAILED;
}

struct upload_end {
    const char *id, *name, *options, *sha256;
    int64_t bytes;
    bool is_changed;
};

static bool commit_body(struct sql *sql, void *context, struct error *err)
{
    struct upload_end *commit = context;
    return jobs_change(sql, commit->id,
                       JOBS_CHANGE ", state='queued', wake_at={now}, name=COALESCE(?, name),"
                                   " options=COALESCE(?, options), source_bytes=?, source_sha256=?"
                                   " WHERE id=? AND state='receiving'",
                       SQL_VALUES(SQL_TEXT(commit->name), SQL_TEXT(commit->options),
                                  SQL_INTEGER(commit->bytes), SQL_TEXT(commit->sha256),
                                  SQL_TEXT(commit->id)),
                       "owner", &commit->is_changed, err);
}

// The blob was committed, so any state behind `receiving` but for the removed ones means: accepted.
static bool is_accepted(const struct conversion *row)
{
    return strcmp(row->state, "receiving") != 0 && strcmp(row->state, "deleting") != 0 &&
           strcmp(row->state, "deleted") != 0;
}

bool jobs_upload_commit(struct jobs *jobs, const char *id, const char *name, const char *options,
                        int64_t bytes, const char *sha256, struct conversion *out,
                        struct error *err)
{
    char clean_name[JOBS_NAME_SIZE];
    jobs_clean(clean_name, sizeof clean_name, name);
    struct upload_end commit = {
        .id = id,
        .name = name ? clean_name : NULL,
        .options = options,
        .sha256 = sha256,
        .bytes = bytes,
    };
    struct error failure = {0};
    bool is_answered = sql_transaction(jobs->durable, commit_body, &commit, &failure);
    struct conversion row;
    struct error lookup = {0};
    if (!jobs_load(jobs->durable, id, &row, &lookup)) {
        if (!is_answered)
            *err = failure;
        else if (lookup.kind == ERROR_NOT_FOUND)
            error_set(err, ERROR_CONFLICT, "the upload was taken back");
        else
            *err = lookup;
        return error_prefix(err, "commit upload");
    }
    if (is_accepted(&row)) {
        if (out)
            *out = row;
        return true;
    }
    if (!is_answered && strcmp(row.state, "receiving") == 0) {
        *err = failure;
        return error_prefix(err, "commit upload");
    }
    return error_set(err, ERROR_CONFLICT, "the upload was taken back");
}

static bool abort_body(struct sql *sql, void *context, struct error *err)
{
    struct upload_end *taken_back = context;
    return jobs_change(sql, taken_back->id, JOBS_TO_DELETING " WHERE id=? AND state='receiving'",
                       SQL_VALUES(SQL_TEXT(taken_back->id)), "owner", &taken_back->is_changed, err);
}

bool jobs_upload_abort(struct jobs *jobs, const char *id, struct error *err)
{
    struct upload_end taken_back = {.id = id};
    return sql_transaction(jobs->durable, abort_body, &taken_back, err) ||
           error_prefix(err, "abort upload");
}

bool jobs_upload_extend(struct jobs *jobs, const char *id, int64_t deadline_ms, struct error *err)
{
    int64_t matched = 0;
    if (!sql_execute(jobs->relaxed,
                     "UPDATE conversion SET wake_at={now}+? WHERE id=? AND state='receiving'",
                     SQL_VALUES(SQL_INTEGER(deadline_ms), SQL_TEXT(id)), &matched, err))
        return error_prefix(err, "extend upload");
    return matched == 1 || error_set(err, ERROR_CONFLICT, "the upload was taken back");
}
