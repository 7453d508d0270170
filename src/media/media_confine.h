#pragma once
// What this process takes from itself before it touches a stranger's bytes. The parent sets the
// limits of memory, time and file size before it starts us (roles/converter).
//
// The place for the system-call filter and Landlock: media_confine_enter, after the last thread
// has been started.

#include <stdbool.h>

// Once at the start: quiet libraries, one heap, a loaded time zone (later nothing can be opened).
void media_confine_prepare(void);

// No core file with a user's audio in it, no new privileges, no ptrace by others. False: refused.
bool media_confine_enter(void);
