#include "media/media_pcm.h"

#include "base/alloc.h"

#include <assert.h>
#include <string.h>

void media_pcm_init(struct media_pcm *pcm, int channels, size_t capacity)
{
    assert((channels == 1 || channels == 2) && capacity > 0);
    *pcm = (struct media_pcm){.channels = channels, .capacity = capacity};
    for (int i = 0; i < channels; i++)
        pcm->planes[i] = alloc_zeroed(capacity, sizeof(float));
}

void media_pcm_finish(struct media_pcm *pcm)
{
    free(pcm->planes[0]);
    free(pcm->planes[1]);
    *pcm = (struct media_pcm){0};
}

size_t media_pcm_room(const struct media_pcm *pcm)
{
    return pcm->capacity - (size_t)(pcm->end - pcm->start);
}

// Up to the end of the memory; the rest goes on at its beginning.
static size_t straight(const struct media_pcm *pcm, size_t offset, size_t count)
{
    return count < pcm->capacity - offset ? count : pcm->capacity - offset;
}

void media_pcm_put(struct media_pcm *pcm, int64_t position, const float *left, const float *right,
                   size_t count)
{
    assert(count <= pcm->capacity && pcm->channels <= 2);
    const float *sources[2] = {left, right};
    size_t offset = (size_t)position % pcm->capacity;
    size_t first = straight(pcm, offset, count);
    for (int i = 0; i < pcm->channels; i++) {
        memcpy(pcm->planes[i] + offset, sources[i], first * sizeof(float));
        memcpy(pcm->planes[i], sources[i] + first, (count - first) * sizeof(float));
    }
}

size_t media_pcm_at(const struct media_pcm *pcm, int64_t position, size_t count,
                    const float **out_left, const float **out_right)
{
    size_t offset = (size_t)position % pcm->capacity;
    *out_left = pcm->planes[0] + offset;
    *out_right = pcm->planes[pcm->channels - 1] + offset;
    return straight(pcm, offset, count);
}
