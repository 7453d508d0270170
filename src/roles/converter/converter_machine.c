#include "roles/converter/converter_machine.h"

#include "base/buf.h"
#include "base/file.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 4096, CGROUP_FILE_LIMIT = 4096 };

static const char program_name[] = "unreel-media";

static bool beside_this_program(char *out, size_t out_size)
{
    char path[PATH_SIZE];
    ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
    if (size <= 0)
        return false;
    path[size] = '\0';
    char *slash = strrchr(path, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    int length = snprintf(out, out_size, "%s/%s", path, program_name);
    return length > 0 && (size_t)length < out_size;
}

bool converter_find_program(char *out, size_t out_size, struct error *err)
{
    bool has_path = beside_this_program(out, out_size);
    if (has_path && access(out, X_OK) == 0)
        return true;
    char beside[160];
    snprintf(beside, sizeof beside, "%.150s", has_path ? out : "beside this program");
#ifdef UNREEL_LIBEXECDIR
    snprintf(out, out_size, "%s/%s", UNREEL_LIBEXECDIR, program_name);
    if (access(out, X_OK) == 0)
        return true;
    return error_set(err, ERROR_NOT_FOUND, "no program at %s nor %.60s", beside, out);
#else
    return error_set(err, ERROR_NOT_FOUND, "no program at %s", beside);
#endif
}

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

int converter_cores(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    int allowed = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    int quota = cgroup_quota();
    int cores = quota > 0 && quota < allowed ? quota : allowed;
    return cores > 0 ? cores : 1;
}
