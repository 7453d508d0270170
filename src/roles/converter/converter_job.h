#pragma once
// One conversion from claim to end.

#include "base/id.h"
#include "blobs/blobs.h"
#include "jobs/jobs.h"
#include "roles/converter/converter_nursery.h"
#include "roles/crew/crew.h"
#include "roles/hints.h"

#include <stdint.h>

struct converter_settings { // read-only once the role has started
    const char *jobs_url, *blobs_url;
    const char *scratch_directory;
    const char *worker; // this process's name in the rows
    int cores;
    bool is_best_effort;  // converts where the child cannot be confined
    int64_t memory_bytes; // of the child's address space; 0 for no limit
    int64_t timeout_ms;
    int64_t max_duration_ms;
    int64_t retention_ms;
};

struct converter_job { // all of it belongs to the worker thread
    const struct converter_settings *settings;
    struct crew *crew;
    struct hints *hints;
    struct jobs *jobs;
    struct blobs *blobs;
    struct converter_nursery nursery;
};

// Lets the media program look at something that is no video, to learn at the start that it can be
// run here, confined, and tells what it should. INTERNAL says what it did instead.
bool converter_job_check_program(struct converter_job *job, struct error *err);

// Opens what is not open. False while a conversion could only fail: without database, without
// store, or with a store or scratch directory that is full.
bool converter_job_open(struct converter_job *job, struct error *err);
void converter_job_close(struct converter_job *job);

// Claims the conversion, converts, stores, ends it. TROUBLE: a handle is of no use any more.
enum crew_answer converter_job_run(struct converter_job *job, const char *id, struct error *err);
