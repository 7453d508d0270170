// Landlock without a single rule: all that it handles is refused. The constants are our own, since
// Debian 12's header knows two of the eight versions of its interface (linux/landlock.h of 6.12).
#include "media/media_confine_layers.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

struct ruleset { // as long as the kernel's version of it knows: 8, 16 or 24 bytes
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};

enum {
    CREATE_RULESET_VERSION = 1 << 0,
    ACCESS_FS_1 = (1 << 13) - 1, // execute … make_sym
    ACCESS_FS_REFER = 1 << 13,
    ACCESS_FS_TRUNCATE = 1 << 14,
    ACCESS_FS_IOCTL_DEVICE = 1 << 15,
    ACCESS_NET_BIND_TCP = 1 << 0,
    ACCESS_NET_CONNECT_TCP = 1 << 1,
    SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0,
    SCOPE_SIGNAL = 1 << 1,
};

static size_t fill(long version, struct ruleset *out)
{
    *out = (struct ruleset){.handled_access_fs = ACCESS_FS_1};
    if (version >= 2)
        out->handled_access_fs |= ACCESS_FS_REFER;
    if (version >= 3)
        out->handled_access_fs |= ACCESS_FS_TRUNCATE;
    if (version >= 5)
        out->handled_access_fs |= ACCESS_FS_IOCTL_DEVICE;
    if (version < 4)
        return offsetof(struct ruleset, handled_access_net);
    out->handled_access_net = ACCESS_NET_BIND_TCP | ACCESS_NET_CONNECT_TCP;
    if (version < 6)
        return offsetof(struct ruleset, scoped);
    out->scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL;
    return sizeof *out;
}

bool media_confine_landlock(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
    if (version < 1)
        return false;
    struct ruleset ruleset;
    size_t size = fill(version, &ruleset);
    long fd = syscall(SYS_landlock_create_ruleset, &ruleset, size, 0);
    if (fd < 0)
        return false;
    bool is_entered = syscall(SYS_landlock_restrict_self, fd, 0) == 0;
    close((int)fd);
    return is_entered;
}
