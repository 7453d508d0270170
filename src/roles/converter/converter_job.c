// A conversion's way through the converter, in the order in which it happens: claim, source, child,
// check, store, end. Whatever goes wrong on the way ends in one `struct outcome`, which `settle`
// writes into the row.
#include "roles/converter/converter_job.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/metrics.h"
#include "mp3/mp3_frames.h"
#include "protocol/media_report.h"
#include "roles/converter/converter_child.h"
#include "roles/options.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 256 * 1024,
    DURATION_TOLERANCE_MS = 1000,
    FREE_BYTES_SMALLEST = 16 * 1024 * 1024, // below, no conversion is begun
    BYTES_PER_MS_LARGEST = 40,              // of an MP3: 320 kbit/s
    TAGS_BYTES_LARGEST = 32 * 1024 * 1024,  // cover and chapters before it
    SETTLE_MS = 30000,                      // half a lease: nobody else has the row until then
    SETTLE_STOPPING_MS = 5000,
    BACKOFF_BASE_MS = 100,
    BACKOFF_CAP_MS = 5000,
};

enum outcome_kind {
    OUTCOME_READY,
    OUTCOME_FAILED,    // the file is the reason
    OUTCOME_POSTPONED, // something of ours is
    OUTCOME_CRASHED,
    OUTCOME_GIVEN_BACK,
    OUTCOME_LOST,
};

static const char *const outcome_names[] = {
    [OUTCOME_READY] = "ready",           [OUTCOME_FAILED] = "failed",
    [OUTCOME_POSTPONED] = "postponed",   [OUTCOME_CRASHED] = "crashed",
    [OUTCOME_GIVEN_BACK] = "given_back", [OUTCOME_LOST] = "lost",
};

struct outcome {
    enum outcome_kind kind;
    char code[JOBS_CODE_SIZE];
    char detail[JOBS_DETAIL_SIZE]; // for the row: a sentence that a user may read
    struct error reason;           // for the log; its kind says whether a store is in trouble
    struct blob_info audio;        // READY
    int64_t duration_ms;
};

// ---- handles ----

static bool has_room(struct converter_job *job, struct error *err)
{
    int64_t free_bytes = 0;
    if (!blobs_ready(job->blobs, &free_bytes, err))
        return false;
    if (free_bytes < FREE_BYTES_SMALLEST)
        return error_set(err, ERROR_NO_SPACE, "the blob store is full");
    struct statvfs scratch;
    if (statvfs(job->settings->scratch_directory, &scratch) != 0)
        return error_set_errno(err, errno, "look at %s", job->settings->scratch_directory);
    if ((int64_t)scratch.f_bavail * (int64_t)scratch.f_frsize < FREE_BYTES_SMALLEST)
        return error_set(err, ERROR_NO_SPACE, "the scratch directory is full");
    return true;
}

bool converter_job_open(struct converter_job *job, struct error *err)
{
    const struct converter_settings *settings = job->settings;
    if (job->jobs == NULL && (job->jobs = jobs_open(settings->jobs_url, err)) == NULL)
        return false;
    if (job->blobs == NULL && (job->blobs = blobs_open(settings->blobs_url, err)) == NULL)
        return false;
    return has_room(job, err);
}

void converter_job_close(struct converter_job *job)
{
    jobs_close(TAKE(job->jobs));
    blobs_close(TAKE(job->blobs));
}

// ---- from source to stored MP3 ----

static void postpone(struct outcome *out, const struct error *reason, const char *detail)
{
    out->kind = OUTCOME_POSTPONED;
    out->reason = *reason;
    snprintf(out->detail, sizeof out->detail, "%s", detail);
}

static void postpone_for_store(struct outcome *out, const struct error *reason)
{
    postpone(out, reason, "A part of this service did not answer.");
}

static void postpone_for_result(struct outcome *out, const char *reason)
{
    struct error err = {0};
    error_set(&err, ERROR_INTERNAL, "%s", reason);
    postpone(out, &err, "The conversion did not give a complete MP3.");
}

static bool is_cancelled(struct converter_job *job, struct outcome *out)
{
    switch (crew_cancelled(job->crew)) {
    case CREW_GO_ON:
        return false;
    case CREW_STOPPING:
        out->kind = OUTCOME_GIVEN_BACK;
        return true;
    case CREW_LOST:
        break;
    }
    out->kind = OUTCOME_LOST;
    return true;
}

