#include "media/media_segments.h"

#include "base/alloc.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>

enum {
    STACK_BYTES = 512 * 1024,
    STEP_FRAMES = 16,  // encoded between two looks at what else there is to do
    WRITE_FRAMES = 64, // written at once
    // How much earlier than its newest complete frame an encoder can have taken its samples. The
    // reservoir is what delays it: 255 bytes of it last for 85 of the smallest frames.
    LAG_FRAMES = 96,
};

struct media_segments {
    struct media_rules rules;
    int thread_count;
    pthread_t *threads;
    pthread_mutex_t lock; // over all below; an encoder and its frames belong to who set is_busy
    pthread_cond_t work;  // there may be something to do
    pthread_cond_t moved; // for the caller: there is room, or all is done, or a thread has failed
    int idle_count;

    const struct preset *preset;
    struct media_format format;
    struct media_layout *layout;
    int frame_samples;
    struct media_pcm pcm;
    struct media_segment *head; // the oldest: its frames are the next to be written
    int64_t next_number;        // of the segment that begins next
    struct media_segments_result result;
    bool is_begun;
    bool is_done;
    bool is_stopping;
    bool is_failed;
    struct media_failure failure;
};

// Why it cannot come to a stop: take the encoder with the smallest position, or the segment that
// begins next if it begins before. The window starts there and reaches further than two lead-ins,
// a step and the lag, so what it needs next fits in. It waits for nobody: an encoder waits only
// while the next segment's encoder has fewer frames than itself, or has not begun, and that one's
// position would be smaller. Or it waits for the head to decide about its segment, and then the
// head's position is smaller.

// ---- what there is to do; all under the lock ----

// A segment is worth its lead-in when it has at least as much behind that.
static bool exists(const struct media_segments *segments, int64_t number)
{
    int64_t frames = media_segment_start(&segments->rules, number) + segments->rules.lead_in_frames;
    return number == 0 || segments->pcm.end >= frames * segments->frame_samples;
}

static bool will_never_exist(const struct media_segments *segments, int64_t number)
{
    return segments->pcm.is_ended && !exists(segments, number);
}

// No join lies before it any more: its own frames are used up to the end of the file.
static bool is_last(const struct media_segments *segments, const struct media_segment *segment)
{
    if (segment->is_joined)
        return false;
    if (segment->next == NULL)
        return will_never_exist(segments, segments->next_number);
    return segment->next->is_flushed && segment->candidate >= segment->next->known;
}

// Its frames before this one are used, whatever comes.
static int64_t certain(const struct media_segments *segments, const struct media_segment *segment)
{
    bool is_bounded = segment->is_joined || segment->known > segment->candidate;
    return is_bounded && !is_last(segments, segment) ? segment->candidate : segment->known;
}

static bool is_resolved(const struct media_segments *segments, const struct media_segment *segment)
{
    return segment->is_joined || (segment->is_flushed && is_last(segments, segment));
}

static bool has_to_write(const struct media_segments *segments, const struct media_segment *segment)
{
    return is_resolved(segments, segment) ||
           certain(segments, segment) - segment->from >= WRITE_FRAMES;
}

// How many frames it has to encode now, as far as there are samples for them. At the end of the
// file that may be part of one.
static int64_t frames_to_encode(const struct media_segments *segments,
                                const struct media_segment *segment)
{
    if (segment->is_joined || segment->is_flushed)
        return 0;
    int64_t wanted = STEP_FRAMES;
    if (!is_last(segments, segment))
        wanted = media_segment_wanted(segment, &segments->rules) - segment->known;
    int64_t there = (segments->pcm.end - segment->position) / segments->frame_samples;
    if (segments->pcm.is_ended)
        there++;
    wanted = wanted < STEP_FRAMES ? wanted : STEP_FRAMES;
    return wanted < there ? wanted : there;
}

