#include "media/media_progress.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/stop.h"
#include "protocol/media_report.h"

#include <stdio.h>
#include <string.h>

enum { PACE_MS = 200, BAR_COLUMNS = 40 };

// A parent or terminal that is gone is noticed elsewhere: the conversion need not fail for it.
static void put(int fd, const char *text, size_t size)
{
    struct error ignored;
    (void)file_write_all(fd, text, size, &ignored);
}

static void draw_bar(int fd, int permille)
{
    char bar[BAR_COLUMNS + 1];
    int filled = permille * BAR_COLUMNS / 1000;
    memset(bar, '.', BAR_COLUMNS);
    memset(bar, '#', (size_t)filled);
    bar[BAR_COLUMNS] = '\0';
    char line[96];
    int size = snprintf(line, sizeof line, "\r[%s] %3d %%", bar, permille / 10);
    put(fd, line, (size_t)size);
}

static void send_line(int fd, int permille)
{
    char line[64];
    const struct media_report report = {.kind = MEDIA_PROGRESS, .progress_permille = permille};
    put(fd, line, media_report_format(&report, line, sizeof line));
}

bool media_progress_report(void *context, int permille)
{
    struct media_progress *progress = context;
    if (stop_is_requested())
        return false;
    if (progress->form == MEDIA_PROGRESS_SILENT)
        return true;
    int64_t now_ms = clock_monotonic_ms();
    if (permille == progress->last_permille || now_ms < progress->last_ms + PACE_MS)
        return true;
    progress->last_permille = permille;
    progress->last_ms = now_ms;
    if (progress->form == MEDIA_PROGRESS_BAR)
        draw_bar(progress->fd, permille);
    else
        send_line(progress->fd, permille);
    return true;
}

void media_progress_clear(const struct media_progress *progress)
{
    static const char wipe[] = "\r\033[K";
    if (progress->form == MEDIA_PROGRESS_BAR && progress->last_ms != 0)
        put(progress->fd, wipe, sizeof wipe - 1);
}
