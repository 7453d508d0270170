#include "base/processors.h"

#include "base/buf.h"
#include "base/file.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

enum { PATH_SIZE = 4096, CGROUP_FILE_LIMIT = 4096 };

// "max 100000" or "50000 100000": microseconds of processor time in a period. 0 for no quota.
static int quota_of(const char *path)
{
    struct error err = {0};
    SCOPED_BUF struct buf text;
    buf_init(&text, CGROUP_FILE_LIMIT);
    int64_t quota_us, period_us;
    if (!file_read(path, &text, &err) ||
        sscanf(text.bytes, "%" SCNd64 " %" SCNd64, &quota_us, &period_us) != 2 || quota_us <= 0 ||
        period_us <= 0)
        return 0;
    int64_t cores = (quota_us + period_us - 1) / period_us;
    return cores < CPU_SETSIZE ? (int)cores : 0;
}

// The tightest quota from this process's own group (version 2) up to the root.
static int cgroup_quota(void)
{
    struct error err = {0};
    SCOPED_BUF struct buf groups;
    buf_init(&groups, CGROUP_FILE_LIMIT);
    if (!file_read("/proc/self/cgroup", &groups, &err))
        return 0;
    char *group = strstr(groups.bytes, "0::/");
    if (group == NULL || (group != groups.bytes && group[-1] != '\n'))
        return 0;
    group += strlen("0::");
    group[strcspn(group, "\n")] = '\0';
    int smallest = 0;
    for (;;) {
        char path[PATH_SIZE + 64];
        snprintf(path, sizeof path, "/sys/fs/cgroup%.4000s/cpu.max", group);
        int quota = quota_of(path);
        if (quota > 0 && (smallest == 0 || quota < smallest))
            smallest = quota;
        char *slash = strrchr(group, '/');
        if (slash == NULL)
            return smallest;
        *slash = '\0';
    }
}

int processors_usable(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    int allowed = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    int quota = cgroup_quota();
    int cores = quota > 0 && quota < allowed ? quota : allowed;
    return cores > 0 ? cores : 1;
}
