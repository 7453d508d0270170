// `unreel convert` and `unreel probe`: becomes unreel-media, the program that knows media and
// nothing else.
#include "tools/tools.h"

#include "base/alloc.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char program_name[] = "unreel-media";

static void try_beside_this_program(char **arguments)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0)
        return;
    path[length] = '\0';
    SCOPED(free) char *program = alloc_format("%s/%s", dirname(path), program_name);
    execv(program, arguments);
}

static int become(const char *command, char *const *arguments)
{
    size_t count = 0;
    while (arguments[count] != NULL)
        count++;
    SCOPED(free) char **passed = alloc_zeroed(count + 3, sizeof *passed);
    char name[] = "unreel-media";
    SCOPED(free) char *face = alloc_text(command);
    passed[0] = name;
    passed[1] = face;
    memcpy(passed + 2, arguments, count * sizeof *passed);
    try_beside_this_program(passed);
    execv(UNREEL_LIBEXECDIR "/unreel-media", passed);
    fprintf(stderr,
            "unreel: %s was not found beside this program or in %s. Install both programs.\n",
            program_name, UNREEL_LIBEXECDIR);
    return 1;
}

int convert_command(char *const *arguments)
{
    return become("convert", arguments);
}

int probe_command(char *const *arguments)
{
    return become("probe", arguments);
}
