#pragma once
// Wraps any queue and fails one call with UNAVAILABLE.

#include "fault.h"
#include "queue/queue.h"

// Takes `inner` over; borrows `fault` until it is closed.
struct queue *faulty_queue_wrap(struct queue *inner, struct fault *fault);
