// `unreel check-config`: shows every setting and where it came from, or everything that is
// wrong, and on request what answers.
#include "tools/tools.h"

#include "base/buf.h"
#include "tools/connect.h"
#include "tools/load.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_LIMIT_BYTES = 65536 };

static const char usage[] =
    "Usage: unreel check-config [SETTINGS]\n"
    "       unreel check-config --connect [ROLE] [SETTINGS]\n"
    "       unreel check-config --reference\n\n"
    "Reads the settings as every other command does. Prints each with its value and where it came\n"
    "from, or all that is wrong. --connect then opens what ROLE (gateway, auth, converter or\n"
    "notifier; without one all that `serve` uses) would open, and says in one line each whether "
    "it\n"
    "answers; exit status 1 if one does not. --reference prints the text of docs/configuration.md.";

static const char *const roles[] = {"gateway", "auth", "converter", "notifier", "serve", NULL};

// The letter of a role in settings.def; 0 for what is none.
static char letter_of(const char *role)
{
    for (size_t i = 0; roles[i] != NULL; i++)
        if (strcmp(roles[i], role) == 0)
            return (char)toupper((unsigned char)role[0]);
    return '\0';
}

static int print_reference(void)
{
    SCOPED_BUF struct buf text;
    buf_init(&text, TEXT_LIMIT_BYTES);
    config_reference(&text);
    fputs(text.bytes, stdout);
    return 0;
}

static int print_settings(const struct config *config)
{
    SCOPED_BUF struct buf text;
    buf_init(&text, TEXT_LIMIT_BYTES);
    config_print(config, &text);
    fputs(text.bytes, stdout);
    return 0;
}

int check_config_command(char *const *arguments)
{
    struct config config;
    int status;
    if (arguments[0] != NULL && strcmp(arguments[0], "--reference") == 0)
        return print_reference();
    bool is_connect = arguments[0] != NULL && strcmp(arguments[0], "--connect") == 0;
    arguments += is_connect ? 1 : 0;
    bool has_role = is_connect && arguments[0] != NULL && arguments[0][0] != '-';
    char role = has_role ? letter_of(arguments[0]) : 'S';
    arguments += has_role ? 1 : 0;
    if (role == '\0') {
        fprintf(stderr,
                "unreel: \"%.100s\" is no role: gateway, auth, converter, notifier or serve\n",
                arguments[-1]);
        return 2;
    }
    if (!load_settings(arguments, usage, 'S', &config, &status))
        return status;
    if (!is_connect)
        return print_settings(&config);
    return connect_all(&config, role) ? 0 : 1;
}