// The file's name without its ending: the title where the video has none of its own.
static char *title_of(const struct conversion *conversion)
{
    char *title = alloc_text(conversion->name);
    char *dot = strrchr(title, '.');
    if (dot != NULL && dot != title && strlen(dot) <= 5)
        *dot = '\0';
    return title;
}

static void note_progress(void *context, int permille)
{
    struct converter_job *job = context;
    crew_progress(job->crew, permille);
}

struct child_arguments {
    const char *list[32];
    char choices[16][64]; // "--preset=voice"
    char cores[16];
    char longest_ms[32];
};

static void set_arguments(const struct converter_settings *settings, const struct options *options,
                          const char *title, struct child_arguments *out)
{
    snprintf(out->cores, sizeof out->cores, "%d", settings->cores);
    snprintf(out->longest_ms, sizeof out->longest_ms, "%" PRId64, settings->max_duration_ms);
    const char *const fixed[] = {"unreel-media",      "child",         "--title", title,
                                 "--max-duration-ms", out->longest_ms, "--cores", out->cores};
    size_t count = sizeof fixed / sizeof fixed[0];
    memcpy(out->list, fixed, sizeof fixed);
    const struct choice *choice;
    for (size_t i = 0; (choice = choices_at(i)) != NULL; i++) {
        char text[CHOICES_TEXT_SIZE];
        assert(i < sizeof out->choices / sizeof out->choices[0]);
        if (!choices_format(&options->choices, i, text))
            continue;
        snprintf(out->choices[i], sizeof out->choices[i], "--%s=%s", choice->name, text);
        out->list[count++] = out->choices[i];
    }
    if (settings->is_best_effort)
        out->list[count++] = "--best-effort";
    out->list[count] = NULL;
}

static void run_child(struct converter_job *job, const struct conversion *conversion,
                      const struct options *options, const int fds[2],
                      struct converter_child_verdict *out)
{
    const struct converter_settings *settings = job->settings;
    SCOPED(free) char *name = title_of(conversion);
    struct child_arguments arguments;
    set_arguments(settings, options, options->title[0] != '\0' ? options->title : name, &arguments);
    struct converter_child child = {
        .nursery = &job->nursery,
        .arguments = arguments.list,
        .source_fd = fds[0],
        .output_fd = fds[1],
        .cancel_fd = crew_cancel_fd(job->crew),
        .timeout_ms = settings->timeout_ms,
        .limits = {.processor_s = settings->cores * (settings->timeout_ms / 1000 + 1),
                   .memory_bytes = settings->memory_bytes,
                   .output_bytes =
                       settings->max_duration_ms * BYTES_PER_MS_LARGEST + TAGS_BYTES_LARGEST},
        .progress = note_progress,
        .context = job,
    };
    converter_child_run(&child, out);
}

bool converter_job_check_program(struct converter_job *job, struct error *err)
{
    static const char no_video[] = "Whoever reads this as a video is mistaken.\n";
    const struct conversion conversion = {.name = "check"};
    struct options options;
    options_init(&options);
    struct converter_child_verdict verdict;
    SCOPED_FD int source_fd = file_open_scratch(job->settings->scratch_directory, err);
    SCOPED_FD int output_fd =
        source_fd < 0 ? -1 : file_open_scratch(job->settings->scratch_directory, err);
    if (output_fd < 0 || !file_write_all(source_fd, no_video, sizeof no_video - 1, err))
        return false;
    if (lseek(source_fd, 0, SEEK_SET) != 0)
        return error_set_errno(err, errno, "go to the start of a file");
    run_child(job, &conversion, &options, (const int[]){source_fd, output_fd}, &verdict);
    if (verdict.end == CHILD_FAILED && strcmp(verdict.code, "not_media") == 0)
        return true;
    return error_set(err, ERROR_INTERNAL, "%.180s",
                     verdict.detail[0] != '\0' ? verdict.detail : "it takes anything for a video");
}

