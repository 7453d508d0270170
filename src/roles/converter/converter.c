// The converter role: one conversion at a time. crew.h has the two threads, converter_job.h what
// one of them does.
#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "base/processors.h"
#include "protocol/confinement.h"
#include "roles/converter/converter_confinement.h"
#include "roles/converter/converter_job.h"
#include "roles/converter/converter_machine.h"
#include "roles/crew/crew.h"
#include "roles/hints.h"
#include "roles/roles.h"

#include <string.h>

enum { PROGRAM_SIZE = 1024 };

struct converter {
    struct converter_settings settings;
    struct converter_job job; // the worker thread's
    struct crew_duty duty;
    struct crew *crew;
    char program[PROGRAM_SIZE];
    char worker[64];
    char remark[CONVERTER_REMARK_SIZE];
    struct blobs *check_blobs; // the admin port's thread's
};

// ---- the duty ----

static bool prepare(void *context, struct error *err)
{
    return converter_job_open(context, err);
}

static void release(void *context)
{
    converter_job_close(context);
}

static bool due(void *context, char (*out_ids)[ID_SIZE], size_t limit, size_t *out_count,
                struct error *err)
{
    struct converter_job *job = context;
    return jobs_due(job->jobs, out_ids, limit, out_count, err);
}

static enum crew_answer work(void *context, const char *id, struct error *err)
{
    return converter_job_run(context, id, err);
}

static enum crew_answer renew(struct jobs *jobs, const char *id, const char *claim,
                              int64_t progress_permille, struct error *err)
{
    switch (jobs_renew(jobs, id, claim, progress_permille, err)) {
    case JOBS_DONE:
        return CREW_WORKED;
    case JOBS_NOT_YOURS:
        return CREW_NOT_OURS;
    case JOBS_ERROR:
        break;
    }
    return CREW_TROUBLE;
}

// ---- the role ----

static void stop(void *state)
{
    struct converter *converter = state;
    crew_stop(converter->crew);
    hints_stop(converter->job.hints); // after the crew, which may have given a conversion back
    converter_nursery_stop(&converter->job.nursery);
    blobs_close(converter->check_blobs);
    free(converter);
}

static bool fill(struct converter *converter, const struct config *config, struct error *err)
{
    if (!converter_find_program(converter->program, sizeof converter->program, err))
        return error_prefix(err, "the media program is missing");
    if (!file_make_directory(config->scratch, 0700, err))
        return error_prefix(err, "scratch");
    converter->job.nursery.program = converter->program;
    crew_worker_name(converter->worker);
    int cores = config->cores > 0 ? (int)config->cores : processors_usable();
    converter->settings = (struct converter_settings){
        .jobs_url = config->jobs,
        .blobs_url = config->blobs,
        .scratch_directory = config->scratch,
        .worker = converter->worker,
        .cores = cores,
        .is_best_effort = strcmp(config->confinement, "best-effort") == 0,
        .memory_bytes = confinement_memory_bytes(cores),
        .timeout_ms = config->job_timeout_ms,
        .max_duration_ms = config->max_duration_ms,
        .retention_ms = config->retention_ms,
    };
    converter->duty = (struct crew_duty){
        .topic = "video",
        .hint_names_work = true,
        .context = &converter->job,
        .prepare = prepare,
        .release = release,
        .due = due,
        .work = work,
        .renew = renew,
    };
    return true;
}

static bool start(const struct config *config, void **out_state, struct error *err)
{
    struct converter *converter = alloc_zeroed(1, sizeof *converter);
    converter->job.nursery.socket_fd = -1;
    if (!fill(converter, config, err))
        goto fail;
    converter->crew = crew_create(&converter->duty, config->queue, config->jobs, err);
    if (converter->crew == NULL)
        goto fail;
    converter->job.settings = &converter->settings;
    converter->job.crew = converter->crew;
    converter->job.hints = hints_start(config->queue, err);
    if (converter->job.hints == NULL)
        goto fail;
    if (!converter_confinement_check(&converter->job.nursery, converter->settings.scratch_directory,
                                     converter->settings.is_best_effort, converter->remark, err)) {
        error_prefix(err, "the media program cannot be confined here");
        goto fail;
    }
    if (!converter_job_check_program(&converter->job, err)) {
        error_prefix(err, "the media program does not work here");
        goto fail;
    }
    if (!crew_start(converter->crew, err))
        goto fail;
    log_info("converting with", LOG_TEXT("program", converter->program),
             LOG_INTEGER("cores", converter->settings.cores));
    *out_state = converter;
    return true;
fail:
    stop(converter);
    return false;
}

static bool check_blobs(void *context, struct error *err)
{
    struct converter *converter = context;
    int64_t free_bytes;
    if (converter->check_blobs == NULL)
        converter->check_blobs = blobs_open(converter->settings.blobs_url, err);
    if (converter->check_blobs == NULL)
        return false;
    if (blobs_ready(converter->check_blobs, &free_bytes, err))
        return true;
    blobs_close(TAKE(converter->check_blobs));
    return false;
}

static size_t checks(void *state, struct http_admin_check *out, size_t limit)
{
    struct converter *converter = state;
    size_t count = crew_checks(converter->crew, out, limit);
    if (count < limit)
        out[count++] = (struct http_admin_check){.name = "blobs",
                                                 .check = check_blobs,
                                                 .context = converter,
                                                 .remark = converter->remark};
    return count;
}

const struct role converter_role = {
    .name = "converter",
    .start = start,
    .checks = checks,
    .stop = stop,
};
