// Where an ordinary user may have namespaces of its own: a network without a device, a user
// without rights, and an empty read-only directory in place of all files.
#include "media/media_confine_layers.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool is_written = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return is_written;
}

// user_namespaces(7): groups first, since they could take something away.
static bool be_nobody(uid_t user, gid_t group)
{
    char users[64], groups[64];
    snprintf(users, sizeof users, "65534 %u 1", user);
    snprintf(groups, sizeof groups, "65534 %u 1", group);
    return write_text("/proc/self/setgroups", "deny") && write_text("/proc/self/uid_map", users) &&
           write_text("/proc/self/gid_map", groups);
}

// pivot_root(2), "pivot_root(".", ".")": the old root lies on top of the new one and is let go.
static bool see_no_file(void)
{
    return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", "/proc", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                 "size=4k,nr_inodes=2,mode=0555") == 0 &&
           chdir("/proc") == 0 && syscall(SYS_pivot_root, ".", ".") == 0 &&
           umount2(".", MNT_DETACH) == 0 && chdir("/") == 0;
}

static bool drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[2] = {{0}};
    return syscall(SYS_capset, &header, none) == 0;
}

bool media_confine_namespaces(void)
{
    uid_t user = geteuid();
    gid_t group = getegid();
    // A process that changed its user owns its files in /proc no more.
    if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0 ||
        unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS) != 0)
        return drop_capabilities() && false;
    bool is_complete = be_nobody(user, group) && see_no_file();
    return drop_capabilities() && is_complete;
}
