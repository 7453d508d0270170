#pragma once
// The passwords that guessers try first.

#include <stdbool.h>

// Upper and lower case are the same here.
bool password_is_common(const char *password);
