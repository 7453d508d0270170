// A conversion from claim to end with the real rows, the real blobs, the real queue and a media
// program that does what its source says. Whatever fails on the way: nothing is lost and nothing
// is done twice.
#include "roles/converter/converter_job.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "faulty_blobs.h"
#include "faulty_sql.h"
#include "jobs_fixture.h"
#include "mongodb_under_test.h"
#include "protocol/media_report.h"
#include "queue/queue.h"
#include "sql_under_test.h"
#include "temporary.h"

#include <libgen.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <cmocka.h>

enum { PASS_MS = 3600 * 1000, WAIT_MS = 20000 };

static const char *mongodb_url; // NULL: blobs are files

static struct {
    struct temporary directory;
    char program[4096 + 32];
    char blobs_url[600], queue_url[80];
    struct jobs *jobs; // the test's own, never faulty
    struct blobs *blobs;
    struct converter_settings settings;
    struct converter_job job;
    struct crew_duty duty;
    struct crew *crew;
} it;

// ---- the duty, as the role has it ----

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
    enum jobs_answer answer = jobs_renew(jobs, id, claim, progress_permille, err);
    return answer == JOBS_DONE        ? CREW_WORKED
           : answer == JOBS_NOT_YOURS ? CREW_NOT_OURS
                                      : CREW_TROUBLE;
}

// ---- before and after each test ----

static int begin(void **state)
{
    (void)state;
    struct error err = {0};
    char path[4096] = "";
    memset(&it, 0, sizeof it);
    if (readlink("/proc/self/exe", path, sizeof path - 1) <= 0)
        return -1;
    snprintf(it.program, sizeof it.program, "%s/../support/fake-media", dirname(path));
    temporary_create(&it.directory);
    snprintf(it.blobs_url, sizeof it.blobs_url, "file:%s/blobs", it.directory.path);
    if (mongodb_url != NULL)
        snprintf(it.blobs_url, sizeof it.blobs_url, "%s", mongodb_url);
    snprintf(it.queue_url, sizeof it.queue_url, "local:%s", it.directory.path);
    it.jobs = fixture_open();
    it.blobs = blobs_make(it.blobs_url, &err) ? blobs_open(it.blobs_url, &err) : NULL;
    it.settings = (struct converter_settings){
        .jobs_url = sql_under_test_url(),
        .blobs_url = it.blobs_url,
        .scratch_directory = it.directory.path,
        .worker = "converter-1",
        .cores = 1,
        .timeout_ms = 60000,
        .max_duration_ms = 60000,
        .retention_ms = FIXTURE_RETENTION_MS,
    };
    it.duty = (struct crew_duty){.topic = "video",
                                 .hint_names_work = true,
                                 .context = &it.job,
                                 .prepare = prepare,
                                 .release = release,
                                 .due = due,
                                 .work = work,
                                 .renew = renew};
    it.crew = crew_create(&it.duty, it.queue_url, sql_under_test_url(), &err);
    it.job = (struct converter_job){.settings = &it.settings,
                                    .crew = it.crew,
                                    .nursery = {.program = it.program, .socket_fd = -1}};
    it.job.hints = hints_start(it.queue_url, &err);
    return it.blobs != NULL && it.crew != NULL && it.job.hints != NULL ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    crew_stop(it.crew);
    hints_stop(it.job.hints);
    converter_job_close(&it.job);
    converter_nursery_stop(&it.job.nursery);
    blobs_close(it.blobs);
    fixture_close(it.jobs); // looks through the event log of every conversion
    temporary_remove(&it.directory);
    return 0;
}

// ---- short ways ----

static void queued(const char *behaviour, char out_id[ID_SIZE])
{
    struct error err = {0};
    char key[BLOB_KEY_SIZE];
    const struct blob_about about = {
        .owner = fixture_alice, .conversion = "", .name = "talk.mp4", .content_type = "video/mp4"};
    fixture_queued(it.jobs, out_id);
    snprintf(key, sizeof key, "source/%s", out_id);
    struct blob_info info;
    struct blob_writer *writer = blobs_create(it.blobs, key, &about, &err);
    assert_non_null(writer);
    assert_true(blob_write(it.blobs, writer, behaviour, strlen(behaviour), &err));
    assert_true(blob_commit(it.blobs, writer, &info, &err));
}

