// The table of commands: finds one and runs it.
#include "command.h"

#include <stdio.h>

int main(int argument_count, char **arguments)
{
    (void)arguments;
    fprintf(stderr, "unreel %s: no command yet\n", UNREEL_VERSION);
    return argument_count > 1 ? 2 : 0;
}
