#pragma once
// A database of its own on the replica set that UNREEL_TEST_MONGODB (mongodb://HOST/?OPTIONS)
// names, as long as a test program runs.

#include <stdbool.h>

// Whether UNREEL_TEST_BACKEND asks for it.
bool mongodb_under_test_is_wanted(void);

// The URL of that database. Where no server is named, the program ends here as skipped.
const char *mongodb_under_test_start(void);
// That of another one, in which nothing is.
const char *mongodb_under_test_empty_url(void);
void mongodb_under_test_drop(void);
