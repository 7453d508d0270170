#pragma once
// Sends hints in the background, so that neither an upload's answer nor a conversion's end waits
// for a queue that is slow: a thread with a connection of its own, which it also keeps alive. What
// cannot be sent now is dropped: whoever consumes looks at the tables by itself.

#include "base/error.h"

struct hints;

// `queue_url` must outlive it. An unreachable queue is no failure.
struct hints *hints_start(const char *queue_url, struct error *err);
// Sends what waits, for two seconds at most, and ends the thread once the call at hand is over: two
// seconds more, or five where it is connecting anew. Takes NULL.
void hints_stop(struct hints *hints);

// Never waits. From any thread.
void hints_send(struct hints *hints, const char *topic, const char *id);
