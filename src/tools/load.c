#include "tools/load.h"

#include "base/file.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_LIMIT_BYTES = 65536 };

static bool asks_for_help(char *const *arguments)
{
    for (; *arguments != NULL; arguments++)
        if (strcmp(*arguments, "--help") == 0 || strcmp(*arguments, "-h") == 0)
            return true;
    return false;
}

bool load_settings(char *const *arguments, const char *usage, char role, struct config *out,
                   int *out_status)
{
    SCOPED_BUF struct buf text;
    buf_init(&text, TEXT_LIMIT_BYTES);
    if (asks_for_help(arguments)) {
        config_help(role, &text);
        printf("%s\n\n%s", usage, text.bytes);
        *out_status = 0;
        return false;
    }
    if (!config_load(out, arguments, NULL, &text)) {
        fprintf(stderr, "unreel: the settings are not right:\n%s", text.bytes);
        *out_status = 2;
        return false;
    }
    return true;
}
