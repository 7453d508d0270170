#pragma once
// Progress at a bearable pace: a bar on a terminal, or report lines for the parent.

#include <stdbool.h>
#include <stdint.h>

enum media_progress_form { MEDIA_PROGRESS_SILENT, MEDIA_PROGRESS_BAR, MEDIA_PROGRESS_LINES };

struct media_progress {
    int fd;
    enum media_progress_form form;
    int last_permille;
    int64_t last_ms;
};

// Shows or tells it, at most every 200 ms. `context` is a struct media_progress; false once this
// process was asked to stop.
bool media_progress_report(void *context, int permille);

// Wipes the bar away.
void media_progress_clear(const struct media_progress *progress);
