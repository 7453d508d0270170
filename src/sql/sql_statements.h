#pragma once
// For drivers: what each of them does with statements. The tokens in their text, and the prepared
// ones that a handle keeps.

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum { SQL_STATEMENTS_KEPT = 64, SQL_STATEMENT_LIMIT_BYTES = 64 * 1024 };

struct sql_statements {
    void (*close)(void *prepared); // the driver's; the rest begins zeroed
    struct {
        char *text; // NULL: free
        void *prepared;
        uint64_t used; // the count of uses then
    } kept[SQL_STATEMENTS_KEPT];
    uint64_t uses;
};

// The one that was prepared from this text, or NULL.
void *sql_statements_find(struct sql_statements *statements, const char *text);
// Takes `prepared` over. Where there is no room the one used longest ago is closed.
void sql_statements_keep(struct sql_statements *statements, const char *text, void *prepared);
// Closes all of them.
void sql_statements_clear(struct sql_statements *statements);

// Appends the statement with `{now}` and `{table}` replaced. False beyond the limit of `out`.
bool sql_statements_expand(const char *statement, const char *now, const char *table,
                           struct buf *out);
