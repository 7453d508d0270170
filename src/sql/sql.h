#pragma once
// A small SQL database interface with two drivers: SQLite and MySQL/MariaDB. Knows nothing of any
// table; `accounts/`, `jobs/` and `letters/` own schema and statements, written once.
//
// Statements obey what both databases understand (docs/decisions/0002-portable-sql.md): `?` for
// bound values; `{now}` for the database's clock in ms since 1970; no RETURNING, no ON CONFLICT,
// no partial index, no dialect word; no column is read after it is assigned in the same SET;
// CREATE TABLE ends in `{table}`, which the driver replaces by its table options, and text columns
// are VARCHAR(n) or TEXT.
//
// One handle belongs to one thread at a time. Nothing here is carried over a fork.

#include "base/error.h"
#include "base/scope.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sql;

enum sql_durability {
    SQL_DURABLE, // a commit survives a power cut
    SQL_RELAXED, // the last commits may be lost with the power: for leases and progress only
};

// Whether there is a driver for the URL and it is of the driver's form; opens nothing. INVALID if
// not.
bool sql_check_url(const char *url, struct error *err);

// `sqlite:FILE`: the file is created when absent.
// `mysql://USER:PASSWORD@HOST[:3306][,HOST2…]/DATABASE[?tls=off|required|verify][&tls-ca=FILE]`:
// the first of the hosts that takes writes. Where a connection is lost the call fails, UNAVAILABLE,
// and the next one connects anew. Commits are as durable as the server makes them, RELAXED or not;
// a RELAXED handle connects at its first call. Fails with UNAVAILABLE, or INVALID for a URL that
// sql_check_url refuses.
struct sql *sql_open(const char *url, enum sql_durability durability, struct error *err);
void sql_close(struct sql *sql);
SCOPE_DEFINE(sql_close, struct sql *);

enum sql_kind { SQL_KIND_NULL, SQL_KIND_INTEGER, SQL_KIND_TEXT };

struct sql_value {
    enum sql_kind kind;
    int64_t integer;
    const char *text; // borrowed for the call
};

#define SQL_NULL ((struct sql_value){.kind = SQL_KIND_NULL})
#define SQL_INTEGER(value_) ((struct sql_value){.kind = SQL_KIND_INTEGER, .integer = (value_)})
// A NULL pointer becomes SQL NULL.
#define SQL_TEXT(value_) sql_text_value(value_)
struct sql_value sql_text_value(const char *text);

// The bound values of one statement, in order: SQL_VALUES(SQL_TEXT(id), SQL_INTEGER(1)).
struct sql_values {
    const struct sql_value *items;
    size_t count;
};
#define SQL_VALUES(...)                                                                            \
    ((struct sql_values){(const struct sql_value[]){__VA_ARGS__},                                  \
                         sizeof((const struct sql_value[]){__VA_ARGS__}) /                         \
                             sizeof(struct sql_value)})
#define SQL_NO_VALUES ((struct sql_values){0})

// Runs one statement. `out_matched` (may be NULL) is the number of rows that the WHERE matched,
// also where the new values equal the old. A broken UNIQUE or PRIMARY KEY is CONFLICT; a lock that
// did not come free, a lost connection or a full disk is UNAVAILABLE or NO_SPACE.
bool sql_execute(struct sql *sql, const char *statement, struct sql_values values,
                 int64_t *out_matched, struct error *err);

struct sql_row; // valid inside the call of `each` only

// Runs a SELECT and calls `each` for every row in order. `each` returns false to stop early, which
// is not an error. `each` must not use the same handle.
bool sql_query(struct sql *sql, const char *statement, struct sql_values values,
               bool (*each)(const struct sql_row *row, void *context), void *context,
               struct error *err);

// Columns count from 0. Integer of NULL is 0; text of NULL is NULL.
int64_t sql_row_integer(const struct sql_row *row, int column);
const char *sql_row_text(const struct sql_row *row, int column);
bool sql_row_is_null(const struct sql_row *row, int column);
// Copies the text ("" for NULL), cut at a code point if `out` is too small.
void sql_row_copy(const struct sql_row *row, int column, char *out, size_t out_size);

// Runs `body` between BEGIN and COMMIT. `body` returning false, with err set, rolls back. On busy
// or deadlock the whole body runs again, three times at most, so it may change nothing but the
// database and what `context` can bear twice. Not to be nested.
bool sql_transaction(struct sql *sql,
                     bool (*body)(struct sql *sql, void *context, struct error *err), void *context,
                     struct error *err);

// The database's clock in ms since 1970.
bool sql_now_ms(struct sql *sql, int64_t *out_ms, struct error *err);
