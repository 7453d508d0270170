// What somebody would try who has taken over the decoder by a file: each in a process confined as
// the real one is, and once outside, to see that the attempt is a real one.
#include "media/media_confine.h"
#include "media/media_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
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
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { REFUSED = 42, ESCAPED = 43 };

static pid_t parent;
static const int64_t mebibyte = 1024 * 1024;

// ---- attempts: true when it was possible ----

static bool open_a_file(void)
{
    return open("/etc/passwd", O_RDONLY) >= 0;
}

static bool openat2_a_file(void)
{
    const uint64_t how[3] = {O_RDONLY};
    return syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", how, sizeof how) >= 0;
}

static bool create_a_file(void)
{
    return openat(AT_FDCWD, "/tmp", O_TMPFILE | O_RDWR, 0600) >= 0;
}

static bool read_own_memory_file(void)
{
    return open("/proc/self/mem", O_RDWR) >= 0;
}

static bool make_a_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}

static bool make_a_local_socket(void)
{
    return socket(AF_UNIX, SOCK_DGRAM, 0) >= 0;
}

static bool connect_somewhere(void)
{
    const struct sockaddr_in nowhere = {.sin_family = AF_INET, .sin_port = 9};
    return connect(MEDIA_REPORT_FD, (const struct sockaddr *)&nowhere, sizeof nowhere) == 0 ||
           errno != EPERM;
}

static bool execute_a_program(void)
{
    char *const arguments[] = {(char[]){"true"}, NULL}, *const environment[] = {NULL};
    execve("/bin/true", arguments, environment);
    return errno != EPERM;
}

static bool execute_at_a_descriptor(void)
{
    char *const nothing[] = {NULL};
    syscall(SYS_execveat, MEDIA_SOURCE_FD, "", nothing, nothing, AT_EMPTY_PATH);
    return errno != EPERM;
}

static bool fork_a_process(void)
{
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        _exit(0);
    return pid > 0;
}

static bool clone3_a_process(void)
{
    uint64_t how[8] = {[4] = SIGCHLD};
    pid_t pid = (pid_t)syscall(SYS_clone3, how, sizeof how);
    if (pid == 0)
        _exit(0);
    return pid > 0;
}

#ifdef SYS_vfork
static bool vfork_a_process(void)
{
    pid_t pid = vfork();
    if (pid == 0)
        _exit(0);
    return pid > 0;
}
#endif

static void *idle(void *context)
{
    return context;
}

static bool start_a_thread(void)
{
    pthread_t thread;
    return pthread_create(&thread, NULL, idle, NULL) == 0;
}

static bool trace_a_process(void)
{
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;
}

static bool read_the_parents_memory(void)
{
    char byte;
    struct iovec here = {&byte, 1}, there = {&parent, 1};
    return process_vm_readv(parent, &here, 1, &there, 1, 0) == 1;
}

static bool signal_the_parent(void)
{
    return kill(parent, 0) == 0;
}

static bool signal_a_thread_of_the_parent(void)
{
    return syscall(SYS_tgkill, parent, parent, 0) == 0;
}

static bool abort_the_parent(void)
{
    return syscall(SYS_tgkill, parent, parent, SIGABRT) == 0;
}

static bool signal_itself(void)
{
    return syscall(SYS_tgkill, getpid(), getpid(), SIGCONT) == 0;
}

static bool leave_the_session(void)
{
    return setsid() >= 0 || errno == EPERM;
}

static bool leave_the_process_group(void)
{
    return setpgid(0, 0) == 0;
}

static void *run_memory(int protection)
{
    void *page = mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? NULL : page;
}

static bool map_memory_to_run(void)
{
    return run_memory(PROT_READ | PROT_WRITE | PROT_EXEC) != NULL;
}

static bool make_memory_run(void)
{
    void *page = run_memory(PROT_READ | PROT_WRITE);
    return page != NULL && mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0;
}

static bool map_the_source(void)
{
    return mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, MEDIA_SOURCE_FD, 0) != MAP_FAILED;
}

static bool make_a_file_in_memory(void)
{
    return memfd_create("program", 0) >= 0;
}

