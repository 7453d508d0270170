// Any bytes as a line of the media child: what is understood is written and read again as the same,
// and its texts are fit for a log and a mail.

#include "protocol/media_report.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void expect_printable(const char *text, size_t size)
{
    assert(memchr(text, '\0', size) != NULL);
    for (; *text != '\0'; text++)
        assert((unsigned char)*text >= ' ' && *text != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct media_report report, again;
    char line[512];
    media_report_parse((const char *)bytes, size, &report);
    expect_printable(report.code, sizeof report.code);
    expect_printable(report.detail, sizeof report.detail);
    assert(report.progress_permille >= 0 && report.progress_permille <= 1000);
    assert(report.duration_ms >= 0);
    if (report.kind == MEDIA_MALFORMED)
        return 0;
    size_t length = media_report_format(&report, line, sizeof line);
    assert(length > 0 && line[length - 1] == '\n');
    media_report_parse(line, length, &again);
    assert(again.kind == report.kind && again.duration_ms == report.duration_ms &&
           again.progress_permille == report.progress_permille &&
           strcmp(again.code, report.code) == 0);
    return 0;
}
