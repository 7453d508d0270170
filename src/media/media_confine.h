#pragma once
// What the process that reads a stranger's bytes takes from itself before it does. In this order:
//
//     media_confine_prepare()   first of all, in every process of this program
//     media_confine_isolate()   while there is one thread: namespaces, Landlock
//     …                         start the threads
//     media_confine_enter()     limits and the filter of system calls, for all threads
//
// From then on it can read its source (descriptor 0), write its output (1) and its report (2), and
// get memory; anything else ends it or is answered with an error. Who starts it sets the limits of
// memory, time and size before (media_guard.h, roles/converter). `media_guard.h` does all of this.

#include "media/media_failure.h"
#include "protocol/confinement.h"

#include <stdbool.h>
#include <stdint.h>

enum { MEDIA_SOURCE_FD = 0, MEDIA_OUTPUT_FD = 1, MEDIA_REPORT_FD = 2 };

struct media_confinement { // zeroed at first
    unsigned layers;       // a set of protocol/confinement.h
};

// Quiet libraries, one heap, a loaded time zone (later nothing can be opened).
void media_confine_prepare(void);

// No core file with a user's audio in it, no new privileges, no ptrace by others. False: refused.
bool media_confine_no_privilege(void);

// Only descriptors that are open already are of any use afterwards. What the machine does not
// permit is left out of `layers`.
void media_confine_isolate(struct media_confinement *confinement);

// False where a layer is missing that must be there; the others are entered all the same. No thread
// can be started afterwards.
bool media_confine_enter(struct media_confinement *confinement, struct media_failure *why);

// Inside: lowers the limit of processor time to 60 s and twice the length of the sound. A broken
// file that makes a decoder run in circles is then stopped early.
void media_confine_expect(int64_t duration_ms);
