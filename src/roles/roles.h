#pragma once
// The four roles of Unreel, for the table of commands.

#include "roles/role.h"

extern const struct role gateway_role;   // HTTP for users
extern const struct role auth_role;      // accounts, sessions, tokens
extern const struct role converter_role; // videos become MP3s
extern const struct role notifier_role;  // letters become mails
