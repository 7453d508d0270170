#include "media/media_confine.h"

#include "media/media_confine_layers.h"
#include "media/media_limits.h"

#include <grp.h>
#include <libavutil/log.h>
#include <libavutil/mem.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { NOBODY = 65534, PROCESSOR_BASE_S = 60, PROCESSOR_GRACE_S = 5 };

// libavutil's own logger asks the terminal what it is, and a strange file makes it talk much.
static void say_nothing(void *context, int level, const char *format, va_list arguments)
{
    (void)context;
    (void)level;
    (void)format;
    (void)arguments;
}

void media_confine_prepare(void)
{
    mallopt(M_ARENA_MAX, 1);
    tzset();
    av_log_set_callback(say_nothing);
    av_max_alloc(MEDIA_ALLOCATION_BYTES);
}

bool media_confine_no_privilege(void)
{
    const struct rlimit none = {0, 0};
    return setrlimit(RLIMIT_CORE, &none) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
}

// Root has no limit on its processes and may do what it likes where a layer is missing.
static void stop_being_root(void)
{
    if (geteuid() != 0)
        return;
    if (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
        setresuid(NOBODY, NOBODY, NOBODY) != 0) {
        // A container's root may be nobody else; its layers are the same.
    }
}

// The kernel forgets who has to die with whom when the user changes.
static void die_with(pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(1);
}

// LeakSanitizer starts a process that looks at this one when it ends: not from in here
// (sanitizer/lsan_interface.h).
static bool is_confined;
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return is_confined;
}

void media_confine_isolate(struct media_confinement *confinement)
{
    pid_t parent = getppid();
    is_confined = true;
    stop_being_root();
    if (media_confine_namespaces())
        confinement->layers |= 1u << CONFINEMENT_NAMESPACES;
    die_with(parent);
    if (media_confine_no_privilege())
        confinement->layers |= 1u << CONFINEMENT_NO_PRIVILEGE;
    if (media_confine_landlock())
        confinement->layers |= 1u << CONFINEMENT_LANDLOCK;
}

// Whoever started us has set a limit that can be reached.
static bool is_limited(__rlimit_resource_t resource)
{
    struct rlimit value;
    return getrlimit(resource, &value) == 0 && value.rlim_max != RLIM_INFINITY;
}

static bool limit_ourselves(void)
{
    const struct rlimit none = {0, 0};
    return (is_limited(RLIMIT_AS) || confinement_memory_bytes(1) == 0) && is_limited(RLIMIT_CPU) &&
           is_limited(RLIMIT_FSIZE) && setrlimit(RLIMIT_CORE, &none) == 0 &&
           setrlimit(RLIMIT_NPROC, &none) == 0 && setrlimit(RLIMIT_NOFILE, &none) == 0;
}

bool media_confine_enter(struct media_confinement *confinement, struct media_failure *why)
{
    if (limit_ourselves())
        confinement->layers |= 1u << CONFINEMENT_RLIMITS;
    else
        media_fail(why, "internal", "This process could not be given limits.");
    if ((confinement->layers & 1u << CONFINEMENT_NO_PRIVILEGE) == 0)
        media_fail(why, "internal", "This process could not give up its privileges.");
    else if (media_confine_filter(why))
        confinement->layers |= 1u << CONFINEMENT_SECCOMP;
    return confinement_is_enough(confinement->layers);
}

void media_confine_expect(int64_t duration_ms)
{
    struct rlimit value;
    if (!is_confined || duration_ms <= 0)
        return;
    rlim_t enough_s = (rlim_t)(2 * (duration_ms / 1000 + 1) + PROCESSOR_BASE_S);
    if (getrlimit(RLIMIT_CPU, &value) != 0 || value.rlim_cur <= enough_s)
        return;
    value = (struct rlimit){.rlim_cur = enough_s, .rlim_max = enough_s + PROCESSOR_GRACE_S};
    setrlimit(RLIMIT_CPU, &value);
}
