#include "sql/sql_migrate.h"

#include "sql/sql_driver.h"

enum { LOCK_TIMEOUT_MS = 60000 };

static const char table_of_migrations[] = "CREATE TABLE IF NOT EXISTS migration ("
                                          " owner VARCHAR(32) NOT NULL,"
                                          " number BIGINT NOT NULL,"
                                          " done_at BIGINT NOT NULL,"
                                          " PRIMARY KEY (owner, number)) {table}";

static bool note_found(const struct sql_row *row, void *context)
{
    (void)row;
    bool *is_found = context;
    *is_found = true;
    return false;
}

static bool is_applied(struct sql *sql, const struct sql_migration *migration, bool *out,
                       struct error *err)
{
    *out = false;
    return sql_query(sql, "SELECT number FROM migration WHERE owner=? AND number=?",
                     SQL_VALUES(SQL_TEXT(migration->owner), SQL_INTEGER(migration->number)),
                     note_found, out, err);
}

// "It is there already" is as good as doing it.
static bool make(struct sql *sql, const char *statement, struct sql_values values,
                 struct error *err)
{
    struct error failure = {0};
    if (sql_execute(sql, statement, values, NULL, &failure) || failure.kind == ERROR_CONFLICT)
        return true;
    *err = failure;
    return false;
}

// SQLite commits statement and row together. MySQL commits each by itself, so after a crash between
// the two, or when the transaction runs again, it finds its work done.
static bool apply(struct sql *sql, void *context, struct error *err)
{
    const struct sql_migration *migration = context;
    return make(sql, migration->statement, SQL_NO_VALUES, err) &&
           make(sql, "INSERT INTO migration (owner, number, done_at) VALUES (?, ?, {now})",
                SQL_VALUES(SQL_TEXT(migration->owner), SQL_INTEGER(migration->number)), err);
}

static bool apply_missing(struct sql *sql, const struct sql_migration *migrations, size_t count,
                          int *out_applied, struct error *err)
{
    if (!sql_execute(sql, table_of_migrations, SQL_NO_VALUES, NULL, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct sql_migration migration = migrations[i];
        bool is_there;
        if (!is_applied(sql, &migration, &is_there, err))
            return false;
        if (is_there)
            continue;
        if (!sql_transaction(sql, apply, &migration, err))
            return error_prefix(err, "migration %s %d", migration.owner, migration.number);
        *out_applied += 1;
    }
    return true;
}

bool sql_migrate(struct sql *sql, const struct sql_migration *migrations, size_t count,
                 int *out_applied, struct error *err)
{
    int applied = 0;
    if (!sql->ops->lock_migrations(sql, LOCK_TIMEOUT_MS, err))
        return false;
    bool is_done = apply_missing(sql, migrations, count, &applied, err);
    sql->ops->unlock_migrations(sql);
    if (out_applied)
        *out_applied = applied;
    return is_done;
}

bool sql_migrations_done(struct sql *sql, const struct sql_migration *migrations, size_t count,
                         struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        bool is_there;
        if (!is_applied(sql, &migrations[i], &is_there, err))
            return false;
        if (!is_there)
            return error_set(err, ERROR_UNAVAILABLE,
                             "migration %s %d is missing: `unreel migrate` applies it",
                             migrations[i].owner, migrations[i].number);
    }
    return true;
}
