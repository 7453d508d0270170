// The tables of conversions, their events and their links, and opening the database they are in.
//
// `previous_state` is there for the event's INSERT … SELECT, which could not see it otherwise.
// `uploader` has a row per owner for one purpose: it is updated first by whoever begins an upload,
// so that two uploads of one user are counted against the quota one after the other.

#include "base/alloc.h"
#include "jobs/jobs_internal.h"
#include "sql/sql_migrate.h"

static const struct sql_migration jobs_migrations[] = {
    {"jobs", 1,
     "CREATE TABLE IF NOT EXISTS conversion ("
     " id VARCHAR(26) NOT NULL PRIMARY KEY,"
     " owner VARCHAR(26) NOT NULL,"
     " owner_email VARCHAR(254) NOT NULL,"
     " name VARCHAR(255) NOT NULL,"
     " options VARCHAR(1023) NOT NULL,"
     " state VARCHAR(15) NOT NULL,"
     " previous_state VARCHAR(15) NOT NULL,"
     " wake_at BIGINT,"
     " claim VARCHAR(32),"
     " worker VARCHAR(63) NOT NULL,"
     " attempt BIGINT NOT NULL,"
     " failures BIGINT NOT NULL,"
     " crashes BIGINT NOT NULL,"
     " progress_permille BIGINT NOT NULL,"
     " source_key VARCHAR(95) NOT NULL,"
     " source_bytes BIGINT NOT NULL,"
     " source_sha256 VARCHAR(64) NOT NULL,"
     " audio_key VARCHAR(95) NOT NULL,"
     " audio_bytes BIGINT NOT NULL,"
     " audio_sha256 VARCHAR(64) NOT NULL,"
     " duration_ms BIGINT NOT NULL,"
     " error_code VARCHAR(31) NOT NULL,"
     " error_detail VARCHAR(239) NOT NULL,"
     " idempotency_key VARCHAR(128),"
     " idempotency_until BIGINT,"
     " traceparent VARCHAR(55) NOT NULL,"
     " created_at BIGINT NOT NULL,"
     " updated_at BIGINT NOT NULL,"
     " expires_at BIGINT NOT NULL,"
     " revision BIGINT NOT NULL,"
     " UNIQUE (owner, idempotency_key)"
     ") {table}"},
    {"jobs", 2, "CREATE INDEX conversion_state_wake_at ON conversion (state, wake_at)"},
    {"jobs", 3, "CREATE INDEX conversion_owner_id ON conversion (owner, id)"},
    {"jobs", 4, "CREATE INDEX conversion_updated_at ON conversion (updated_at)"},
    {"jobs", 5, "CREATE INDEX conversion_idempotency_until ON conversion (idempotency_until)"},
    {"jobs", 6,
     "CREATE TABLE IF NOT EXISTS event ("
     " conversion VARCHAR(26) NOT NULL,"
     " revision BIGINT NOT NULL,"
     " from_state VARCHAR(15) NOT NULL,"
     " to_state VARCHAR(15) NOT NULL,"
     " attempt BIGINT NOT NULL,"
     " actor VARCHAR(63) NOT NULL,"
     " happened_at BIGINT NOT NULL,"
     " PRIMARY KEY (conversion, revision)"
     ") {table}"},
    {"jobs", 7,
     "CREATE TABLE IF NOT EXISTS link ("
     " token_hash VARCHAR(64) NOT NULL PRIMARY KEY,"
     " conversion VARCHAR(26) NOT NULL,"
     " expires_at BIGINT NOT NULL"
     ") {table}"},
    {"jobs", 8, "CREATE INDEX link_conversion ON link (conversion)"},
    {"jobs", 9,
     "CREATE TABLE IF NOT EXISTS uploader ("
     " owner VARCHAR(26) NOT NULL PRIMARY KEY,"
     " seen_at BIGINT NOT NULL"
     ") {table}"},
};

static const size_t jobs_migrations_count = sizeof jobs_migrations / sizeof jobs_migrations[0];

struct jobs *jobs_open(const char *url, struct error *err)
{
    SCOPED(sql_close) struct sql *durable = sql_open(url, SQL_DURABLE, err);
    if (!durable)
        return NULL;
    SCOPED(sql_close) struct sql *relaxed = sql_open(url, SQL_RELAXED, err);
    if (!relaxed)
        return NULL;
    struct jobs *jobs = alloc_zeroed(1, sizeof *jobs);
    jobs->durable = TAKE(durable);
    jobs->relaxed = TAKE(relaxed);
    return jobs;
}

void jobs_close(struct jobs *jobs)
{
    if (!jobs)
        return;
    sql_close(jobs->relaxed);
    sql_close(jobs->durable);
    free(jobs);
}

bool jobs_migrate(const char *url, struct error *err)
{
    SCOPED(sql_close) struct sql *sql = sql_open(url, SQL_DURABLE, err);
    return sql && sql_migrate(sql, letters_migrations, letters_migrations_count, NULL, err) &&
           sql_migrate(sql, jobs_migrations, jobs_migrations_count, NULL, err);
}

bool jobs_ready(struct jobs *jobs, struct error *err)
{
    return sql_migrations_done(jobs->durable, letters_migrations, letters_migrations_count, err) &&
           sql_migrations_done(jobs->durable, jobs_migrations, jobs_migrations_count, err);
}

struct sql *jobs_sql(struct jobs *jobs)
{
    return jobs->durable;
}
