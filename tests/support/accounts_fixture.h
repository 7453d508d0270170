#pragma once
// Empty accounts for each test, on the database of sql_under_test.h. What must work fails the test
// with the reason.

#include "accounts/accounts.h"

#include <stddef.h>

enum { HOUR_MS = 3600000 };

int accounts_fixture_start(void **state);     // a test's set-up: *state becomes a struct accounts *
int accounts_fixture_stop(void **state);      // and its end
struct accounts *accounts_fixture_open(void); // one handle more

struct account accounts_fixture_make(struct accounts *accounts, const char *email);
struct session accounts_fixture_begin(struct accounts *accounts, const char *account,
                                      char out_token[REFRESH_TOKEN_SIZE]);
// ERROR_NONE when it was refreshed.
enum error_kind accounts_fixture_refresh(struct accounts *accounts, const char *token,
                                         char out_token[REFRESH_TOKEN_SIZE]);
size_t accounts_fixture_live(struct accounts *accounts, const char *account);
