#pragma once
// Wraps any queue and drops every hint that is published, saying that it went well.

#include "queue/queue.h"

// Takes `inner` over.
struct queue *dropping_queue_wrap(struct queue *inner);
