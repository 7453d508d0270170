// The table of commands: finds one and runs it.
#include "command.h"

#include "tools/tools.h"

#include <stdio.h>
#include <string.h>

static const struct command commands[] = {
    {"convert", "turn one video into an MP3, without any service", convert_command},
    {"check-config", "show the settings, or what is wrong with them", check_config_command},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void print_help(FILE *out)
{
    fputs("Unreel turns videos into MP3s.\n\nUsage: unreel COMMAND [ARGUMENTS]\n\nCommands:\n",
          out);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-13s %s\n", commands[i].name, commands[i].summary);
    fputs("\n`unreel COMMAND --help` says more. Start with `unreel serve`.\n", out);
}

int main(int argument_count, char **arguments)
{
    const char *name = argument_count > 1 ? arguments[1] : NULL;
    if (name == NULL) {
        print_help(stderr);
        return 2;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return 0;
    }
    if (strcmp(name, "--version") == 0) {
        puts("unreel " UNREEL_VERSION);
        return 0;
    }
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return commands[i].run(arguments + 2);
    fprintf(stderr, "unreel: there is no command \"%s\"; `unreel --help` lists them.\n", name);
    return 2;
}