// The oldest first: it is what the window's start, and so everybody, waits for. A new segment
// begins where no older one can use this thread, but not while the head has nothing left but to be
// written: no position holds the window then, and on a slow disk the frames would pile up.
static struct media_segment *find_work(struct media_segments *segments)
{
    struct media_segment **at = &segments->head;
    for (; *at != NULL; at = &(*at)->next) {
        struct media_segment *segment = *at;
        bool is_writing = segment == segments->head && has_to_write(segments, segment);
        if (!segment->is_busy && (is_writing || frames_to_encode(segments, segment) > 0))
            return segment;
    }
    if (segments->head != NULL && is_resolved(segments, segments->head))
        return NULL;
    bool is_there = segments->pcm.end > 0 || segments->pcm.is_ended;
    if (!is_there || !exists(segments, segments->next_number))
        return NULL;
    size_t window_frames = segments->pcm.capacity / (size_t)segments->frame_samples;
    *at = media_segment_create(&segments->rules, segments->next_number++, segments->frame_samples,
                               window_frames + 2 * (size_t)segments->rules.segment_frames +
                                   LAG_FRAMES);
    segments->result.segments++;
    return *at;
}

static void remove_next(struct media_segments *segments, struct media_segment *segment)
{
    struct media_segment *next = segment->next;
    segment->next = next->next;
    segments->result.spare_frames += next->known - next->first_frame;
    media_segment_destroy(next);
}

// Joins what can be joined. A segment that the head has passed is thrown away. Only the head does
// that: to another one's place somebody before it may be joined yet.
static void settle_joins(struct media_segments *segments)
{
    for (struct media_segment *segment = segments->head; segment != NULL;) {
        struct media_segment *next = segment->next;
        if (segment->is_joined || segment->is_busy || next == NULL || next->is_busy) {
            segment = next;
            continue;
        }
        int64_t after = next->number + 1;
        bool has_end = !will_never_exist(segments, after);
        int64_t limit = has_end ? media_segment_start(&segments->rules, after) : INT64_MAX;
        media_segment_try_join(segment, &segments->rules, limit);
        bool is_passed = !segment->is_joined && segment->candidate >= limit;
        if (is_passed && segment == segments->head && exists(segments, after)) {
            remove_next(segments, segment);
            segments->result.thrown_away++;
        } else {
            segment = next;
        }
    }
}

// The window starts at the oldest sample that an encoder still needs, or the one that begins next.
static void settle_window(struct media_segments *segments)
{
    int64_t start =
        segments->next_number * segments->rules.segment_frames * segments->frame_samples;
    if (start > segments->pcm.end)
        start = segments->pcm.end;
    for (const struct media_segment *segment = segments->head; segment != NULL;
         segment = segment->next)
        if (!is_resolved(segments, segment) && segment->position < start)
            start = segment->position;
    if (start > segments->pcm.start) {
        segments->pcm.start = start;
        pthread_cond_signal(&segments->moved);
    }
}

// The head has been written up to where the next one goes on.
static void settle_head(struct media_segments *segments)
{
    struct media_segment *head = segments->head;
    if (head == NULL || head->is_busy || !is_resolved(segments, head) ||
        head->from < certain(segments, head))
        return;
    segments->result.spare_frames += head->known - head->from;
    if (head->is_joined) {
        struct media_segment *next = head->next;
        segments->result.spare_frames += head->candidate - next->first_frame;
        segments->result.joins++;
        next->from = head->candidate;
        segments->head = next;
        media_segment_destroy(head);
        return;
    }
    for (const struct media_segment *next = head->next; next != NULL; next = next->next) {
        segments->result.spare_frames += next->known - next->first_frame;
        segments->result.thrown_away++;
    }
    segments->is_done = true;
    pthread_cond_signal(&segments->moved);
}

static void settle(struct media_segments *segments)
{
    settle_joins(segments);
    settle_head(segments);
    settle_window(segments);
    if (segments->idle_count > 0)
        pthread_cond_broadcast(&segments->work);
}

