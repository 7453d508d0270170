#include "jobs_fixture.h"

#include "jobs_oracle.h"
#include "sql/sql.h"
#include "sql_under_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char fixture_alice[ID_SIZE] = "01ARZ3NDEKTSV4RRFFQ69G5FAA";
const char fixture_bob[ID_SIZE] = "01ARZ3NDEKTSV4RRFFQ69G5FAB";
const char fixture_sha256[JOBS_SHA256_SIZE] =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const struct jobs_limits fixture_limits = {.user_bytes = 1000000, .user_unfinished = 1000};

static char source_key[JOBS_KEY_SIZE];

static void require(bool is_true, const char *what, const struct error *err)
{
    if (is_true)
        return;
    printf("Bail out! %s: %s\n", what, err->text);
    fflush(stdout);
    abort();
}

static struct sql_values one_value(const struct sql_value *value)
{
    return (struct sql_values){value, value->kind == SQL_KIND_NULL ? 0 : 1};
}

void fixture_execute(struct jobs *jobs, const char *statement, const char *value)
{
    struct error err = {0};
    struct sql_value bound = SQL_TEXT(value);
    require(sql_execute(jobs_sql(jobs), statement, one_value(&bound), NULL, &err), statement, &err);
}

static bool read_integer(const struct sql_row *row, void *context)
{
    *(int64_t *)context = sql_row_integer(row, 0);
    return false;
}

int64_t fixture_integer(struct jobs *jobs, const char *query, const char *value)
{
    struct error err = {0};
    int64_t result = 0;
    struct sql_value bound = SQL_TEXT(value);
    require(sql_query(jobs_sql(jobs), query, one_value(&bound), read_integer, &result, &err), query,
            &err);
    return result;
}

void fixture_empty(struct jobs *jobs)
{
    fixture_execute(jobs, "DELETE FROM conversion", NULL);
    fixture_execute(jobs, "DELETE FROM event", NULL);
    fixture_execute(jobs, "DELETE FROM link", NULL);
    fixture_execute(jobs, "DELETE FROM letter", NULL);
    fixture_execute(jobs, "DELETE FROM uploader", NULL);
}

struct jobs *fixture_open(void)
{
    struct error err = {0};
    require(jobs_migrate(sql_under_test_url(), &err), "migrate", &err);
    struct jobs *jobs = jobs_open(sql_under_test_url(), &err);
    require(jobs != NULL, "open", &err);
    fixture_empty(jobs);
    return jobs;
}

struct id_list {
    char ids[256][ID_SIZE];
    size_t count;
};

static bool read_id(const struct sql_row *row, void *context)
{
    struct id_list *list = context;
    sql_row_copy(row, 0, list->ids[list->count++], ID_SIZE);
    return list->count < 256;
}

void fixture_close(struct jobs *jobs)
{
    struct error err = {0};
    struct id_list list = {0};
    require(
        sql_query(jobs_sql(jobs), "SELECT id FROM conversion", SQL_NO_VALUES, read_id, &list, &err),
        "list all", &err);
    for (size_t i = 0; i < list.count; i++) {
        const char *complaint = jobs_oracle_complaint(jobs, list.ids[i]);
        if (complaint)
            snprintf(err.text, sizeof err.text, "%s", complaint);
        require(!complaint, "the oracle complains", &err);
    }
    jobs_close(jobs);
}

struct jobs_upload fixture_upload(const char id[ID_SIZE], const char *key)
{
    snprintf(source_key, sizeof source_key, "source/%s", id);
    return (struct jobs_upload){
        .id = id,
        .owner = fixture_alice,
        .owner_email = "alice@example.org",
        .name = "talk.mp4",
        .options = "{\"preset\":\"standard\"}",
        .traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        .idempotency_key = key,
        .source_key = source_key,
        .announced_bytes = 1000,
        .deadline_ms = 3600 * 1000,
    };
}

void fixture_receiving(struct jobs *jobs, char out_id[ID_SIZE])
{
    struct error err = {0};
    id_new(out_id);
    struct jobs_upload upload = fixture_upload(out_id, NULL);
    require(jobs_upload_begin(jobs, &upload, &fixture_limits, NULL, &err) == JOBS_BEGUN, "begin",
            &err);
}

