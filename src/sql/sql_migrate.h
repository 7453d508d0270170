#pragma once
// Migrations: numbered, one DDL statement each, harmless when run twice, applied in order under a
// lock between processes. `unreel migrate` and `unreel serve` apply them; roles only wait for them.
// UNIQUE comes with its table only: of an index made later, "two rows are equal" could not be told
// from "it is there already".

#include "sql/sql.h"

struct sql_migration {
    const char
        *owner; // "accounts", "jobs": each owner counts from 1, so that they may share a database
    int number;
    const char *statement;
};

// Applies what is missing. `out_applied` (may be NULL) is how many it were.
bool sql_migrate(struct sql *sql, const struct sql_migration *migrations, size_t count,
                 int *out_applied, struct error *err);

// True when every one is applied; false with UNAVAILABLE that names the first missing one.
bool sql_migrations_done(struct sql *sql, const struct sql_migration *migrations, size_t count,
                         struct error *err);
