// Any bytes to `unreel probe`: it answers, in JSON that a strict parser reads.

#include "fuzz_file.h"
#include "media/media_confine.h"
#include "media/media_probe.h"

#include <assert.h>
#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct media_failure why = {0};
    json_error_t problem;
    media_confine_prepare();
    media_probe_prepare();
    SCOPED_BUF struct buf out;
    buf_init(&out, MEDIA_PROBE_BYTES);
    if (!media_probe(fuzz_file(bytes, size), &out, &why)) {
        fuzz_expect_blame(&why);
        return 0;
    }
    json_t *answer = json_loadb(out.bytes, out.size, JSON_REJECT_DUPLICATES, &problem);
    assert(json_is_object(answer));
    json_decref(answer);
    return 0;
}
