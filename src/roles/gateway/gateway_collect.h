#pragma once
// Removing blobs, and only on positive knowledge: the row exists and names another blob, or is
// being deleted. A blob without a row is counted and left: a lost tail of the database must never
// remove what was accepted.

#include "blobs/blobs.h"
#include "jobs/jobs.h"

// Every blob of a conversion that is being deleted, finished or not.
bool gateway_collect_conversion(struct blobs *blobs, const char *id, struct error *err);

struct gateway_collected {
    int64_t removed_count;
    int64_t unknown_count;
};
// Looks at every blob of the store.
bool gateway_collect_garbage(struct jobs *jobs, struct blobs *blobs, struct gateway_collected *out,
                             struct error *err);
