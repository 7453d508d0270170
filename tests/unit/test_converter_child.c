// The real parent's side with a media program that misbehaves to order.
#include "roles/converter/converter_child.h"

#include "base/clock.h"
#include "base/file.h"
#include "protocol/confinement.h"
#include "roles/converter/converter_nursery.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char program[4096 + 16];
static int last_permille;
static struct converter_nursery nursery = {.program = program, .socket_fd = -1};

static int find_program(void **state)
{
    (void)state;
    char path[4096] = "";
    if (readlink("/proc/self/exe", path, sizeof path - 1) <= 0)
        return -1;
    snprintf(program, sizeof program, "%s/../support/fake-media", dirname(path));
    return access(program, X_OK);
}

static void note_progress(void *context, int permille)
{
    (void)context;
    last_permille = permille;
}

static int open_scratch(void)
{
    struct error err = {0};
    int fd = file_open_scratch("/tmp", &err);
    assert_true(fd >= 0);
    return fd;
}

static struct converter_child usual(void)
{
    static const char *const arguments[] = {"unreel-media", "child", NULL};
    return (struct converter_child){
        .nursery = &nursery,
        .arguments = arguments,
        .cancel_fd = -1,
        .timeout_ms = 60000,
        .limits = {.processor_s = 60, .output_bytes = 4 * 1024 * 1024},
        .progress = note_progress,
    };
}

static struct converter_child_verdict run(struct converter_child child, const char *behaviour)
{
    struct converter_child_verdict verdict;
    SCOPED_FD int source_fd = open_scratch();
    SCOPED_FD int output_fd = open_scratch();
    assert_int_equal(write(source_fd, behaviour, strlen(behaviour)), strlen(behaviour));
    lseek(source_fd, 0, SEEK_SET);
    child.source_fd = source_fd;
    child.output_fd = output_fd;
    converter_child_run(&child, &verdict);
    // Nobody is left to wait for, no zombie, but the nursery.
    pid_t left = waitpid(-1, NULL, WNOHANG);
    assert_true(nursery.pid > 0 ? left == 0 : left == -1 && errno == ECHILD);
    return verdict;
}

static void a_finished_child_is_done_with_its_duration(void **state)
{
    (void)state;
    struct converter_child_verdict verdict = run(usual(), "done 100");
    assert_int_equal(verdict.end, CHILD_DONE);
    assert_int_equal(verdict.duration_ms, 2612);
    assert_int_equal(last_permille, 500);
}

static void the_child_has_three_descriptors_no_environment_and_its_limits(void **state)
{
    (void)state;
    SCOPED_FD int inheritable = open("/dev/null", O_RDONLY);
    assert_true(inheritable >= 0);
    struct sigaction ignored = {.sa_handler = SIG_IGN}, before;
    sigaction(SIGPIPE, &ignored, &before);
    struct converter_child_verdict verdict = run(usual(), "look_around");
    sigaction(SIGPIPE, &before, NULL);
    assert_string_equal(verdict.detail, "");
    assert_int_equal(verdict.end, CHILD_DONE);
}

static void a_permanent_failure_is_told_in_our_words(void **state)
{
    (void)state;
    struct converter_child_verdict verdict = run(usual(), "no_audio");
    assert_int_equal(verdict.end, CHILD_FAILED);
    assert_string_equal(verdict.code, "no_audio");
    assert_string_equal(verdict.detail, media_code_sentence("no_audio"));
}

static void a_full_disk_is_worth_another_try(void **state)
{
    (void)state;
    assert_int_equal(run(usual(), "full_disk").end, CHILD_TRANSIENT);
}

static void a_child_killed_by_a_signal_has_crashed_whatever_it_said(void **state)
{
    (void)state;
    struct converter_child_verdict verdict = run(usual(), "crash");
    assert_int_equal(verdict.end, CHILD_CRASHED);
    assert_string_equal(verdict.detail, "the media program was killed by signal 9");
}

static void a_forbidden_system_call_is_told_apart(void **state)
{
    (void)state;
    struct converter_child_verdict verdict = run(usual(), "forbidden_call");
    assert_int_equal(verdict.end, CHILD_CRASHED);
    assert_true(verdict.is_forbidden_call);
    assert_non_null(strstr(verdict.detail, "forbidden system call"));
    assert_true(confinement_is_enough(verdict.layers));
    assert_false(run(usual(), "crash").is_forbidden_call);
}

static void a_child_that_ends_without_a_word_has_crashed(void **state)
{
    (void)state;
    assert_int_equal(run(usual(), "mute 0").end, CHILD_CRASHED);
    assert_int_equal(run(usual(), "mute 3").end, CHILD_CRASHED);
    assert_int_equal(run(usual(), "half_a_line").end, CHILD_CRASHED);
}

static void a_program_that_is_not_there_is_worth_another_try(void **state)
{
    (void)state;
    struct converter_child child = usual();
    struct converter_nursery other = {.program = "/nonexistent/unreel-media", .socket_fd = -1};
    child.nursery = &other;
    assert_int_equal(run(child, "done 1").end, CHILD_TRANSIENT);
    assert_int_equal(other.socket_fd, -1);
}