static enum crew_answer run(const char *id)
{
    struct error err = {0};
    enum crew_answer answer = CREW_TROUBLE;
    if (converter_job_open(&it.job, &err))
        answer = converter_job_run(&it.job, id, &err);
    if (answer == CREW_TROUBLE)
        converter_job_close(&it.job);
    return answer;
}

static int64_t count_letters(const char *id)
{
    return fixture_integer(it.jobs, "SELECT COUNT(*) FROM letter WHERE conversion=?", id);
}

static bool is_there(const char *key)
{
    struct error err = {0};
    struct blob_info info;
    return blobs_stat(it.blobs, key, &info, &err);
}

static bool is_there_as_source(const char *id)
{
    char key[BLOB_KEY_SIZE];
    snprintf(key, sizeof key, "source/%s", id);
    return is_there(key);
}

struct leavings {
    const char *id;
    const struct conversion *row;
};

static bool check_leaving(const char *key, int64_t changed_at_ms, void *context)
{
    (void)changed_at_ms;
    const struct leavings *leavings = context;
    struct error err = {0};
    bool is_known = false, is_garbage = false;
    if (strcmp(key, leavings->row->audio_key) == 0)
        return true;
    assert_true(jobs_blob_is_garbage(it.jobs, leavings->id, key, &is_known, &is_garbage, &err));
    if (!is_known || !is_garbage)
        fail_msg("%s stays for ever", key);
    return true;
}

// Ready once, told once, its MP3 there, and nothing else there that the sweep would not take.
static void assert_is_ready(const char *id)
{
    struct error err = {0};
    char prefix[BLOB_KEY_SIZE];
    assert_true(fixture_is(it.jobs, id, "ready"));
    assert_int_equal(count_letters(id), 1);
    struct conversion row = fixture_row(it.jobs, id);
    struct leavings leavings = {.id = id, .row = &row};
    assert_true(is_there(row.audio_key));
    snprintf(prefix, sizeof prefix, "audio/%s/", id);
    assert_true(blobs_list(it.blobs, prefix, false, check_leaving, &leavings, &err));
    snprintf(prefix, sizeof prefix, "source/%s", id);
    assert_true(blobs_list(it.blobs, prefix, false, check_leaving, &leavings, &err));
}

static void wait_for_state(const char *id, const char *wanted)
{
    int64_t deadline_ms = clock_monotonic_ms() + WAIT_MS;
    while (strcmp(fixture_row(it.jobs, id).state, wanted) != 0 && clock_left_ms(deadline_ms) > 0)
        clock_sleep_ms(5);
    assert_true(fixture_is(it.jobs, id, wanted));
}

// ---- one conversion ----

static void a_video_becomes_ready_with_one_letter_and_its_source_is_removed(void **state)
{
    (void)state;
    char id[ID_SIZE];
    queued("done 100", id);
    assert_int_equal(run(id), CREW_WORKED);
    assert_is_ready(id);
    struct conversion row = fixture_row(it.jobs, id);
    assert_int_equal(row.duration_ms, 2612);
    assert_int_equal(row.audio_bytes, 41700);
    assert_false(is_there_as_source(id));
    assert_int_equal(run(id), CREW_NOT_OURS);
}

static void a_file_that_is_the_reason_fails_at_once_in_our_words(void **state)
{
    (void)state;
    char id[ID_SIZE];
    queued("no_audio", id);
    assert_int_equal(run(id), CREW_WORKED);
    struct conversion row = fixture_row(it.jobs, id);
    assert_string_equal(row.state, "failed");
    assert_string_equal(row.error_code, "no_audio");
    assert_string_equal(row.error_detail, media_code_sentence("no_audio"));
    assert_int_equal(count_letters(id), 1);
    assert_true(is_there_as_source(id));
}

