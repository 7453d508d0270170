#include "roles/converter/converter_machine.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

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