static bool use_io_uring(void)
{
    char parameters[120] = {0};
    return syscall(SYS_io_uring_setup, 1, parameters) >= 0;
}

static bool dump_itself(void)
{
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}

static bool outlive_the_parent(void)
{
    return prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0) == 0;
}

static bool have_a_new_user(void)
{
    return unshare(CLONE_NEWUSER) == 0;
}

static bool change_the_root(void)
{
    return chroot("/") == 0 || errno == EPERM;
}

static bool become_another_user(void)
{
    return setresuid(0, 0, 0) == 0 || errno == EPERM;
}

static bool change_the_personality(void)
{
    return personality(0xffffffff) >= 0;
}

static bool see_the_keys(void)
{
    return syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, -3, 1) >= 0;
}

static bool load_a_program_into_the_kernel(void)
{
    return syscall(SYS_bpf, 0, NULL, 0) >= 0 || errno == EINVAL || errno == EFAULT;
}

static bool count_events(void)
{
    char attributes[112] = {0};
    return syscall(SYS_perf_event_open, attributes, 0, -1, -1, 0) >= 0;
}

static bool handle_page_faults(void)
{
    return syscall(SYS_userfaultfd, 1) >= 0;
}

static bool copy_a_descriptor(void)
{
    return dup(MEDIA_SOURCE_FD) >= 0;
}

static bool make_a_pipe(void)
{
    int fds[2];
    return pipe(fds) == 0;
}

static bool write_to_the_source(void)
{
    return write(MEDIA_SOURCE_FD, "x", 1) == 1 || errno == EBADF;
}

static bool read_the_report(void)
{
    char byte;
    return read(MEDIA_REPORT_FD, &byte, 1) >= 0 || errno == EBADF;
}

static bool have_more_descriptors(void)
{
    const struct rlimit more = {1024, 1024};
    return setrlimit(RLIMIT_NOFILE, &more) == 0;
}

static bool have_more_time(void)
{
    const struct rlimit more = {RLIM_INFINITY, RLIM_INFINITY};
    return setrlimit(RLIMIT_CPU, &more) == 0;
}

static bool take_time_from_the_parent(void)
{
    struct rlimit now;
    return prlimit(parent, RLIMIT_CPU, NULL, &now) == 0;
}

static bool list_the_filters(void)
{
    return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
}

#ifdef __x86_64__
// getpid of x32, then of i386: 20.
static bool call_as_x32(void)
{
    return syscall(0x40000000 | SYS_getpid) > 0 || errno == ENOSYS;
}

static bool call_as_i386(void)
{
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
    return result > 0;
}
#endif

