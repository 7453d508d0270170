#pragma once
// Work on a stranger's file, where nothing else can be reached: the one way in which this program
// decodes anything. The converter's child (media_child.c) is such a process from its start; the
// commands for people fork one, and keep the names of files, the terminal and the signals.
//
//     struct media_guard guard = {.task = {.begin = start_threads, .work = convert, .context =
//     &it},
//                                 .source_fd = input, .output_fd = output, .threads = threads};
//     if (!media_guard_run(&guard, &done, &why)) …

#include "media/media_failure.h"
#include "protocol/media_report.h"

#include <stdbool.h>
#include <stdint.h>

struct media_task {
    // Before the confinement: starts the threads. Reads nothing of the source. May be NULL.
    bool (*begin)(void *context, struct media_failure *why);
    // Confined. Source, output and report are the descriptors MEDIA_…_FD of media_confine.h;
    // progress goes to the report (media_progress.h, form LINES). The members of a MEDIA_DONE are
    // its to fill.
    bool (*work)(void *context, struct media_report *out_done, struct media_failure *why);
    // After `work`, whatever it answered: gives back what `begin` made. May be NULL.
    void (*end)(void *context);
    void *context;
    int threads;          // that `begin` starts: for the limit of memory
    int64_t output_bytes; // largest file; 0 for the largest MP3 that there can be
    bool is_best_effort;  // goes on where a layer is missing that should be there
};

struct media_guard {
    struct media_task task;
    int source_fd; // borrowed, at the offset where reading starts; seekable
    int output_fd; // borrowed
    // Told what the child says of its progress, in this process. May be NULL.
    void (*progress)(void *context, int permille);
    void *progress_context;
};

// Forks, confines, works, waits. False with why: what the work said, `decoder_crash` where it was
// killed, `cancelled` where this process was asked to stop (base/stop.h).
// The caller has one thread and has called media_confine_prepare.
bool media_guard_run(const struct media_guard *guard, struct media_report *out_done,
                     struct media_failure *why);

// Here and now, for a process that has its descriptors: sets what limits are not tighter already,
// confines itself, works, reports (`confined`, then `done` or `fail`). The exit status: 0 done, 1
// failed.
int media_guard_work(const struct media_task *task);

// A line to the report.
void media_guard_report(const struct media_report *report);