// False: `out` says why there is no MP3.
static bool take_verdict(struct converter_job *job, const struct converter_child_verdict *verdict,
                         struct outcome *out)
{
    switch (verdict->end) {
    case CHILD_DONE:
        out->duration_ms = verdict->duration_ms;
        return true;
    case CHILD_FAILED:
        out->kind = OUTCOME_FAILED;
        snprintf(out->code, sizeof out->code, "%s", verdict->code);
        snprintf(out->detail, sizeof out->detail, "%s", verdict->detail);
        return false;
    case CHILD_CRASHED:
        metrics_add("unreel_child_crashes_total", "", 1);
        metrics_add("unreel_child_forbidden_calls_total", "", verdict->is_forbidden_call);
        out->kind = OUTCOME_CRASHED;
        error_set(&out->reason, ERROR_INTERNAL, "%s", verdict->detail);
        return false;
    case CHILD_CANCELLED:
        is_cancelled(job, out);
        return false;
    case CHILD_TRANSIENT:
        break;
    }
    postpone_for_result(out, verdict->detail);
    out->reason.kind =
        ERROR_UNAVAILABLE; // the machine may be why: the next one would fare no better
    return false;
}

// Nothing that the child said is taken on trust: the MP3 is walked frame by frame.
static bool check_result(int output_fd, struct outcome *out)
{
    struct error err = {0};
    struct mp3_summary summary;
    char reason[120];
    if (lseek(output_fd, 0, SEEK_SET) != 0 || !mp3_check_file(output_fd, &summary, &err)) {
        postpone_for_result(out, err.text[0] != '\0' ? err.text : "the MP3 cannot be read back");
        return false;
    }
    int64_t difference_ms = summary.duration_ms - out->duration_ms;
    if (difference_ms > DURATION_TOLERANCE_MS || difference_ms < -DURATION_TOLERANCE_MS) {
        snprintf(reason, sizeof reason, "the MP3 lasts %" PRId64 " ms, the report says %" PRId64,
                 summary.duration_ms, out->duration_ms);
        postpone_for_result(out, reason);
        return false;
    }
    out->duration_ms = summary.duration_ms;
    return true;
}

// The whole file into the writer; false with err, or with `out` where the work was cancelled.
static bool copy(struct converter_job *job, int output_fd, struct blob_writer *writer,
                 struct outcome *out, struct error *err)
{
    SCOPED(free) char *piece = alloc_resize(NULL, PIECE_BYTES);
    int64_t offset = 0;
    while (!is_cancelled(job, out)) {
        ssize_t got = file_read_at(output_fd, piece, PIECE_BYTES, offset, err);
        if (got <= 0)
            return got == 0;
        if (!blob_write(job->blobs, writer, piece, (size_t)got, err))
            return false;
        offset += got;
    }
    return false;
}

static void store(struct converter_job *job, const struct conversion *conversion, int output_fd,
                  struct outcome *out)
{
    struct error err = {0};
    char key[BLOB_KEY_SIZE];
    snprintf(key, sizeof key, "audio/%s/%" PRId64, conversion->id, conversion->attempt);
    SCOPED(free) char *title = title_of(conversion);
    SCOPED(free) char *name = alloc_format("%s.mp3", title);
    const struct blob_about about = {.owner = conversion->owner,
                                     .conversion = conversion->id,
                                     .name = name,
                                     .content_type = "audio/mpeg"};
    struct blob_writer *writer = blobs_create(job->blobs, key, &about, &err);
    if (writer == NULL) {
        postpone_for_store(out, &err);
        return;
    }
    out->kind = OUTCOME_READY;
    if (!copy(job, output_fd, writer, out, &err)) {
        blob_abort(job->blobs, writer);
        if (out->kind == OUTCOME_READY)
            postpone_for_store(out, &err);
        return;
    }
    if (!blob_commit(job->blobs, writer, &out->audio, &err))
        postpone_for_store(out, &err);
}

// A newer gateway may have written what we do not understand. Defaults would make another MP3 than
// was asked for; a converter of its release makes the right one when the user tries again.
static bool read_options(const struct conversion *conversion, struct options *options,
                         struct outcome *out)
{
    if (options_read(conversion->options, options, &out->reason))
        return true;
    out->kind = OUTCOME_FAILED;
    snprintf(out->code, sizeof out->code, "unknown_options");
    snprintf(out->detail, sizeof out->detail, "%s", media_code_sentence(out->code));
    log_warn("the options are of another release", LOG_TEXT("reason", out->reason.text));
    return false;
}

