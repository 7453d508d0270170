#include "escapes.h"

#include "media/media_confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
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

pid_t escapes_parent;

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
    struct iovec here = {&byte, 1}, there = {&escapes_parent, 1};
    return process_vm_readv(escapes_parent, &here, 1, &there, 1, 0) == 1;
}

static bool signal_the_parent(void)
{
    return kill(escapes_parent, 0) == 0;
}

static bool signal_a_thread_of_the_parent(void)
{
    return syscall(SYS_tgkill, escapes_parent, escapes_parent, 0) == 0;
}

static bool abort_the_parent(void)
{
    return syscall(SYS_tgkill, escapes_parent, escapes_parent, SIGABRT) == 0;
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
    return prlimit(escapes_parent, RLIMIT_CPU, NULL, &now) == 0;
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

const struct escape escapes[] = {
    {"open", open_a_file, ESCAPE_POSSIBLE},
    {"openat2", openat2_a_file, ESCAPE_POSSIBLE},
    {"open to write", create_a_file, ESCAPE_POSSIBLE},
    {"/proc/self/mem", read_own_memory_file, ESCAPE_POSSIBLE},
    {"socket of TCP", make_a_socket, ESCAPE_POSSIBLE},
    {"socket of a file", make_a_local_socket, ESCAPE_POSSIBLE},
    {"connect", connect_somewhere, ESCAPE_POSSIBLE},
    {"execve", execute_a_program, ESCAPE_PERHAPS},
    {"execveat", execute_at_a_descriptor, ESCAPE_POSSIBLE},
    {"fork", fork_a_process, ESCAPE_POSSIBLE},
    {"clone3", clone3_a_process, ESCAPE_POSSIBLE},
#ifdef SYS_vfork
    {"vfork", vfork_a_process, ESCAPE_POSSIBLE},
#endif
    {"pthread_create", start_a_thread, ESCAPE_POSSIBLE},
    {"ptrace", trace_a_process, ESCAPE_PERHAPS},
    {"process_vm_readv", read_the_parents_memory, ESCAPE_PERHAPS},
    {"kill of the parent", signal_the_parent, ESCAPE_POSSIBLE},
    {"tgkill of the parent", signal_a_thread_of_the_parent, ESCAPE_POSSIBLE},
    {"SIGABRT to the parent", abort_the_parent, ESCAPE_HARMFUL},
    {"tgkill of itself", signal_itself, ESCAPE_POSSIBLE},
    {"setsid", leave_the_session, ESCAPE_POSSIBLE},
    {"setpgid", leave_the_process_group, ESCAPE_POSSIBLE},
    {"mmap to run", map_memory_to_run, ESCAPE_POSSIBLE},
    {"mprotect to run", make_memory_run, ESCAPE_POSSIBLE},
    {"mmap of a file", map_the_source, ESCAPE_PERHAPS},
    {"memfd_create", make_a_file_in_memory, ESCAPE_POSSIBLE},
    {"io_uring_setup", use_io_uring, ESCAPE_PERHAPS},
    {"dumpable again", dump_itself, ESCAPE_POSSIBLE},
    {"outlive the parent", outlive_the_parent, ESCAPE_POSSIBLE},
    {"seccomp looked at", list_the_filters, ESCAPE_POSSIBLE},
    {"unshare", have_a_new_user, ESCAPE_PERHAPS},
    {"chroot", change_the_root, ESCAPE_POSSIBLE},
    {"setresuid", become_another_user, ESCAPE_POSSIBLE},
    {"personality", change_the_personality, ESCAPE_POSSIBLE},
    {"keyctl", see_the_keys, ESCAPE_PERHAPS},
    {"bpf", load_a_program_into_the_kernel, ESCAPE_PERHAPS},
    {"perf_event_open", count_events, ESCAPE_PERHAPS},
    {"userfaultfd", handle_page_faults, ESCAPE_PERHAPS},
    {"dup", copy_a_descriptor, ESCAPE_POSSIBLE},
    {"pipe", make_a_pipe, ESCAPE_POSSIBLE},
    {"write to the source", write_to_the_source, ESCAPE_POSSIBLE},
    {"read the report", read_the_report, ESCAPE_POSSIBLE},
    {"more descriptors", have_more_descriptors, ESCAPE_PERHAPS},
    {"more processor time", have_more_time, ESCAPE_PERHAPS},
    {"the parent's limits", take_time_from_the_parent, ESCAPE_PERHAPS},
#ifdef __x86_64__
    {"x32", call_as_x32, ESCAPE_POSSIBLE},
    {"int 0x80", call_as_i386, ESCAPE_PERHAPS},
#endif
};
const size_t escapes_count = sizeof escapes / sizeof escapes[0];
