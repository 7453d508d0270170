#pragma once
// What the files of accounts/ share and nobody else sees.

#include "accounts/accounts.h"
#include "sql/sql.h"
#include "sql/sql_migrate.h"

struct accounts {
    struct sql *sql;
};

extern const struct sql_migration accounts_migrations[];
extern const size_t accounts_migrations_count;

// Revokes every live session of the account; part of the caller's transaction.
bool accounts_revoke_all(struct sql *sql, const char *account, struct error *err);