static void fail(struct media_segments *segments, const struct media_failure *why)
{
    if (!segments->is_failed)
        segments->failure = *why;
    segments->is_failed = true;
    pthread_cond_signal(&segments->moved);
    pthread_cond_broadcast(&segments->work);
}

// ---- doing it; the segment is busy, so without the lock ----

static bool write_frames(struct media_segments *segments, struct media_segment *segment,
                         int64_t end, struct media_failure *why)
{
    for (int64_t frame = segment->from; frame < end; frame++)
        if (!media_layout_add(segments->layout,
                              media_frames_at(segment->frames, frame - segment->first_frame), why))
            return false;
    // A join is judged by the last ones too.
    media_frames_drop(segment->frames, end - segment->first_frame - MEDIA_JOIN_SAME_FRAMES);
    return true;
}

static bool write_head(struct media_segments *segments, struct media_segment *head)
{
    struct media_failure why;
    int64_t end = certain(segments, head);
    pthread_mutex_unlock(&segments->lock);
    bool is_written = write_frames(segments, head, end, &why);
    pthread_mutex_lock(&segments->lock);
    head->from = end;
    if (!is_written)
        fail(segments, &why);
    return is_written;
}

static bool encode(struct media_segments *segments, struct media_segment *segment)
{
    struct media_failure why;
    int64_t end = segment->position + frames_to_encode(segments, segment) * segments->frame_samples;
    if (end > segments->pcm.end)
        end = segments->pcm.end;
    bool is_end = segments->pcm.is_ended && end == segments->pcm.end;
    pthread_mutex_unlock(&segments->lock);
    if (segment->lame == NULL)
        segment->lame = media_lame_open(segments->preset, segments->format, &why);
    bool is_encoded =
        segment->lame != NULL && media_segment_encode(segment, &segments->pcm, end, is_end, &why);
    pthread_mutex_lock(&segments->lock);
    segment->position = end;
    segment->known = segment->first_frame + media_frames_next(segment->frames);
    segment->is_flushed = is_end;
    if (!is_encoded)
        fail(segments, &why);
    return is_encoded;
}

static void *work(void *context)
{
    struct media_segments *segments = context;
    pthread_mutex_lock(&segments->lock);
    while (!segments->is_stopping) {
        bool is_open = segments->is_begun && !segments->is_failed && !segments->is_done;
        struct media_segment *segment = is_open ? find_work(segments) : NULL;
        if (segment == NULL) {
            segments->idle_count++;
            if (!segments->is_begun)
                pthread_cond_signal(&segments->moved);
            pthread_cond_wait(&segments->work, &segments->lock);
            segments->idle_count--;
            continue;
        }
        segment->is_busy = true;
        bool is_writing = segment == segments->head && has_to_write(segments, segment);
        bool is_well = is_writing ? write_head(segments, segment) : encode(segments, segment);
        segment->is_busy = false;
        if (is_well)
            settle(segments);
    }
    pthread_mutex_unlock(&segments->lock);
    return NULL;
}

// ---- for the caller ----

// A thread's first steps need system calls that a confined process does not have.
static void wait_for_threads(struct media_segments *segments)
{
    pthread_mutex_lock(&segments->lock);
    while (segments->idle_count < segments->thread_count)
        pthread_cond_wait(&segments->moved, &segments->lock);
    pthread_mutex_unlock(&segments->lock);
}

// Signals are for the thread that waits for them.
static bool start_threads(struct media_segments *segments, int threads)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_attr_init(&attributes) != 0)
        return false;
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    segments->threads = alloc_zeroed((size_t)threads, sizeof *segments->threads);
    while (segments->thread_count < threads &&
           pthread_create(&segments->threads[segments->thread_count], &attributes, work,
                          segments) == 0)
        segments->thread_count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return segments->thread_count == threads;
}

