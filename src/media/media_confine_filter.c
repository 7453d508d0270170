// The list of system calls, found by tracing conversions of a corpus by the release and by the
// sanitizers' build. A call that is not on it kills the process by SIGSYS: no library makes it with
// a file of any kind, so it is a finding. x32 and 32-bit calls are not on it either.
#include "media/media_confine_layers.h"

#include "base/scope.h"
#include "media/media_confine.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

SCOPE_DEFINE(seccomp_release, scmp_filter_ctx);

struct rule {
    int call;
    unsigned argument; // of the call, from 0
    uint64_t mask, value;
};

static const uint64_t all_of_it = 0xffffffff;

// Whatever their arguments.
static const int allowed[] = {
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(futex),
    SCMP_SYS(close),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(getrandom),
    SCMP_SYS(sched_yield),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(fstat),
    SCMP_SYS(sigaltstack),
};

// On the three descriptors that are ours; memory that cannot be run.
static const struct rule allowed_with[] = {
    {SCMP_SYS(read), 0, all_of_it, MEDIA_SOURCE_FD},
    {SCMP_SYS(pread64), 0, all_of_it, MEDIA_SOURCE_FD},
    {SCMP_SYS(pread64), 0, all_of_it, MEDIA_OUTPUT_FD},
    {SCMP_SYS(lseek), 0, all_of_it, MEDIA_SOURCE_FD},
    {SCMP_SYS(lseek), 0, all_of_it, MEDIA_OUTPUT_FD},
    {SCMP_SYS(write), 0, all_of_it, MEDIA_OUTPUT_FD},
    {SCMP_SYS(write), 0, all_of_it, MEDIA_REPORT_FD},
    {SCMP_SYS(pwrite64), 0, all_of_it, MEDIA_OUTPUT_FD},
    {SCMP_SYS(mprotect), 2, PROT_EXEC, 0},
};

// What the C library and the sanitizers ask in passing and can do without.
static const struct {
    int call, error_number;
} refused[] = {
    {SCMP_SYS(openat), ENOENT},     {SCMP_SYS(readlinkat), ENOENT},
    {SCMP_SYS(newfstatat), ENOENT}, {SCMP_SYS(ioctl), ENOTTY},
    {SCMP_SYS(sysinfo), ENOSYS},    {SCMP_SYS(sched_getaffinity), ENOSYS},
#ifdef __NR_open
    {SCMP_SYS(open), ENOENT},
#endif
#ifdef __NR_readlink
    {SCMP_SYS(readlink), ENOENT},
#endif
};

static bool allow_with_arguments(scmp_filter_ctx filter)
{
    for (size_t i = 0; i < sizeof allowed_with / sizeof allowed_with[0]; i++) {
        const struct rule *rule = &allowed_with[i];
        const struct scmp_arg_cmp argument =
            SCMP_CMP(rule->argument, SCMP_CMP_MASKED_EQ, rule->mask, rule->value);
        if (seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rule->call, 1, &argument) != 0)
            return false;
    }
    const struct scmp_arg_cmp anonymous_data[] = {
        SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
        SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS),
    };
    // abort(3): an assertion of ours ends by its own signal.
    const struct scmp_arg_cmp abort_itself[] = {
        SCMP_A0(SCMP_CMP_MASKED_EQ, all_of_it, (uint64_t)getpid()),
        SCMP_A2(SCMP_CMP_MASKED_EQ, all_of_it, SIGABRT),
    };
    // media_confine_expect; what is lowered cannot be raised again.
    const struct scmp_arg_cmp own_processor_time[] = {
        SCMP_A0(SCMP_CMP_MASKED_EQ, all_of_it, 0),
        SCMP_A1(SCMP_CMP_MASKED_EQ, all_of_it, RLIMIT_CPU),
    };
    return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2, anonymous_data) == 0 &&
           seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 2, abort_itself) == 0 &&
           seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2,
                                  own_processor_time) == 0;
}

static bool fill(scmp_filter_ctx filter)
{
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
        if (seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, allowed[i], 0, NULL) != 0)
            return false;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (seccomp_rule_add_array(filter, SCMP_ACT_ERRNO((uint32_t)refused[i].error_number),
                                   refused[i].call, 0, NULL) != 0)
            return false;
    return allow_with_arguments(filter);
}

bool media_confine_filter(struct media_failure *why)
{
    SCOPED(seccomp_release) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (filter == NULL)
        return media_fail(why, "internal", "This system knows no filter of system calls.");
    if (seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) != 0 ||
        seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) != 0 ||
        !fill(filter))
        return media_fail(why, "internal", "The filter of system calls could not be made.");
    int result = seccomp_load(filter);
    if (result != 0)
        return media_fail(why, "internal", "The filter of system calls was refused: %s",
                          strerrordesc_np(-result));
    return true;
}
