#pragma once
// Locals that own: released when the scope is left, whichever way it is left.
//
//     SCOPED(queue_close) struct queue *queue = queue_open(url, err);
//     ...
//     return TAKE(queue);              // hands ownership over; the local becomes NULL
//
// A header whose type wants this says SCOPE_DEFINE(queue_close, struct queue *) once.
// Every close/destroy/finish takes NULL, so a local that was never filled is fine.

#define SCOPE_DEFINE(release, pointer_type)                                                        \
    static inline void scoped_##release(pointer_type *owner)                                       \
    {                                                                                              \
        release(*owner);                                                                           \
    }                                                                                              \
    struct scope_semicolon

#define SCOPED(release) __attribute__((cleanup(scoped_##release)))

#define TAKE(owner)                                                                                \
    ({                                                                                             \
        __typeof__(owner) taken = (owner);                                                         \
        (owner) = NULL;                                                                            \
        taken;                                                                                     \
    })
