// Any bytes as an MP4 through the whole pipeline, in this process: a sound MP3 of the length that
// was told, or a code that blames the file. tests/fuzz/campaign does this in the confined child;
// here it is much faster, and a sanitizer sees into it.

#include "base/buf.h"
#include "fuzz_file.h"
#include "media/media_confine.h"
#include "media/media_convert.h"
#include "media/media_encode.h"
#include "mp3/mp3_frames.h"

#include <assert.h>
#include <stdio.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { LONGEST_MS = 10000, TOLERANCE_MS = 1000 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct media_failure why = {0};
    struct media_result result;
    struct mp3_summary summary;
    struct error err = {0};
    struct choices choices;
    media_confine_prepare();
    choices_init(&choices);
    SCOPED(media_encoder_close) struct media_encoder *encoder = media_encoder_create(1, &why);
    const struct media_job job = {.source_fd = fuzz_file(bytes, size),
                                  .output_fd = fuzz_output(),
                                  .choices = &choices,
                                  .title = "A title",
                                  .max_duration_ms = LONGEST_MS,
                                  .encoder = encoder};
    if (!media_convert(&job, &result, &why)) {
        fuzz_expect_blame(&why);
        return 0;
    }
    assert(result.duration_ms <= LONGEST_MS);
    assert(lseek(job.output_fd, 0, SEEK_SET) == 0);
    if (!mp3_check_file(job.output_fd, &summary, &err))
        fprintf(stderr, "%s\n", err.text);
    assert(err.kind == ERROR_NONE);
    int64_t difference_ms = summary.duration_ms - result.duration_ms;
    assert(difference_ms >= -TOLERANCE_MS && difference_ms <= TOLERANCE_MS);
    return 0;
}
