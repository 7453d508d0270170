// The table of letters. `dedupe` makes writing a letter twice harmless; `conversion` is NULL for
// letters about an account.

#include "letters/letters.h"

const struct sql_migration letters_migrations[] = {
    {"letters", 1,
     "CREATE TABLE IF NOT EXISTS letter ("
     " id VARCHAR(26) NOT NULL PRIMARY KEY,"
     " dedupe VARCHAR(127) NOT NULL,"
     " conversion VARCHAR(26),"
     " recipient VARCHAR(254) NOT NULL,"
     " kind VARCHAR(31) NOT NULL,"
     " params VARCHAR(2047) NOT NULL,"
     " state VARCHAR(15) NOT NULL,"
     " wake_at BIGINT,"
     " claim VARCHAR(32),"
     " worker VARCHAR(63) NOT NULL,"
     " attempt BIGINT NOT NULL,"
     " last_reply VARCHAR(239) NOT NULL,"
     " traceparent VARCHAR(55) NOT NULL,"
     " created_at BIGINT NOT NULL,"
     " updated_at BIGINT NOT NULL,"
     " UNIQUE (dedupe)"
     ") {table}"},
    {"letters", 2, "CREATE INDEX letter_state_wake_at ON letter (state, wake_at)"},
    {"letters", 3, "CREATE INDEX letter_conversion ON letter (conversion, created_at)"},
};
const size_t letters_migrations_count = sizeof letters_migrations / sizeof letters_migrations[0];
