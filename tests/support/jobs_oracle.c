#include "jobs_oracle.h"

#include "sql/sql.h"

#include <stdio.h>
#include <string.h>

enum { EVENTS_LIMIT = 512 };

static const char *const edges[][2] = {
    {"", "receiving"},          {"receiving", "queued"}, {"receiving", "deleting"},
    {"queued", "converting"},   {"queued", "deleting"},  {"converting", "converting"},
    {"converting", "queued"},   {"converting", "ready"}, {"converting", "failed"},
    {"converting", "deleting"}, {"failed", "queued"},    {"failed", "deleting"},
    {"ready", "deleting"},      {"deleting", "deleted"},
};

static char complaint[400];

static bool is_edge(const struct jobs_event *event)
{
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++)
        if (strcmp(event->from_state, edges[i][0]) == 0 &&
            strcmp(event->to_state, edges[i][1]) == 0)
            return true;
    return false;
}

static bool is(const char *text, const char *other)
{
    return strcmp(text, other) == 0;
}

// What is wrong with an event, seen from the one before it.
static const char *flaw(const struct jobs_event *event, const struct jobs_event *before)
{
    if (!is_edge(event))
        return "not a permitted edge";
    if (!is(event->from_state, before->to_state))
        return "does not leave the state that the event before it reached";
    if (event->revision <= before->revision)
        return "its revision does not rise";
    if (event->at_ms < before->at_ms)
        return "happened before the one before it";
    int64_t step = is(event->to_state, "converting") ? 1 : 0;
    if (event->attempt != before->attempt + step)
        return "the attempt must grow by one at each claim, and only there";
    return NULL;
}

static bool read_count(const struct sql_row *row, void *context)
{
    *(int64_t *)context = sql_row_integer(row, 0);
    return false;
}

struct row_facts {
    char state[JOBS_STATE_SIZE];
    int64_t attempt, revision;
    bool has_address, is_found;
};

static bool read_facts(const struct sql_row *row, void *context)
{
    struct row_facts *facts = context;
    sql_row_copy(row, 0, facts->state, sizeof facts->state);
    facts->attempt = sql_row_integer(row, 1);
    facts->revision = sql_row_integer(row, 2);
    facts->has_address = sql_row_text(row, 3) && sql_row_text(row, 3)[0];
    facts->is_found = true;
    return false;
}

static const char *check_events(const struct jobs_event *events, size_t count,
                                const struct row_facts *facts, int64_t *out_ends)
{
    struct jobs_event before = {0};
    *out_ends = 0;
    int64_t ready = 0;
    for (size_t i = 0; i < count; i++) {
        const char *what = flaw(&events[i], &before);
        if (what) {
            snprintf(complaint, sizeof complaint, "event %zu, %s to %s, revision %lld: %s", i,
                     events[i].from_state, events[i].to_state, (long long)events[i].revision, what);
            return complaint;
        }
        ready += is(events[i].to_state, "ready");
        *out_ends += is(events[i].to_state, "ready") || is(events[i].to_state, "failed");
        before = events[i];
    }
    if (ready > 1)
        return "ready more than once";
    if (count == 0 || !is(before.to_state, facts->state) || before.attempt != facts->attempt ||
        before.revision > facts->revision) {
        snprintf(complaint, sizeof complaint,
                 "the last event says %s, attempt %lld; the row %s, %lld", before.to_state,
                 (long long)before.attempt, facts->state, (long long)facts->attempt);
        return complaint;
    }
    return NULL;
}

const char *jobs_oracle_complaint(struct jobs *jobs, const char *id)
{
    struct error err = {0};
    struct row_facts facts = {0};
    struct jobs_event events[EVENTS_LIMIT];
    size_t count = 0;
    int64_t letters = 0, ends = 0;
    struct sql *sql = jobs_sql(jobs);
    if (!sql_query(sql, "SELECT state, attempt, revision, owner_email FROM conversion WHERE id=?",
                   SQL_VALUES(SQL_TEXT(id)), read_facts, &facts, &err) ||
        !jobs_events(jobs, id, events, EVENTS_LIMIT, &count, &err) ||
        !sql_query(sql, "SELECT COUNT(*) FROM letter WHERE conversion=? AND dedupe LIKE '%/end/%'",
                   SQL_VALUES(SQL_TEXT(id)), read_count, &letters, &err)) {
        snprintf(complaint, sizeof complaint, "cannot read: %s", err.text);
        return complaint;
    }
    if (!facts.is_found)
        return "the row is gone";
    const char *what = check_events(events, count, &facts, &ends);
    if (what)
        return what;
    if (letters != ends && (facts.has_address || letters > ends)) {
        snprintf(complaint, sizeof complaint, "%lld letters for %lld ends", (long long)letters,
                 (long long)ends);
        return complaint;
    }
    return NULL;
}
