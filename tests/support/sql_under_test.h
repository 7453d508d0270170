#pragma once
// The database that a contract suite runs on, made at start and gone at stop: a SQLite file, or
// with UNREEL_TEST_BACKEND=mysql one of the server that UNREEL_TEST_MYSQL names (a URL without a
// database, of a user who may do all); the program is skipped where it names none.

#include "sql/sql.h"

#include <stdbool.h>
#include <stdint.h>

void sql_under_test_start(void);
const char *sql_under_test_url(void);
bool sql_under_test_is_local(void);
void sql_under_test_stop(void);
// One more, without any table; once a program.
const char *sql_under_test_empty_url(void);
// Runs a statement on the server by itself, beside the database under test.
void sql_under_test_serve(const char *statement);

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
