// The tables of accounts, step by step. A step that was released is never edited: a new one is
// added, and it only adds, because old and new programs meet on one database.

#include "accounts/accounts_store.h"

const struct sql_migration accounts_migrations[] = {
    {"accounts", 1,
     "CREATE TABLE IF NOT EXISTS account ("
     " id VARCHAR(26) NOT NULL,"
     " email VARCHAR(254) NOT NULL,"     // as typed
     " email_key VARCHAR(254) NOT NULL," // folded
     " password_hash VARCHAR(127) NOT NULL,"
     " role VARCHAR(15) NOT NULL,"
     " state VARCHAR(15) NOT NULL,"
     " verified_at BIGINT,"
     " created_at BIGINT NOT NULL,"
     " PRIMARY KEY (id), UNIQUE (email_key)) {table}"},
    // expires_at is the end of the session unless it is used again, at the latest ends_at; a
    // revoked one ends when it is revoked.
    {"accounts", 2,
     "CREATE TABLE IF NOT EXISTS session ("
     " id VARCHAR(26) NOT NULL,"
     " account VARCHAR(26) NOT NULL,"
     " selector_hash VARCHAR(64) NOT NULL,"
     " token_hash VARCHAR(64) NOT NULL,"
     " salt VARCHAR(64) NOT NULL,"
     " created_at BIGINT NOT NULL,"
     " used_at BIGINT NOT NULL,"
     " ends_at BIGINT NOT NULL,"
     " expires_at BIGINT NOT NULL,"
     " revoked_at BIGINT,"
     " PRIMARY KEY (id), UNIQUE (selector_hash)) {table}"},
    {"accounts", 3, "CREATE INDEX session_account ON session (account, expires_at)"},
    {"accounts", 4, "CREATE INDEX session_expires_at ON session (expires_at)"},
};
const size_t accounts_migrations_count = sizeof accounts_migrations / sizeof accounts_migrations[0];
