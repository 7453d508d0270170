#pragma once
// One function a layer, for media_confine.c. Each says what it promises and changes the calling
// process only.

#include "media/media_failure.h"

#include <stdbool.h>

// For all threads: any system call that is not on the list kills the process.
bool media_confine_filter(struct media_failure *why);

// For this thread and those it starts: no path can be opened, no TCP port bound or connected to, no
// signal sent to another process, as far as this kernel's version of Landlock goes.
bool media_confine_landlock(void);

// User, network, IPC, host name and mounts of its own, with an empty directory as its root and no
// capability; wants a single thread.
bool media_confine_namespaces(void);