static void a_result_that_is_not_what_was_promised_is_tried_again(void **state)
{
    (void)state;
    static const struct {
        const char *behaviour;
        enum crew_answer answer; // TROUBLE: the machine may be why, so the next one has to wait
    } cases[] = {
        {"garbage", CREW_WORKED},
        {"wrong_duration 100", CREW_WORKED},
        {"full_disk", CREW_TROUBLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char id[ID_SIZE];
        queued(cases[i].behaviour, id);
        assert_int_equal(run(id), cases[i].answer);
        struct conversion row = fixture_row(it.jobs, id);
        assert_string_equal(row.state, "queued");
        assert_int_equal(row.failures, 1);
        assert_int_equal(count_letters(id), 0);
        assert_true(is_there_as_source(id));
        assert_int_equal(run(id), CREW_NOT_OURS); // not before its back-off is over
    }
}

static void the_second_crash_is_the_last(void **state)
{
    (void)state;
    char id[ID_SIZE];
    queued("crash", id);
    assert_int_equal(run(id), CREW_WORKED);
    assert_true(fixture_is(it.jobs, id, "queued"));
    fixture_pass(it.jobs, PASS_MS);
    assert_int_equal(run(id), CREW_WORKED);
    struct conversion row = fixture_row(it.jobs, id);
    assert_string_equal(row.state, "failed");
    assert_string_equal(row.error_code, "decoder_crash");
    assert_int_equal(count_letters(id), 1);
}

static void whose_lease_is_over_has_lost_the_conversion(void **state)
{
    (void)state;
    char id[ID_SIZE];
    struct error err = {0};
    queued("done 100", id);
    struct jobs_claimed other;
    fixture_claim(it.jobs, id, &other);
    fixture_pass(it.jobs, PASS_MS);
    assert_int_equal(run(id), CREW_WORKED);
    struct jobs_result result = fixture_result();
    assert_int_equal(jobs_finish(it.jobs, &other, &result, &err), JOBS_NOT_YOURS);
    assert_is_ready(id);
}

static void a_media_program_that_does_not_work_is_noticed_at_the_start(void **state)
{
    (void)state;
    struct error err = {0};
    assert_true(converter_job_check_program(&it.job, &err));
    converter_nursery_stop(&it.job.nursery);
    it.job.nursery.program = "/bin/true"; // ends well and says nothing
    assert_false(converter_job_check_program(&it.job, &err));
    assert_string_equal(err.text, "the media program could not be started");
}

// ---- every fault ----

static void settle_later(const char *id)
{
    for (int i = 0; i < 3 && strcmp(fixture_row(it.jobs, id).state, "ready") != 0; i++) {
        fixture_pass(it.jobs, PASS_MS);
        run(id);
    }
}

static void walk_through_sql_faults(enum faulty_sql_when when)
{
    bool is_hit = true;
    int number = 0;
    while (is_hit) {
        char id[ID_SIZE];
        struct error err = {0};
        queued("done 10", id);
        faulty_sql_install();
        assert_true(converter_job_open(&it.job, &err));
        faulty_sql_fail(++number, 1, when);
        run(id);
        is_hit = faulty_sql_disarm();
        faulty_sql_remove();
        converter_job_close(&it.job);
        settle_later(id);
        assert_is_ready(id);
        converter_job_close(&it.job);
    }
    assert_true(number > 10);
}

static void no_failing_call_to_the_database_loses_or_doubles_anything(void **state)
{
    (void)state;
    walk_through_sql_faults(FAULTY_SQL_BEFORE);
}

static void no_lost_answer_of_the_database_loses_or_doubles_anything(void **state)
{
    (void)state;
    walk_through_sql_faults(FAULTY_SQL_AFTER);
}

static void walk_through_blob_faults(bool after_effect)
{
    struct fault fault = {0};
    int number = 0;
    do {
        char id[ID_SIZE];
        struct error err = {0};
        queued("done 10", id);
        fault = (struct fault){.fail_at = ++number, .after_effect = after_effect};
        struct blobs *inner = blobs_open(it.blobs_url, &err);
        assert_non_null(inner);
        it.job.blobs = faulty_blobs_wrap(inner, &fault);
        run(id);
        converter_job_close(&it.job);
        settle_later(id);
        assert_is_ready(id);
        converter_job_close(&it.job);
    } while (fault.calls >= fault.fail_at);
    assert_true(number > 5);
}

static void no_failing_call_to_the_store_loses_or_doubles_anything(void **state)
{
    (void)state;
    walk_through_blob_faults(false);
}

static void no_lost_answer_of_the_store_loses_or_doubles_anything(void **state)
{
    (void)state;
    walk_through_blob_faults(true);
}

// ---- with both threads ----

static void a_hint_sets_the_crew_to_work(void **state)
{
    (void)state;
    struct error err = {0};
    assert_true(crew_start(it.crew, &err));
    SCOPED(queue_close) struct queue *queue = queue_open(it.queue_url, NULL, &err);
    assert_non_null(queue);
    for (int i = 0; i < 3; i++) {
        char id[ID_SIZE];
        queued("done 10", id);
        assert_true(queue_publish(queue, "video", id, &err));
        wait_for_state(id, "ready");
    }
}

static void what_was_due_before_the_start_needs_no_hint(void **state)
{
    (void)state;
    struct error err = {0};
    char ids[3][ID_SIZE];
    for (int i = 0; i < 3; i++)
        queued("done 10", ids[i]);
    assert_true(crew_start(it.crew, &err));
    for (int i = 0; i < 3; i++)
        wait_for_state(ids[i], "ready");
}

static void stopping_gives_the_conversion_back_and_spends_nothing(void **state)
{
    (void)state;
    struct error err = {0};
    char id[ID_SIZE];
    queued("hang", id);
    assert_true(crew_start(it.crew, &err));
    wait_for_state(id, "converting");
    crew_stop(it.crew);
    it.crew = NULL;
    struct conversion row = fixture_row(it.jobs, id);
    assert_string_equal(row.state, "queued");
    assert_int_equal(row.failures, 0);
    assert_int_equal(row.crashes, 0);
    assert_true(is_there_as_source(id));
}

// The child reports progress, which the keeper writes, and so learns that the row is gone.
static void deleting_a_running_conversion_stops_its_child(void **state)
{
    (void)state;
    struct error err = {0};
    char id[ID_SIZE], next[ID_SIZE];
    queued("hang", id);
    assert_true(crew_start(it.crew, &err));
    wait_for_state(id, "converting");
    assert_true(jobs_delete(it.jobs, fixture_alice, id, &err));
    queued("done 10", next);
    wait_for_state(next, "ready"); // the only worker is free again
    assert_int_equal(count_letters(id), 0);
}

static bool complain(const char *key, int64_t changed_at_ms, void *context)
{
    (void)changed_at_ms;
    (void)context;
    fail_msg("%s is still there", key);
    return false;
}

static void an_mp3_whose_conversion_was_deleted_is_removed_again(void **state)
{
    (void)state;
    struct error err = {0};
    char id[ID_SIZE], next[ID_SIZE], key[BLOB_KEY_SIZE];
    struct blob_info info;
    queued("wait_for_lock 10", id);
    snprintf(key, sizeof key, "source/%s", id);
    SCOPED_FD int source_fd = blobs_open_fd(it.blobs, key, it.directory.path, -1, &info, &err);
    assert_int_equal(flock(source_fd, LOCK_EX), 0);
    assert_true(crew_start(it.crew, &err));
    wait_for_state(id, "converting");
    assert_true(jobs_delete(it.jobs, fixture_alice, id, &err));
    assert_int_equal(flock(source_fd, LOCK_UN), 0);
    queued("done 10", next);
    wait_for_state(next, "ready");
    snprintf(key, sizeof key, "audio/%s/", id);
    assert_true(blobs_list(it.blobs, key, false, complain, NULL, &err));
    assert_int_equal(count_letters(id), 0);
}

#define TEST(function_) cmocka_unit_test_setup_teardown(function_, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_video_becomes_ready_with_one_letter_and_its_source_is_removed),
        TEST(a_file_that_is_the_reason_fails_at_once_in_our_words),
        TEST(a_result_that_is_not_what_was_promised_is_tried_again),
        TEST(the_second_crash_is_the_last),
        TEST(whose_lease_is_over_has_lost_the_conversion),
        TEST(a_media_program_that_does_not_work_is_noticed_at_the_start),
        TEST(no_failing_call_to_the_database_loses_or_doubles_anything),
        TEST(no_lost_answer_of_the_database_loses_or_doubles_anything),
        TEST(no_failing_call_to_the_store_loses_or_doubles_anything),
        TEST(no_lost_answer_of_the_store_loses_or_doubles_anything),
        TEST(a_hint_sets_the_crew_to_work),
        TEST(what_was_due_before_the_start_needs_no_hint),
        TEST(stopping_gives_the_conversion_back_and_spends_nothing),
        TEST(deleting_a_running_conversion_stops_its_child),
        TEST(an_mp3_whose_conversion_was_deleted_is_removed_again),
    };
    log_start("test", false, LOG_LEVEL_ERROR);
    if (mongodb_under_test_is_wanted())
        mongodb_url = mongodb_under_test_start();
    sql_under_test_start();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sql_under_test_stop();
    if (mongodb_url != NULL)
        mongodb_under_test_drop();
    return failed;
}