static void a_hanging_child_is_killed_at_the_deadline(void **state)
{
    (void)state;
    struct converter_child child = usual();
    child.timeout_ms = 200;
    struct converter_child_verdict verdict = run(child, "hang");
    assert_int_equal(verdict.end, CHILD_FAILED);
    assert_string_equal(verdict.code, "timed_out");
}

static void a_child_that_burns_its_processor_time_timed_out(void **state)
{
    (void)state;
    struct converter_child child = usual();
    child.limits.processor_s = 1;
    struct converter_child_verdict verdict = run(child, "spin");
    assert_int_equal(verdict.end, CHILD_FAILED);
    assert_string_equal(verdict.code, "timed_out");
}

static void a_cancelled_child_is_killed(void **state)
{
    (void)state;
    SCOPED_FD int cancel_fd = eventfd(1, EFD_CLOEXEC);
    struct converter_child child = usual();
    child.cancel_fd = cancel_fd;
    assert_int_equal(run(child, "hang").end, CHILD_CANCELLED);
}

static void a_report_without_end_is_cut_off(void **state)
{
    (void)state;
    assert_int_equal(run(usual(), "babble").end, CHILD_CRASHED);
    assert_int_equal(run(usual(), "chatter").end, CHILD_CRASHED);
}

static void an_output_without_end_hits_its_limit(void **state)
{
    (void)state;
    assert_int_equal(run(usual(), "huge").end, CHILD_CRASHED);
}

static bool runs(const char *directory_name)
{
    char path[300], name[64] = "";
    snprintf(path, sizeof path, "/proc/%s/comm", directory_name);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    bool is_read = fgets(name, sizeof name, file) != NULL;
    fclose(file);
    char own[64], exe[4200];
    snprintf(path, sizeof path, "/proc/%s/exe", directory_name);
    ssize_t size = readlink(path, exe, sizeof exe - 1);
    snprintf(own, sizeof own, "fake-media\n");
    return is_read && strcmp(name, own) == 0 && size > 0 &&
           (exe[size] = '\0', strcmp(exe, program) == 0);
}

static int count_running(void)
{
    int count = 0;
    DIR *directory = opendir("/proc");
    assert_non_null(directory);
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory))
        count += runs(entry->d_name);
    closedir(directory);
    return count;
}

// They hold the report open, so its end says nothing; and none of them may stay.
static void children_of_the_child_are_gone_too(void **state)
{
    (void)state;
    assert_int_equal(run(usual(), "leave_children 5").end, CHILD_DONE);
    int64_t deadline_ms = clock_monotonic_ms() + 10000;
    converter_nursery_stop(&nursery);
    while (count_running() > 0 && clock_left_ms(deadline_ms) > 0)
        clock_sleep_ms(10);
    assert_int_equal(count_running(), 0);
}

static void one_nursery_raises_many_children(void **state)
{
    (void)state;
    converter_nursery_stop(&nursery);
    assert_int_equal(run(usual(), "done 1").end, CHILD_DONE);
    pid_t first = nursery.pid;
    assert_true(first > 0);
    assert_int_equal(run(usual(), "no_audio").end, CHILD_FAILED);
    assert_int_equal(nursery.pid, first);
}

static void after_a_crash_the_next_child_has_other_addresses(void **state)
{
    (void)state;
    assert_int_equal(run(usual(), "crash").end, CHILD_CRASHED);
    assert_int_equal(nursery.pid, 0);
    assert_int_equal(run(usual(), "done 1").end, CHILD_DONE);
}

static void a_nursery_that_died_is_replaced(void **state)
{
    (void)state;
    assert_int_equal(run(usual(), "done 1").end, CHILD_DONE);
    pid_t first = nursery.pid;
    assert_int_equal(kill(first, SIGKILL), 0);
    assert_int_equal(run(usual(), "done 1").end, CHILD_DONE);
    assert_int_not_equal(nursery.pid, first);
}

static void a_nursery_that_dies_takes_its_child_along(void **state)
{
    (void)state;
    assert_int_equal(run(usual(), "kill_parent").end, CHILD_TRANSIENT);
    assert_int_equal(nursery.pid, 0);
    int64_t deadline_ms = clock_monotonic_ms() + 10000;
    while (count_running() > 0 && clock_left_ms(deadline_ms) > 0)
        clock_sleep_ms(10);
    assert_int_equal(count_running(), 0);
}

static void *let_nursery_go_on(void *context)
{
    (void)context;
    clock_sleep_ms(6000);
    kill(nursery.pid, SIGCONT);
    return NULL;
}

// Out of memory, in a debugger: the video is not to blame.
static void a_nursery_that_stands_still_does_not_make_its_child_late(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(run(usual(), "done 1").end, CHILD_DONE);
    assert_int_equal(pthread_create(&thread, NULL, let_nursery_go_on, NULL), 0);
    struct converter_child child = usual();
    child.timeout_ms = 4000;
    struct converter_child_verdict verdict = run(child, "stop_parent 10");
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(verdict.end, CHILD_DONE);
}

