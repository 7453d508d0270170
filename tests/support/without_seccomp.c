// Stands for a machine that has no filter of system calls: `without-seccomp PROGRAM ARGUMENTS…`.
#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int argument_count, char **arguments)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (argument_count < 2 || filter == NULL ||
        seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(seccomp), 0) != 0 ||
        seccomp_rule_add(filter, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(prctl), 1,
                         SCMP_A0(SCMP_CMP_EQ, PR_SET_SECCOMP, 0)) != 0 ||
        seccomp_load(filter) != 0)
        return 9;
    execv(arguments[1], arguments + 1);
    perror(arguments[1]);
    return 9;
}
