#pragma once
// The database that a contract suite runs on: the one that UNREEL_TEST_SQL names, which keeps what
// earlier tests left in it, or a SQLite file in a directory that lives from start to stop.

#include "sql/sql.h"

#include <stdbool.h>
#include <stdint.h>

void sql_under_test_start(void);
const char *sql_under_test_url(void);
bool sql_under_test_is_local(void);
void sql_under_test_stop(void);

// Each ends the test with a message when it fails.
struct sql *sql_under_test_open(void);
struct sql *sql_under_test_open_faulty(void); // wrapped by faulty_sql
// `matched` -1: any number of rows.
void sql_under_test_execute(struct sql *sql, const char *statement, struct sql_values values,
                            int64_t matched);
int64_t sql_under_test_integer(struct sql *sql, const char *statement);
// On a handle of their own.
void sql_under_test_change(const char *statement);
int64_t sql_under_test_count(const char *statement);