static void arguments_that_are_too_long_start_nothing(void **state)
{
    (void)state;
    static char title[NURSERY_TEXT_SIZE + 1];
    memset(title, 'x', sizeof title - 1);
    const char *const arguments[] = {"unreel-media", "child", title, NULL};
    struct converter_child child = usual();
    child.arguments = arguments;
    assert_int_equal(run(child, "done 1").end, CHILD_TRANSIENT);
}

static void the_table_of_verdicts(void **state)
{
    (void)state;
    enum { WELL = 0, BADLY = 3 << 8, NOT_RUN = 127 << 8, SEGV = SIGSEGV, XCPU = SIGXCPU };
    static const struct {
        enum media_report_kind last;
        const char *code;
        int wait_status;
        bool is_cancelled, is_late, is_noisy;
        enum converter_child_end end;
    } rows[] = {
        {MEDIA_DONE, "", WELL, false, false, false, CHILD_DONE},
        {MEDIA_DONE, "", BADLY, false, false, false, CHILD_CRASHED},
        {MEDIA_DONE, "", SEGV, false, false, false, CHILD_CRASHED},
        {MEDIA_DONE, "", WELL, true, false, false, CHILD_CANCELLED},
        {MEDIA_DONE, "", WELL, false, true, false, CHILD_FAILED},
        {MEDIA_DONE, "", WELL, false, false, true, CHILD_CRASHED},
        {MEDIA_FAIL, "not_media", BADLY, false, false, false, CHILD_FAILED},
        {MEDIA_FAIL, "not_media", SEGV, false, false, false, CHILD_CRASHED},
        {MEDIA_FAIL, "internal", BADLY, false, false, false, CHILD_TRANSIENT},
        {MEDIA_FAIL, "never_heard_of", WELL, false, false, false, CHILD_TRANSIENT},
        {MEDIA_PROGRESS, "", WELL, false, false, false, CHILD_CRASHED},
        {MEDIA_PROGRESS, "", NOT_RUN, false, false, false, CHILD_TRANSIENT},
        {MEDIA_PROGRESS, "", XCPU, false, false, false, CHILD_FAILED},
        {MEDIA_CONFINED, "", WELL, false, false, false, CHILD_CRASHED},
        {MEDIA_CONFINED, "", XCPU, false, false, false, CHILD_FAILED},
        {MEDIA_MALFORMED, "", WELL, false, false, false, CHILD_CRASHED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct converter_child_facts facts = {.is_started = true,
                                              .is_cancelled = rows[i].is_cancelled,
                                              .is_late = rows[i].is_late,
                                              .is_noisy = rows[i].is_noisy,
                                              .wait_status = rows[i].wait_status,
                                              .last_report = {.kind = rows[i].last}};
        snprintf(facts.last_report.code, sizeof facts.last_report.code, "%s", rows[i].code);
        struct converter_child_verdict verdict;
        converter_child_judge(&facts, &verdict);
        if (verdict.end != rows[i].end)
            fail_msg("row %zu: %d instead of %d", i, verdict.end, rows[i].end);
    }
    struct converter_child_verdict verdict;
    converter_child_judge(&(struct converter_child_facts){.is_started = false}, &verdict);
    assert_int_equal(verdict.end, CHILD_TRANSIENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_finished_child_is_done_with_its_duration),
        cmocka_unit_test(the_child_has_three_descriptors_no_environment_and_its_limits),
        cmocka_unit_test(a_permanent_failure_is_told_in_our_words),
        cmocka_unit_test(a_full_disk_is_worth_another_try),
        cmocka_unit_test(a_child_killed_by_a_signal_has_crashed_whatever_it_said),
        cmocka_unit_test(a_forbidden_system_call_is_told_apart),
        cmocka_unit_test(a_child_that_ends_without_a_word_has_crashed),
        cmocka_unit_test(a_program_that_is_not_there_is_worth_another_try),
        cmocka_unit_test(a_hanging_child_is_killed_at_the_deadline),
        cmocka_unit_test(a_child_that_burns_its_processor_time_timed_out),
        cmocka_unit_test(a_cancelled_child_is_killed),
        cmocka_unit_test(a_report_without_end_is_cut_off),
        cmocka_unit_test(an_output_without_end_hits_its_limit),
        cmocka_unit_test(children_of_the_child_are_gone_too),
        cmocka_unit_test(one_nursery_raises_many_children),
        cmocka_unit_test(after_a_crash_the_next_child_has_other_addresses),
        cmocka_unit_test(a_nursery_that_died_is_replaced),
        cmocka_unit_test(a_nursery_that_dies_takes_its_child_along),
        cmocka_unit_test(a_nursery_that_stands_still_does_not_make_its_child_late),
        cmocka_unit_test(arguments_that_are_too_long_start_nothing),
        cmocka_unit_test(the_table_of_verdicts),
    };
    return cmocka_run_group_tests(tests, find_program, NULL);
}
