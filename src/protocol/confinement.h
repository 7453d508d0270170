#pragma once
// What keeps the process that decodes strangers' files away from everything else: its layers, which
// of them must be there, and the limits that both ways of starting it share.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum confinement_layer {
    CONFINEMENT_SECCOMP,      // a list of system calls; any other one kills the process
    CONFINEMENT_NO_PRIVILEGE, // no new privileges, no core, no ptrace
    CONFINEMENT_RLIMITS,      // memory, time, size; no new descriptor, no new process
    CONFINEMENT_LANDLOCK,     // no path, no TCP, no signal to others: where the kernel has it
    CONFINEMENT_NAMESPACES,   // no network, no user, no file: where an ordinary user may
    CONFINEMENT_LAYERS,
};

enum { CONFINEMENT_TEXT_SIZE = 96 };

// "seccomp", "no_new_privs", "rlimits", "landlock", "namespaces".
const char *confinement_layer_name(enum confinement_layer layer);

// Of a set with bit `1 << layer` for each that holds: whether all are there that must be.
bool confinement_is_enough(unsigned layers);

// The names of a set with spaces between them; "none".
void confinement_format(unsigned layers, char out[CONFINEMENT_TEXT_SIZE]);

// False where a word is no layer's name.
bool confinement_parse(const char *text, unsigned *out_layers);

// Address space for a conversion on that many threads; 0 for no limit, which a sanitizer needs.
int64_t confinement_memory_bytes(int threads);
