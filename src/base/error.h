#pragma once
// One error type for the whole program: a kind for code to act on, a sentence for people to read.
// Filled in place; no allocation, nothing to free.
//
// A function that can fail returns bool (or pointer/NULL) and takes `struct error *err` last. It is
// never NULL, untouched on success, set exactly once on failure. Texts carry no secret; the text
// of an UNAVAILABLE or INTERNAL error goes to the log, never to a client.

#include <stdbool.h>

enum error_kind {
    ERROR_NONE = 0,
    ERROR_INVALID,     // the request or the input is wrong; asking again will not help
    ERROR_DENIED,      // not allowed, or not known who asks
    ERROR_NOT_FOUND,   // no such thing, or not this user's
    ERROR_CONFLICT,    // already there, or in a state that does not permit it
    ERROR_TOO_LARGE,   // over a limit that the user can know
    ERROR_NO_SPACE,    // the store is full; it may have room later
    ERROR_UNAVAILABLE, // something we need does not answer now; try again later
    ERROR_INTERNAL,    // our fault
};

struct error {
    enum error_kind kind;
    char text[240];
};

// Sets the error. Returns false, so that `return error_set(...)` reads well.
bool error_set(struct error *err, enum error_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// The same with ": <text of errno>" added; the kind follows errno (ENOSPC, EDQUOT -> NO_SPACE,
// ENOENT -> NOT_FOUND, EEXIST -> CONFLICT, anything else -> UNAVAILABLE).
bool error_set_errno(struct error *err, int error_number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Puts "<prefix>: " in front of the text of an error that is set. Returns false.
bool error_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

// "invalid", "not_found", ... : stable, for logs and metrics.
const char *error_kind_name(enum error_kind kind);
