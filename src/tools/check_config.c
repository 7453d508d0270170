// `unreel check-config`: shows every setting and where it came from, or everything that is wrong.
#include "tools/tools.h"

#include "base/file.h"
#include "tools/load.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_LIMIT_BYTES = 65536 };

static const char usage[] =
    "Usage: unreel check-config [SETTINGS]\n"
    "       unreel check-config --reference\n\n"
    "Reads the settings as every other command does. Prints each with its value and where it came\n"
    "from, or all that is wrong. --reference prints the text of docs/configuration.md.";

int check_config_command(char *const *arguments)
{
    SCOPED_BUF struct buf text;
    buf_init(&text, TEXT_LIMIT_BYTES);
    if (arguments[0] != NULL && strcmp(arguments[0], "--reference") == 0) {
        config_reference(&text);
        fputs(text.bytes, stdout);
        return 0;
    }
    struct config config;
    int status;
    if (!load_settings(arguments, usage, 'S', &config, NULL, &status))
        return status;
    config_print(&config, &text);
    fputs(text.bytes, stdout);
    return 0;
}
