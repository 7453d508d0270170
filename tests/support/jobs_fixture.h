#pragma once
// An empty jobs database and short ways to the states a test begins from. Whatever fails here ends
// the test.

#include "jobs/jobs.h"
#include "letters/letters.h"

#include <stdbool.h>

enum { FIXTURE_RETENTION_MS = 7 * 24 * 3600 * 1000 };

extern const char fixture_alice[ID_SIZE], fixture_bob[ID_SIZE];
extern const struct jobs_limits fixture_limits; // wide
extern const char fixture_sha256[JOBS_SHA256_SIZE];

struct jobs *fixture_open(void);       // migrated, and emptied of every row
void fixture_empty(struct jobs *jobs); // no row in any table
void fixture_close(struct jobs *jobs); // checks every conversion against the oracle

// Alice's upload of 1000 announced bytes with an hour's time; `key` may be NULL.
struct jobs_upload fixture_upload(const char id[ID_SIZE], const char *key);

// Conversions of Alice: begun, and further on. `out_id` is filled.
void fixture_receiving(struct jobs *jobs, char out_id[ID_SIZE]);
void fixture_queued(struct jobs *jobs, char out_id[ID_SIZE]);
struct jobs_claimed fixture_claimed(struct jobs *jobs);
void fixture_claim(struct jobs *jobs, const char *id, struct jobs_claimed *out);
void fixture_finish(struct jobs *jobs, const struct jobs_claimed *claimed);
void fixture_ready(struct jobs *jobs, char out_id[ID_SIZE]);
void fixture_failed(struct jobs *jobs, char out_id[ID_SIZE]);
struct jobs_result fixture_result(void);

// As if that much time had passed, for every row's alarm clock and date of birth.
void fixture_pass(struct jobs *jobs, int64_t ms);

// The row, whatever its state. Ends the test when there is none.
struct conversion fixture_row(struct jobs *jobs, const char *id);
bool fixture_is(struct jobs *jobs, const char *id, const char *state);

// The single integer that a query with at most one text value answers.
int64_t fixture_integer(struct jobs *jobs, const char *query, const char *value);
void fixture_execute(struct jobs *jobs, const char *statement, const char *value);
