#pragma once
// What must be true of every conversion, whatever has happened to it: read from its row, its event
// log and its letters.

#include "jobs/jobs.h"

// The events are a chain of permitted edges that begins at `receiving` and ends in the row's state;
// revisions rise; the attempt grows by one at each claim and stands still otherwise; between two
// retries at most one end; and there is exactly one letter for each end, if somebody can get one.
// Returns NULL, or what is wrong, in a text that lives until the next call.
const char *jobs_oracle_complaint(struct jobs *jobs, const char *id);
