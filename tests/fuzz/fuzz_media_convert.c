// Any bytes as an MP4 through the whole pipeline, in this process: a sound MP3 of the length that
// was told, the same on two threads, or a code that blames the file. tests/fuzz/campaign does this
// in the confined child; here it is much faster, and a sanitizer sees into it.

#include "base/buf.h"
#include "fuzz_file.h"
#include "media/media_confine.h"
#include "media/media_convert.h"
#include "media/media_encode.h"
#include "mp3/mp3_frames.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { LONGEST_MS = 60000, SHARED_MS = 30000, TOLERANCE_MS = 1000 };

static bool convert(int source_fd, int output_fd, int threads, struct media_result *out,
                    struct media_failure *why)
{
    struct choices choices;
    choices_init(&choices);
    SCOPED(media_encoder_close) struct media_encoder *encoder = media_encoder_create(threads, why);
    const struct media_job job = {.source_fd = source_fd,
                                  .output_fd = output_fd,
                                  .choices = &choices,
                                  .title = "A title",
                                  .max_duration_ms = LONGEST_MS,
                                  .encoder = encoder};
    return media_convert(&job, out, why);
}

static void expect_sound(int output_fd, const struct media_result *result)
{
    struct mp3_summary summary;
    struct error err = {0};
    assert(result->duration_ms <= LONGEST_MS);
    assert(lseek(output_fd, 0, SEEK_SET) == 0);
    if (!mp3_check_file(output_fd, &summary, &err))
        fprintf(stderr, "%s\n", err.text);
    assert(err.kind == ERROR_NONE);
    int64_t difference_ms = summary.duration_ms - result->duration_ms;
    assert(difference_ms >= -TOLERANCE_MS && difference_ms <= TOLERANCE_MS);
}

static void expect_same(int fd, int other_fd)
{
    static unsigned char bytes[65536], others[sizeof bytes];
    int64_t offset = 0;
    for (ssize_t got = 1; got > 0; offset += got) {
        got = pread(fd, bytes, sizeof bytes, offset);
        assert(pread(other_fd, others, sizeof others, offset) == got);
        assert(got >= 0 && memcmp(bytes, others, (size_t)got) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct media_failure why = {0};
    struct media_result result, again;
    int source_fd = fuzz_file(bytes, size), output_fd = fuzz_output(0);
    media_confine_prepare();
    if (!convert(source_fd, output_fd, 1, &result, &why)) {
        fuzz_expect_blame(&why);
        return 0;
    }
    expect_sound(output_fd, &result);
    // Only what is long enough is shared between threads.
    if (result.duration_ms < SHARED_MS)
        return 0;
    int other_fd = fuzz_output(1);
    assert(convert(source_fd, other_fd, 2, &again, &why));
    expect_same(output_fd, other_fd);
    return 0;
}