static void convert(struct converter_job *job, const struct conversion *conversion,
                    struct outcome *out)
{
    struct error err = {0};
    struct blob_info source;
    struct options options;
    if (is_cancelled(job, out) || !read_options(conversion, &options, out))
        return;
    const char *scratch = job->settings->scratch_directory;
    SCOPED_FD int source_fd = blobs_open_fd(job->blobs, conversion->source_key, scratch,
                                            crew_cancel_fd(job->crew), &source, &err);
    SCOPED_FD int output_fd = source_fd >= 0 ? file_open_scratch(scratch, &err) : -1;
    if (output_fd >= 0 && lseek(source_fd, 0, SEEK_SET) != 0)
        error_set_errno(&err, errno, "go to the start of the source");
    if (err.kind != ERROR_NONE) {
        if (!is_cancelled(job, out))
            postpone_for_store(out, &err);
        return;
    }
    struct converter_child_verdict verdict;
    run_child(job, conversion, &options, (const int[]){source_fd, output_fd}, &verdict);
    if (take_verdict(job, &verdict, out) && check_result(output_fd, out))
        store(job, conversion, output_fd, out);
}

// ---- the end ----

static enum jobs_answer settle_once(struct converter_job *job, const struct jobs_claimed *claimed,
                                    const struct outcome *outcome, struct error *err)
{
    int64_t retention_ms = job->settings->retention_ms;
    if (job->jobs == NULL && (job->jobs = jobs_open(job->settings->jobs_url, err)) == NULL)
        return JOBS_ERROR;
    const struct jobs_result result = {.audio_key = outcome->audio.key,
                                       .audio_bytes = outcome->audio.size_bytes,
                                       .audio_sha256 = outcome->audio.sha256,
                                       .duration_ms = outcome->duration_ms,
                                       .retention_ms = retention_ms};
    switch (outcome->kind) {
    case OUTCOME_READY:
        return jobs_finish(job->jobs, claimed, &result, err);
    case OUTCOME_FAILED:
        return jobs_fail(job->jobs, claimed, outcome->code, outcome->detail, retention_ms, err);
    case OUTCOME_POSTPONED:
        return jobs_postpone(job->jobs, claimed, outcome->detail, retention_ms, err);
    case OUTCOME_CRASHED:
        return jobs_crashed(job->jobs, claimed, retention_ms, err);
    case OUTCOME_GIVEN_BACK:
        return jobs_give_back(job->jobs, claimed, err);
    case OUTCOME_LOST:
        break;
    }
    return JOBS_NOT_YOURS;
}

// An answer that got lost is asked for again within the lease; after that the row's alarm clock
// settles it.
static enum jobs_answer settle(struct converter_job *job, const struct jobs_claimed *claimed,
                               const struct outcome *outcome, struct error *err)
{
    int64_t begun_ms = clock_monotonic_ms();
    for (int tries = 1;; tries++) {
        struct error problem = {0};
        enum jobs_answer answer = settle_once(job, claimed, outcome, &problem);
        if (answer != JOBS_ERROR)
            return answer;
        log_warn("the end of a conversion could not be noted",
                 LOG_TEXT("outcome", outcome_names[outcome->kind]),
                 LOG_TEXT("reason", problem.text), LOG_INTEGER("tries", tries));
        jobs_close(TAKE(job->jobs));
        int64_t pause_ms = clock_backoff_ms(tries, BACKOFF_BASE_MS, BACKOFF_CAP_MS);
        bool is_stopping = crew_wait_ms(job->crew, 0);
        int64_t until_ms = begun_ms + (is_stopping ? SETTLE_STOPPING_MS : SETTLE_MS);
        if (clock_monotonic_ms() + pause_ms > until_ms) {
            *err = problem;
            return JOBS_ERROR;
        }
        clock_sleep_ms(pause_ms);
    }
}

static void remove_blob(struct converter_job *job, const char *key)
{
    struct error err = {0};
    if (key[0] != '\0' && !blobs_remove(job->blobs, key, &err))
        log_debug("a blob is left for the sweep", LOG_TEXT("key", key),
                  LOG_TEXT("reason", err.text));
}

