#pragma once
// For implementers of a driver: one file that ends in one `const struct sql_ops`, listed in sql.c.

#include "sql/sql.h"

struct sql_ops {
    const char *const *schemes; // {"sqlite", NULL}

    // check_url looks at all of the URL's form and opens nothing; open checks the same first.
    bool (*check_url)(const char *url, struct error *err);
    struct sql *(*open)(const char *url, enum sql_durability durability, struct error *err);
    void (*close)(struct sql *sql);

    // As in sql.h. `{now}` and `{table}` are expanded by the driver, which keeps prepared
    // statements by the text's content, a bounded number of them.
    bool (*execute)(struct sql *sql, const char *statement, struct sql_values values,
                    int64_t *out_matched, struct error *err);
    bool (*query)(struct sql *sql, const char *statement, struct sql_values values,
                  bool (*each)(const struct sql_row *row, void *context), void *context,
                  struct error *err);

    // What is wrong is told by kind: a broken UNIQUE or PRIMARY KEY, and DDL for a table, column or
    // index that is there already, CONFLICT; a table or column that is not there, UNAVAILABLE (the
    // database is not migrated yet); a lock or a connection, UNAVAILABLE.
    //
    // begin waits for locks itself. rollback is harmless when nothing is begun. is_retryable is
    // about the handle's last call: sql_transaction repeats when it says so. A transaction that the
    // database ended takes no more statements; a COMMIT without an answer is never repeated.
    bool (*begin)(struct sql *sql, struct error *err);
    bool (*commit)(struct sql *sql, struct error *err);
    void (*rollback)(struct sql *sql);
    bool (*is_retryable)(struct sql *sql);

    // A lock between processes for migrations; waits at most that long.
    bool (*lock_migrations)(struct sql *sql, int timeout_ms, struct error *err);
    void (*unlock_migrations)(struct sql *sql);

    int64_t (*row_integer)(const struct sql_row *row, int column);
    const char *(*row_text)(const struct sql_row *row, int column);
    bool (*row_is_null)(const struct sql_row *row, int column);
};

struct sql {
    const struct sql_ops *ops;
};

struct sql_row {
    const struct sql_ops *ops;
};

extern const struct sql_ops sql_sqlite_ops, sql_mysql_ops;
extern const struct sql_ops *const sql_drivers[]; // NULL ends it

// For tests only: every handle that sql_open opens from now on is handed through `wrap`, which owns
// it from then on. NULL ends that.
void sql_wrap_opened(struct sql *(*wrap)(struct sql *opened));
