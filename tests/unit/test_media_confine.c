// What somebody would try who has taken over the decoder by a file: each in a process confined as
// the real one is, and once outside, to see that the attempt is a real one.
#include "escapes.h"
#include "media/media_confine.h"
#include "media/media_guard.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { REFUSED = 42, ESCAPED = 43 };

static const int64_t mebibyte = 1024 * 1024;

// ---- processes ----

static int open_scratch(void)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    int fd = dup(fileno(file));
    fclose(file);
    return fd;
}

// Source, output and report as the real child has them, then `run`.
static int in_a_child(int (*run)(const void *), const void *context)
{
    int status, report[2];
    assert_int_equal(pipe(report), 0);
    escapes_parent = getpid();
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(open("/dev/null", O_RDONLY), MEDIA_SOURCE_FD);
        dup2(open_scratch(), MEDIA_OUTPUT_FD);
        dup2(report[1], MEDIA_REPORT_FD);
        close_range(3, ~0U, 0);
        _exit(run(context));
    }
    close(report[1]);
    for (char noise[256]; read(report[0], noise, sizeof noise) > 0;) {
    }
    close(report[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static int try_outside(const void *context)
{
    const struct escape *escape = context;
    return escape->is_possible() ? ESCAPED : REFUSED;
}

static bool work(void *context, struct media_report *out_done, struct media_failure *why)
{
    (void)out_done;
    (void)why;
    const struct escape *escape = context;
    _exit(escape->is_possible() ? ESCAPED : REFUSED);
}

static int try_inside(const void *context)
{
    return media_guard_work(&(struct media_task){.work = work,
                                                 .context = (void *)(uintptr_t)context,
                                                 .threads = 1,
                                                 .output_bytes = mebibyte});
}

static bool is_killed_by_filter(int status)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

// A processor without 32-bit calls answers `int 0x80` itself.
static bool is_closed(int status)
{
    return is_killed_by_filter(status) || (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV) ||
           (WIFEXITED(status) && WEXITSTATUS(status) == REFUSED);
}

static void every_way_out_is_closed(void **state)
{
    (void)state;
    int killed = 0, refused = 0, possible_outside = 0;
    for (size_t i = 0; i < escapes_count; i++) {
        int outside = escapes[i].outside == ESCAPE_HARMFUL ? REFUSED << 8
                                                           : in_a_child(try_outside, &escapes[i]);
        int inside = in_a_child(try_inside, &escapes[i]);
        bool is_possible = WIFEXITED(outside) && WEXITSTATUS(outside) != REFUSED;
        if (escapes[i].outside == ESCAPE_POSSIBLE && !is_possible)
            fail_msg("%s: the attempt itself is wrong: status %x", escapes[i].name, outside);
        if (!is_closed(inside))
            fail_msg("%s: status %x", escapes[i].name, inside);
        possible_outside += is_possible;
        killed += is_killed_by_filter(inside);
        refused += !is_killed_by_filter(inside);
    }
    print_message("# %d attempts, %d of them possible outside: %d killed, %d refused, 0 escaped\n",
                  (int)escapes_count, possible_outside, killed, refused);
    assert_true(killed >= 35);
}

// ---- a thread that was there before ----

static atomic_uint may_try;

static void *try_in_a_thread(void *context)
{
    while (atomic_load(&may_try) == 0)
        sched_yield();
    _exit(socket(AF_INET, SOCK_STREAM, 0) >= 0 ? ESCAPED : REFUSED);
    return context;
}

static bool begin_a_thread(void *context, struct media_failure *why)
{
    (void)context;
    pthread_t thread;
    return pthread_create(&thread, NULL, try_in_a_thread, NULL) == 0 ||
           media_fail(why, "internal", "no thread");
}

static bool let_the_thread_try(void *context, struct media_report *out_done,
                               struct media_failure *why)
{
    (void)context;
    (void)out_done;
    (void)why;
    atomic_store(&may_try, 1);
    while (atomic_load(&may_try) != 0)
        sched_yield();
    return true;
}

static int with_a_thread(const void *context)
{
    (void)context;
    return media_guard_work(
        &(struct media_task){.begin = begin_a_thread, .work = let_the_thread_try, .threads = 2});
}

static void threads_that_were_there_before_are_confined_too(void **state)
{
    (void)state;
    assert_true(is_killed_by_filter(in_a_child(with_a_thread, NULL)));
}

// ---- layers by themselves ----

static int isolated_only(const void *context)
{
    (void)context;
    struct media_confinement confinement = {0};
    media_confine_isolate(&confinement);
    unsigned any = 1u << CONFINEMENT_LANDLOCK | 1u << CONFINEMENT_NAMESPACES;
    if ((confinement.layers & any) == 0)
        return REFUSED;
    bool is_open = open("/etc/passwd", O_RDONLY) >= 0 ||
                   openat(AT_FDCWD, "/tmp", O_TMPFILE | O_RDWR, 0600) >= 0;
    return is_open ? ESCAPED : REFUSED;
}

static void without_the_filter_there_is_still_no_file_to_open(void **state)
{
    (void)state;
    int status = in_a_child(isolated_only, NULL);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), REFUSED);
}

