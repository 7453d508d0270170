#pragma once
// Opens what a role would open, once, and says what answers: `unreel check-config --connect`.

#include "config/config.h"

// Prints one line for each port that a role of that letter (settings.def) uses; true when all
// answer. Asks servers only; on one machine the files and folders that the role would make appear.
bool connect_all(const struct config *config, char role);