void fixture_queued(struct jobs *jobs, char out_id[ID_SIZE])
{
    struct error err = {0};
    fixture_receiving(jobs, out_id);
    require(jobs_upload_commit(jobs, out_id, NULL, NULL, 800, fixture_sha256, NULL, &err), "commit",
            &err);
}

void fixture_claim(struct jobs *jobs, const char *id, struct jobs_claimed *out)
{
    struct error err = {0};
    require(jobs_claim(jobs, id, "converter-1", out, &err) == JOBS_DONE, "claim", &err);
}

struct jobs_claimed fixture_claimed(struct jobs *jobs)
{
    char id[ID_SIZE];
    struct jobs_claimed claimed;
    fixture_queued(jobs, id);
    fixture_claim(jobs, id, &claimed);
    return claimed;
}

struct jobs_result fixture_result(void)
{
    return (struct jobs_result){
        .audio_key = "audio/x/1",
        .audio_bytes = 300,
        .audio_sha256 = fixture_sha256,
        .duration_ms = 61000,
        .retention_ms = FIXTURE_RETENTION_MS,
    };
}

void fixture_finish(struct jobs *jobs, const struct jobs_claimed *claimed)
{
    struct error err = {0};
    struct jobs_result result = fixture_result();
    require(jobs_finish(jobs, claimed, &result, &err) == JOBS_DONE, "finish", &err);
}

void fixture_ready(struct jobs *jobs, char out_id[ID_SIZE])
{
    struct jobs_claimed claimed = fixture_claimed(jobs);
    fixture_finish(jobs, &claimed);
    memcpy(out_id, claimed.conversion.id, ID_SIZE);
}

void fixture_failed(struct jobs *jobs, char out_id[ID_SIZE])
{
    struct error err = {0};
    struct jobs_claimed claimed = fixture_claimed(jobs);
    require(jobs_fail(jobs, &claimed, "no_audio", "There is no sound in this file.",
                      FIXTURE_RETENTION_MS, &err) == JOBS_DONE,
            "fail", &err);
    memcpy(out_id, claimed.conversion.id, ID_SIZE);
}

void fixture_pass(struct jobs *jobs, int64_t ms)
{
    struct error err = {0};
    struct sql_value shift = SQL_INTEGER(ms);
    const struct sql_value shifts[] = {shift, shift, shift};
    require(sql_execute(jobs_sql(jobs),
                        "UPDATE conversion SET wake_at=wake_at-?, created_at=created_at-?,"
                        " idempotency_until=idempotency_until-?",
                        (struct sql_values){shifts, 3}, NULL, &err) &&
                sql_execute(jobs_sql(jobs),
                            "UPDATE letter SET wake_at=wake_at-?, created_at=created_at-?",
                            (struct sql_values){shifts, 2}, NULL, &err) &&
                sql_execute(jobs_sql(jobs), "UPDATE link SET expires_at=expires_at-?",
                            (struct sql_values){shifts, 1}, NULL, &err),
            "pass time", &err);
}

static bool read_owner(const struct sql_row *row, void *context)
{
    sql_row_copy(row, 0, context, ID_SIZE);
    return false;
}

struct wanted {
    const char *id;
    struct conversion row;
};

static bool note_wanted(const struct conversion *conversion, void *context)
{
    struct wanted *wanted = context;
    if (strcmp(conversion->id, wanted->id) != 0)
        return true;
    wanted->row = *conversion;
    return false;
}

struct conversion fixture_row(struct jobs *jobs, const char *id)
{
    struct error err = {0};
    char owner[ID_SIZE] = "";
    struct wanted wanted = {.id = id};
    require(sql_query(jobs_sql(jobs), "SELECT owner FROM conversion WHERE id=?",
                      SQL_VALUES(SQL_TEXT(id)), read_owner, owner, &err) &&
                (jobs_find(jobs, owner, id, &wanted.row, &err) ||
                 jobs_changed(jobs, owner, -1, note_wanted, &wanted, &err)),
            "find row", &err);
    require(wanted.row.id[0] != '\0', "there is no such row", &err);
    return wanted.row;
}

bool fixture_is(struct jobs *jobs, const char *id, const char *state)
{
    struct conversion row = fixture_row(jobs, id);
    if (strcmp(row.state, state) == 0)
        return true;
    printf("# state is %s, not %s\n", row.state, state);
    return false;
}
