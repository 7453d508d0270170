#pragma once
// The database that a contract suite runs on: the one that UNREEL_TEST_SQL names, which keeps what
// earlier tests left in it, or a SQLite file in a directory that lives from start to stop.

#include <stdbool.h>

void sql_under_test_start(void);
const char *sql_under_test_url(void);
bool sql_under_test_is_local(void);
void sql_under_test_stop(void);