// Nobody but this attempt could have named its MP3.
static void drop_own_audio(struct converter_job *job, struct outcome *outcome)
{
    if (outcome->kind == OUTCOME_READY)
        remove_blob(job, outcome->audio.key);
    outcome->kind = OUTCOME_LOST;
}

static void log_outcome(const struct conversion *conversion, const struct outcome *outcome,
                        int64_t ms)
{
    switch (outcome->kind) {
    case OUTCOME_READY:
        metrics_observe_ms("unreel_job_seconds", "", ms);
        log_info("converted", LOG_INTEGER("ms", ms),
                 LOG_INTEGER("bytes_in", conversion->source_bytes),
                 LOG_INTEGER("bytes_out", outcome->audio.size_bytes),
                 LOG_INTEGER("duration_ms", outcome->duration_ms));
        break;
    case OUTCOME_FAILED:
        log_info("failed", LOG_TEXT("code", outcome->code), LOG_INTEGER("ms", ms));
        break;
    case OUTCOME_POSTPONED:
    case OUTCOME_CRASHED:
        log_warn(outcome->kind == OUTCOME_CRASHED ? "crashed" : "postponed",
                 LOG_TEXT("reason", outcome->reason.text), LOG_INTEGER("ms", ms));
        break;
    case OUTCOME_GIVEN_BACK:
        log_info("given back", LOG_INTEGER("ms", ms));
        break;
    case OUTCOME_LOST:
        log_warn("somebody else has this conversion now", LOG_INTEGER("ms", ms));
        break;
    }
}

static bool end(struct converter_job *job, const struct jobs_claimed *claimed,
                struct outcome *outcome, struct error *err)
{
    const struct conversion *conversion = &claimed->conversion;
    enum jobs_answer answer = settle(job, claimed, outcome, err);
    if (answer == JOBS_ERROR)
        return false;
    if (answer == JOBS_NOT_YOURS) {
        drop_own_audio(job, outcome);
        return true;
    }
    hints_send(job->hints, outcome->kind == OUTCOME_GIVEN_BACK ? "video" : "mp3", conversion->id);
    if (outcome->kind == OUTCOME_READY)
        remove_blob(job, conversion->source_key);
    return true;
}

static bool is_store_in_trouble(const struct outcome *outcome)
{
    return outcome->kind == OUTCOME_POSTPONED &&
           (outcome->reason.kind == ERROR_UNAVAILABLE || outcome->reason.kind == ERROR_NO_SPACE);
}

static void count(const char *outcome_name)
{
    char labels[64];
    snprintf(labels, sizeof labels, "outcome=\"%s\"", outcome_name);
    metrics_add("unreel_jobs_total", labels, 1);
}

static bool work(struct converter_job *job, const struct jobs_claimed *claimed, struct error *err)
{
    const struct conversion *conversion = &claimed->conversion;
    int64_t begun_ms = clock_monotonic_ms();
    struct outcome outcome = {.kind = OUTCOME_POSTPONED};
    crew_hold(job->crew, conversion->id, claimed->claim);
    log_info("converting", LOG_INTEGER("attempt", conversion->attempt),
             LOG_INTEGER("bytes_in", conversion->source_bytes),
             LOG_TEXT("traceparent", conversion->traceparent));
    convert(job, conversion, &outcome);
    if (crew_let_go(job->crew) == CREW_LOST && outcome.kind != OUTCOME_READY)
        outcome.kind = OUTCOME_LOST;
    if (!end(job, claimed, &outcome, err)) {
        count("unknown");
        return false;
    }
    count(outcome_names[outcome.kind]);
    log_outcome(conversion, &outcome, clock_monotonic_ms() - begun_ms);
    if (is_store_in_trouble(&outcome)) {
        *err = outcome.reason;
        return false;
    }
    return true;
}

enum crew_answer converter_job_run(struct converter_job *job, const char *id, struct error *err)
{
    struct jobs_claimed claimed;
    switch (jobs_claim(job->jobs, id, job->settings->worker, &claimed, err)) {
    case JOBS_DONE:
        break;
    case JOBS_NOT_YOURS:
        return CREW_NOT_OURS;
    case JOBS_ERROR:
        return CREW_TROUBLE;
    }
    log_conversion(id);
    bool is_well = work(job, &claimed, err);
    log_conversion(NULL);
    return is_well ? CREW_WORKED : CREW_TROUBLE;
}
