// Everybody but the converters: users who upload, delete and retry, the janitor, the notifiers.

#include "world.h"

#include "sql/sql.h"

#include <stdio.h>
#include <string.h>

static const char owner[ID_SIZE] = "01ARZ3NDEKTSV4RRFFQ69G5FAA";

static void upload(struct job *job)
{
    struct error err = {0};
    char source_key[JOBS_KEY_SIZE];
    snprintf(source_key, sizeof source_key, "source/%s", job->id);
    if (!job->is_begun) {
        struct jobs_upload upload = {
            .id = job->id,
            .owner = owner,
            .owner_email = "alice@example.org",
            .name = "talk.mp4",
            .idempotency_key = job->key,
            .source_key = source_key,
            .announced_bytes = 1000,
            .deadline_ms = 120000,
        };
        struct jobs_limits limits = {.user_bytes = 1000000, .user_unfinished = 1000};
        struct conversion existing;
        job->is_begun =
            jobs_upload_begin(world.jobs, &upload, &limits, &existing, &err) == JOBS_BEGUN;
        if (world_chance(30) || !job->is_begun) // the client goes away: the row is left receiving
            world.jobs_made++;
        return;
    }
    job->has_source = true; // durable before the commit
    if (jobs_upload_commit(world.jobs, job->id, NULL, NULL, 900, "", NULL, &err)) {
        job->is_accepted = true;
        hint_send(job);
    } else if (err.kind != ERROR_CONFLICT && world_below(2)) {
        return; // it does not know, and asks again
    }
    world.jobs_made++;
}

static void meddle(struct job *job)
{
    struct error err = {0};
    struct conversion row;
    if (!job->is_accepted)
        return;
    if (world_chance(20)) {
        job->is_delete_asked = true;
        jobs_delete(world.jobs, owner, job->id, &err);
    } else if (job->retries < 2 && world_chance(300)) {
        if (jobs_retry(world.jobs, owner, job->id, &row, &err)) {
            job->retries++;
            hint_send(job);
        }
    } else if (world_chance(20)) {
        jobs_letter_again(world.jobs, owner, job->id, &err);
    }
}

void user_step(void)
{
    world.user_wake_ms = world_now_ms() + world_between(500, 20000);
    if (world.jobs_made < world.jobs_wanted)
        upload(&world.job[world.jobs_made]);
    else if (world.jobs_made > 0 && !world.is_calm)
        meddle(&world.job[world_below(world.jobs_made)]);
}

static void remove_blobs(struct job *job)
{
    job->has_source = false;
    memset(job->has_audio, 0, sizeof job->has_audio);
}

static bool is_garbage(const struct job *job, const char *key)
{
    struct error err = {0};
    bool is_known = false, is_garbage = false;
    return jobs_blob_is_garbage(world.jobs, job->id, key, &is_known, &is_garbage, &err) &&
           is_known && is_garbage;
}

static void collect(struct job *job)
{
    char key[JOBS_KEY_SIZE];
    snprintf(key, sizeof key, "source/%s", job->id);
    if (job->has_source && is_garbage(job, key))
        job->has_source = false;
    for (int i = 0; i < WORLD_ATTEMPTS; i++) {
        if (!job->has_audio[i])
            continue;
        snprintf(key, sizeof key, "audio/%s/%d", job->id, i);
        job->has_audio[i] = !is_garbage(job, key);
    }
}

void janitor_step(void)
{
    struct error err = {0};
    world.janitor_wake_ms = world_now_ms() + world_between(4000, world.is_calm ? 40000 : 20000);
    int64_t moved = 0;
    jobs_sweep(world.jobs, WORLD_RETENTION_MS, &moved, &err);
    struct conversion taken[4];
    size_t count = 0;
    if (jobs_take_deleting(world.jobs, taken, 4, &count, &err)) {
        for (size_t i = 0; i < count; i++) {
            if (world_chance(100))
                return; // killed
            remove_blobs(job_of(taken[i].id));
            if (world_chance(100))
                return;
            jobs_deleted(world.jobs, taken[i].id, &err);
        }
    }
    for (size_t i = 0; i < world.jobs_wanted; i++)
        collect(&world.job[i]);
}

static struct sent_letter *record_of(const char *id)
{
    for (size_t i = 0; i < world.letters; i++)
        if (strcmp(world.letter[i].id, id) == 0)
            return &world.letter[i];
    if (world.letters == WORLD_LETTERS) {
        world_violation("more than %d letters", WORLD_LETTERS);
        return &world.letter[0];
    }
    struct sent_letter *record = &world.letter[world.letters++];
    memcpy(record->id, id, ID_SIZE);
    return record;
}

static void notifier_idle(struct notifier *notifier)
{
    struct error err = {0};
    char due[4][ID_SIZE];
    size_t count = 0;
    struct sql *sql = jobs_sql(world.jobs);
    notifier->wake_ms = world_now_ms() + world_between(5000, world.is_calm ? 60000 : 20000);
    if (!letters_due(sql, due, 4, &count, &err) || count == 0 ||
        letters_claim(sql, due[world_below(count)], "notifier", &notifier->letter, &err) !=
            LETTERS_DONE)
        return;
    notifier->step = NOTIFIER_SENDING;
    notifier->wake_ms = world_now_ms() + world_between(0, 5000);
}

// Everything up to the final dot, which the renewal comes right before.
static void notifier_send(struct notifier *notifier)
{
    struct error err = {0};
    struct sql *sql = jobs_sql(world.jobs);
    struct letter *letter = &notifier->letter;
    notifier->step = NOTIFIER_IDLE;
    notifier->wake_ms = world_now_ms() + 100;
    if (letters_renew(sql, letter->id, letter->claim, &err) != LETTERS_DONE)
        return;
    if (world_chance(100)) {
        letters_postpone(sql, letter, "451 later", &err);
    } else if (world_chance(50)) {
        letters_bounced(sql, letter, "550 nobody", &err);
    } else if (world_chance(50)) {
        letters_give_back(sql, letter, &err);
    } else {
        struct sent_letter *record = record_of(letter->id);
        if (++record->sent > 1 + record->excuses)
            world_violation("letter %s was mailed %d times with %d excuses", letter->id,
                            record->sent, record->excuses);
        if (letter->params[0] == '\0')
            world_violation("letter %s was mailed without its text", letter->id);
        notifier->step = NOTIFIER_NOTING;
        notifier->wake_ms = world_now_ms() + world_between(0, 1000);
    }
}

void notifier_step(struct notifier *notifier)
{
    struct error err = {0};
    bool is_hit = notifier->step != NOTIFIER_IDLE && world_chance(60);
    if (is_hit && notifier->step == NOTIFIER_NOTING)
        record_of(notifier->letter.id)->excuses++;
    if (is_hit && world_below(2)) { // frozen; else killed
        notifier->wake_ms = world_now_ms() + world_between(10000, 200000);
        return;
    }
    if (is_hit) {
        *notifier = (struct notifier){.wake_ms = world_now_ms() + world_between(1000, 30000)};
        return;
    }
    switch (notifier->step) {
    case NOTIFIER_IDLE:
        notifier_idle(notifier);
        break;
    case NOTIFIER_SENDING:
        notifier_send(notifier);
        break;
    case NOTIFIER_NOTING:
        notifier->step = NOTIFIER_IDLE;
        notifier->wake_ms = world_now_ms() + 100;
        if (letters_sent(jobs_sql(world.jobs), &notifier->letter, "250", &err) == LETTERS_ERROR)
            record_of(notifier->letter.id)->excuses++;
        break;
    }
}
