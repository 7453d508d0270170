// unreel-media: the program that decodes strangers' files. `convert` and `probe` are for people,
// `nursery` for the converter, whose children are `child` and `self-test`. It links no network or
// database library of ours.
#include "media/media_child.h"
#include "media/media_command.h"
#include "media/media_nursery.h"
#include "media/media_probe_command.h"
#include "media/media_self_test.h"

#include <stdio.h>
#include <string.h>

// A child of the nursery: the face that the converter asks for.
static int work(int argument_count, char **arguments)
{
    const char *face = argument_count > 1 ? arguments[1] : "";
    if (strcmp(face, "child") == 0)
        return media_child_run(argument_count - 1, arguments + 1);
    if (strcmp(face, "self-test") == 0)
        return media_self_test_run(argument_count - 1, arguments + 1);
    return -1;
}

int main(int argument_count, char **arguments)
{
    const char *face = argument_count > 1 ? arguments[1] : "";
    if (strcmp(face, "convert") == 0)
        return media_command_run(argument_count - 1, arguments + 1);
    if (strcmp(face, "probe") == 0)
        return media_probe_command_run(argument_count - 1, arguments + 1);
    if (strcmp(face, "nursery") == 0)
        return media_nursery_run(work);
    int status = work(argument_count, arguments);
    if (status >= 0)
        return status;
    if (strcmp(face, "--version") == 0) {
        printf("unreel-media %s\n", UNREEL_VERSION);
        return 0;
    }
    if (strcmp(face, "--help") == 0 || strcmp(face, "-h") == 0) {
        media_command_help();
        return 0;
    }
    fprintf(stderr, "unreel: unreel-media wants `convert IN [OUT]` or `probe FILE` (try --help)\n");
    return 2;
}
