// The table of commands: finds one and runs it.
#include "command.h"

#include "base/alloc.h"
#include "base/file.h"
#include "roles/roles.h"
#include "tools/load.h"
#include "tools/tools.h"

#include <stdio.h>
#include <string.h>

static int run_role(const struct role *role, char letter, char *const *arguments)
{
    struct config config;
    struct error err = {0};
    int status;
    SCOPED(free) char *usage = alloc_format("Usage: unreel %s [SETTINGS]", role->name);
    if (!load_settings(arguments, usage, letter, &config, &status))
        return status;
    if (!file_make_directory(config.data, 0700, &err)) {
        fprintf(stderr, "unreel: %s\n", err.text);
        return 1;
    }
    return role_run(role, &config);
}

static int gateway_command(char *const *arguments)
{
    return run_role(&gateway_role, 'G', arguments);
}

static int auth_command(char *const *arguments)
{
    return run_role(&auth_role, 'A', arguments);
}

static int converter_command(char *const *arguments)
{
    return run_role(&converter_role, 'C', arguments);
}

static int notifier_command(char *const *arguments)
{
    return run_role(&notifier_role, 'N', arguments);
}

static const struct command commands[] = {
    {"serve", "run the whole service on this machine", serve_command},
    {"convert", "turn one video into an MP3, without any service", convert_command},
    {"probe", "say what is in a video, as JSON", probe_command},
    {"user", "add an account, reset a password", user_command},
    {"check-config", "show the settings, or what is wrong with them", check_config_command},
    {"make-key", "make a signing key for several auth roles", make_key_command},
    {"healthcheck", "ask a role whether it is alive", healthcheck_command},
    {"migrate", "bring the databases up to date", migrate_command},
    {"gateway", "one role: HTTP for users", gateway_command},
    {"auth", "one role: accounts, sessions, tokens", auth_command},
    {"converter", "one role: videos become MP3s", converter_command},
    {"notifier", "one role: letters become mails", notifier_command},
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