struct media_segments *media_segments_create(int threads, const struct media_rules *rules,
                                             struct media_failure *why)
{
    assert(threads >= 1 && rules->lead_in_frames >= MEDIA_JOIN_SAME_FRAMES);
    SCOPED(media_segments_close)
    struct media_segments *segments = alloc_zeroed(1, sizeof *segments);
    segments->rules = *rules;
    pthread_mutex_init(&segments->lock, NULL);
    pthread_cond_init(&segments->work, NULL);
    pthread_cond_init(&segments->moved, NULL);
    if (!start_threads(segments, threads)) {
        media_fail(why, "internal", "The encoder's threads could not be started.");
        return NULL;
    }
    wait_for_threads(segments);
    return TAKE(segments);
}

void media_segments_close(struct media_segments *segments)
{
    if (segments == NULL)
        return;
    pthread_mutex_lock(&segments->lock);
    segments->is_stopping = true;
    pthread_cond_broadcast(&segments->work);
    pthread_mutex_unlock(&segments->lock);
    for (int i = 0; i < segments->thread_count; i++)
        pthread_join(segments->threads[i], NULL);
    while (segments->head != NULL) {
        struct media_segment *head = segments->head;
        segments->head = head->next;
        media_segment_destroy(head);
    }
    media_pcm_finish(&segments->pcm);
    pthread_cond_destroy(&segments->moved);
    pthread_cond_destroy(&segments->work);
    pthread_mutex_destroy(&segments->lock);
    free(segments->threads);
    free(segments);
}

void media_segments_begin(struct media_segments *segments, const struct preset *preset,
                          struct media_format format, struct media_layout *layout)
{
    assert(!segments->is_begun);
    const struct media_rules *rules = &segments->rules;
    int frame_samples = media_lame_frame_samples(format);
    int frames = (segments->thread_count - 1) * rules->segment_frames + 2 * rules->lead_in_frames +
                 LAG_FRAMES + STEP_FRAMES;
    pthread_mutex_lock(&segments->lock);
    segments->preset = preset;
    segments->format = format;
    segments->layout = layout;
    segments->frame_samples = frame_samples;
    media_pcm_init(&segments->pcm, format.channels, (size_t)frames * (size_t)frame_samples);
    segments->is_begun = true;
    pthread_mutex_unlock(&segments->lock);
}

// Under the lock.
static bool is_well(const struct media_segments *segments, struct media_failure *why)
{
    if (segments->is_failed)
        *why = segments->failure;
    return !segments->is_failed;
}

bool media_segments_write(struct media_segments *segments, const float *left, const float *right,
                          size_t count, struct media_failure *why)
{
    struct media_pcm *pcm = &segments->pcm;
    pthread_mutex_lock(&segments->lock);
    assert(segments->is_begun && !pcm->is_ended);
    while (count > 0 && !segments->is_failed) {
        size_t room = media_pcm_room(pcm);
        if (room == 0) {
            pthread_cond_wait(&segments->moved, &segments->lock);
            continue;
        }
        size_t piece = count < room ? count : room;
        int64_t end = pcm->end;
        pthread_mutex_unlock(&segments->lock);
        media_pcm_put(pcm, end, left, right, piece);
        pthread_mutex_lock(&segments->lock);
        pcm->end += (int64_t)piece;
        left += piece;
        right += piece;
        count -= piece;
        if (segments->idle_count > 0)
            pthread_cond_broadcast(&segments->work);
    }
    bool result = is_well(segments, why);
    pthread_mutex_unlock(&segments->lock);
    return result;
}

bool media_segments_finish(struct media_segments *segments, struct media_segments_result *out,
                           struct media_failure *why)
{
    pthread_mutex_lock(&segments->lock);
    assert(segments->is_begun && !segments->pcm.is_ended);
    segments->pcm.is_ended = true;
    settle(segments);
    while (!segments->is_done && !segments->is_failed)
        pthread_cond_wait(&segments->moved, &segments->lock);
    bool result = is_well(segments, why);
    *out = segments->result;
    pthread_mutex_unlock(&segments->lock);
    return result;
}
