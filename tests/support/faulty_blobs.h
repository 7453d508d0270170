#pragma once
// Wraps any blob store and fails one call with UNAVAILABLE.

#include "blobs/blobs.h"
#include "fault.h"

// Takes `inner` over; borrows `fault` until it is closed.
struct blobs *faulty_blobs_wrap(struct blobs *inner, struct fault *fault);
