#include "media/media_confine.h"

#include "media/media_limits.h"

#include <libavutil/log.h>
#include <libavutil/mem.h>
#include <malloc.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

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

bool media_confine_enter(void)
{
    const struct rlimit none = {0, 0};
    return setrlimit(RLIMIT_CORE, &none) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
}
