// What a user does to a conversion: delete it, try it again.

#include "jobs/jobs_internal.h"

#include <string.h>

struct change_of_owner {
    const char *owner, *id;
    bool is_changed;
};

static bool delete_body(struct sql *sql, void *context, struct error *err)
{
    struct change_of_owner *change = context;
    if (!jobs_change(sql, change->id,
                     JOBS_TO_DELETING " WHERE id=? AND owner=? AND state<>'deleting'"
                                      " AND state<>'deleted'",
                     SQL_VALUES(SQL_TEXT(change->id), SQL_TEXT(change->owner)), "owner",
                     &change->is_changed, err))
        return false;
    return !change->is_changed || jobs_silence(sql, change->id, err);
}

bool jobs_delete(struct jobs *jobs, const char *owner, const char *id, struct error *err)
{
    struct change_of_owner change = {.owner = owner, .id = id};
    if (!sql_transaction(jobs->durable, delete_body, &change, err))
        return error_prefix(err, "delete conversion");
    return change.is_changed || error_set(err, ERROR_NOT_FOUND, "no such conversion");
}

static bool retry_body(struct sql *sql, void *context, struct error *err)
{
    struct change_of_owner *change = context;
    return jobs_change(sql, change->id,
                       JOBS_CHANGE ", state='queued', failures=0, crashes=0, progress_permille=0,"
                                   " error_code='', error_detail='', claim=NULL, worker='',"
                                   " wake_at={now}, expires_at=0"
                                   " WHERE id=? AND owner=? AND state='failed' AND source_key<>''",
                       SQL_VALUES(SQL_TEXT(change->id), SQL_TEXT(change->owner)), "owner",
                       &change->is_changed, err);
}

bool jobs_retry(struct jobs *jobs, const char *owner, const char *id, struct conversion *out,
                struct error *err)
{
    struct change_of_owner change = {.owner = owner, .id = id};
    if (!sql_transaction(jobs->durable, retry_body, &change, err))
        return error_prefix(err, "retry conversion");
    struct conversion row;
    if (!jobs_find(jobs, owner, id, &row, err))
        return false;
    if (change.is_changed) {
        if (out)
            *out = row;
        return true;
    }
    if (strcmp(row.state, "failed") != 0)
        return error_set(err, ERROR_CONFLICT, "the conversion has not failed");
    return error_set(err, ERROR_CONFLICT, "the conversion's source is gone");
}