static const struct attempt {
    const char *name;
    bool (*is_possible)(void);
    enum {
        POSSIBLE, // outside, wherever a test runs
        PERHAPS,  // by the machine and the user
        HARMFUL,  // not tried outside
    } outside;
} attempts[] = {
    {"open", open_a_file, POSSIBLE},
    {"openat2", openat2_a_file, POSSIBLE},
    {"open to write", create_a_file, POSSIBLE},
    {"/proc/self/mem", read_own_memory_file, POSSIBLE},
    {"socket of TCP", make_a_socket, POSSIBLE},
    {"socket of a file", make_a_local_socket, POSSIBLE},
    {"connect", connect_somewhere, POSSIBLE},
    {"execve", execute_a_program, PERHAPS},
    {"execveat", execute_at_a_descriptor, POSSIBLE},
    {"fork", fork_a_process, POSSIBLE},
    {"clone3", clone3_a_process, POSSIBLE},
#ifdef SYS_vfork
    {"vfork", vfork_a_process, POSSIBLE},
#endif
    {"pthread_create", start_a_thread, POSSIBLE},
    {"ptrace", trace_a_process, PERHAPS},
    {"process_vm_readv", read_the_parents_memory, PERHAPS},
    {"kill of the parent", signal_the_parent, POSSIBLE},
    {"tgkill of the parent", signal_a_thread_of_the_parent, POSSIBLE},
    {"SIGABRT to the parent", abort_the_parent, HARMFUL},
    {"tgkill of itself", signal_itself, POSSIBLE},
    {"setsid", leave_the_session, POSSIBLE},
    {"setpgid", leave_the_process_group, POSSIBLE},
    {"mmap to run", map_memory_to_run, POSSIBLE},
    {"mprotect to run", make_memory_run, POSSIBLE},
    {"mmap of a file", map_the_source, PERHAPS},
    {"memfd_create", make_a_file_in_memory, POSSIBLE},
    {"io_uring_setup", use_io_uring, PERHAPS},
    {"dumpable again", dump_itself, POSSIBLE},
    {"outlive the parent", outlive_the_parent, POSSIBLE},
    {"seccomp looked at", list_the_filters, POSSIBLE},
    {"unshare", have_a_new_user, PERHAPS},
    {"chroot", change_the_root, POSSIBLE},
    {"setresuid", become_another_user, POSSIBLE},
    {"personality", change_the_personality, POSSIBLE},
    {"keyctl", see_the_keys, PERHAPS},
    {"bpf", load_a_program_into_the_kernel, PERHAPS},
    {"perf_event_open", count_events, PERHAPS},
    {"userfaultfd", handle_page_faults, PERHAPS},
    {"dup", copy_a_descriptor, POSSIBLE},
    {"pipe", make_a_pipe, POSSIBLE},
    {"write to the source", write_to_the_source, POSSIBLE},
    {"read the report", read_the_report, POSSIBLE},
    {"more descriptors", have_more_descriptors, PERHAPS},
    {"more processor time", have_more_time, PERHAPS},
    {"the parent's limits", take_time_from_the_parent, PERHAPS},
#ifdef __x86_64__
    {"x32", call_as_x32, POSSIBLE},
    {"int 0x80", call_as_i386, PERHAPS},
#endif
};
enum { ATTEMPTS = sizeof attempts / sizeof attempts[0] };

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
    parent = getpid();
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
    const struct attempt *attempt = context;
    return attempt->is_possible() ? ESCAPED : REFUSED;
}

static bool work(void *context, struct media_report *out_done, struct media_failure *why)
{
    (void)out_done;
    (void)why;
    const struct attempt *attempt = context;
    _exit(attempt->is_possible() ? ESCAPED : REFUSED);
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
    for (size_t i = 0; i < ATTEMPTS; i++) {
        int outside =
            attempts[i].outside == HARMFUL ? REFUSED << 8 : in_a_child(try_outside, &attempts[i]);
        int inside = in_a_child(try_inside, &attempts[i]);
        bool is_possible = WIFEXITED(outside) && WEXITSTATUS(outside) != REFUSED;
        if (attempts[i].outside == POSSIBLE && !is_possible)
            fail_msg("%s: the attempt itself is wrong: status %x", attempts[i].name, outside);
        if (!is_closed(inside))
            fail_msg("%s: status %x", attempts[i].name, inside);
        possible_outside += is_possible;
        killed += is_killed_by_filter(inside);
        refused += !is_killed_by_filter(inside);
    }
    print_message("# %d attempts, %d of them possible outside: %d killed, %d refused, 0 escaped\n",
                  ATTEMPTS, possible_outside, killed, refused);
    assert_true(killed >= 35);
}

// ---- a thread that was there before ----

static atomic_uint may_try;

static void *try_in_a_thread(void *context)
{
    while (atomic_load(&may_try) == 0)
        sched_yield();
    _exit(make_a_socket() ? ESCAPED : REFUSED);
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
    return open_a_file() || create_a_file() ? ESCAPED : REFUSED;
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
    for (int64_t taken = 0; taken < 64 * 1024 * mebibyte; taken += 64 * mebibyte)
        if (run_memory(0) == NULL || malloc((size_t)(64 * mebibyte)) == NULL)
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
    const struct attempt time = {"time", burn_time, PERHAPS},
                         disk = {"disk", fill_the_disk, PERHAPS};
    const struct attempt memory = {"memory", take_all_memory, PERHAPS};
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
    const struct attempt honest = {"honest", do_honest_work, PERHAPS};
    int status = in_a_child(try_inside, &honest);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), ESCAPED);
    const struct attempt wrong = {"abort", assert_something_wrong, PERHAPS};
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