// ---- bombs ----

static bool take_all_memory(void)
{
    const size_t piece = (size_t)(64 * mebibyte);
    for (int64_t taken = 0; taken < 64 * 1024 * mebibyte; taken += 64 * mebibyte)
        if (mmap(NULL, piece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
            MAP_FAILED)
            return false;
    return true;
}

static bool burn_time(void)
{
    const struct rlimit second = {1, 1};
    setrlimit(RLIMIT_CPU, &second);
    for (volatile uint64_t count = 0; count < UINT64_MAX; count++) {
    }
    return true;
}

static bool fill_the_disk(void)
{
    static const char piece[65536];
    for (int64_t written = 0; written <= 2 * mebibyte; written += sizeof piece)
        if (write(MEDIA_OUTPUT_FD, piece, sizeof piece) <= 0)
            return false;
    return true;
}

static void bombs_do_not_go_off(void **state)
{
    (void)state;
    const struct escape time = {"time", burn_time, ESCAPE_PERHAPS},
                        disk = {"disk", fill_the_disk, ESCAPE_PERHAPS};
    const struct escape memory = {"memory", take_all_memory, ESCAPE_PERHAPS};
    int status = in_a_child(try_inside, &time);
    assert_true(WIFSIGNALED(status));
    assert_true(WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGXCPU);
    status = in_a_child(try_inside, &disk);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGXFSZ);
    if (confinement_memory_bytes(1) == 0)
        return;
    status = in_a_child(try_inside, &memory);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), REFUSED);
}

// ---- what an honest child needs ----

static bool do_honest_work(void)
{
    char byte;
    void *memory = malloc(8 * 1024 * 1024);
    bool is_well = memory != NULL && pread(MEDIA_SOURCE_FD, &byte, 1, 0) == 0 &&
                   pwrite(MEDIA_OUTPUT_FD, "x", 1, 0) == 1 &&
                   lseek(MEDIA_OUTPUT_FD, 0, SEEK_END) == 1 && write(MEDIA_REPORT_FD, "x", 1) == 1;
    free(memory);
    media_confine_expect(1000);
    struct rlimit time;
    return is_well && getrlimit(RLIMIT_CPU, &time) == 0 && time.rlim_cur == 64;
}

_Noreturn static bool assert_something_wrong(void)
{
    abort();
}

static void an_honest_child_is_not_disturbed(void **state)
{
    (void)state;
    const struct escape honest = {"honest", do_honest_work, ESCAPE_PERHAPS};
    int status = in_a_child(try_inside, &honest);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), ESCAPED);
    const struct escape wrong = {"abort", assert_something_wrong, ESCAPE_PERHAPS};
    status = in_a_child(try_inside, &wrong);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

// ---- a parent that waits ----

static bool hang_silently(void *context, struct media_report *out_done, struct media_failure *why)
{
    (void)context;
    (void)out_done;
    (void)why;
    static const char done[] = "done duration_ms=1000\n";
    if (write(MEDIA_REPORT_FD, done, sizeof done - 1) > 0)
        close(MEDIA_REPORT_FD);
    for (;;)
        sched_yield();
    return true;
}

// Nobody could stop the parent by Ctrl-C, nor would it end by itself.
static void a_child_that_closes_its_report_and_stays_is_killed(void **state)
{
    (void)state;
    int fd = open_scratch();
    const struct media_guard guard = {
        .task = {.work = hang_silently, .threads = 1}, .source_fd = fd, .output_fd = fd};
    struct media_report done;
    struct media_failure why;
    alarm(60);
    assert_false(media_guard_run(&guard, &done, &why));
    alarm(0);
    assert_string_equal(why.code, "decoder_crash");
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_out_is_closed),
        cmocka_unit_test(threads_that_were_there_before_are_confined_too),
        cmocka_unit_test(without_the_filter_there_is_still_no_file_to_open),
        cmocka_unit_test(bombs_do_not_go_off),
        cmocka_unit_test(an_honest_child_is_not_disturbed),
        cmocka_unit_test(a_child_that_closes_its_report_and_stays_is_killed),
    };
    media_confine_prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
