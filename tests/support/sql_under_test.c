#include "sql_under_test.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>

static char directory[64];
static char url[512];

void sql_under_test_start(void)
{
    const char *given = getenv("UNREEL_TEST_SQL");
    if (given && given[0]) {
        snprintf(url, sizeof url, "%s", given);
        return;
    }
    snprintf(directory, sizeof directory, "/tmp/unreel-sql-XXXXXX");
    if (!mkdtemp(directory))
        abort();
    snprintf(url, sizeof url, "sqlite:%s/test.db", directory);
}

const char *sql_under_test_url(void)
{
    return url;
}

bool sql_under_test_is_local(void)
{
    return directory[0] != '\0';
}

void sql_under_test_stop(void)
{
    struct error ignored;
    if (directory[0])
        file_remove_tree(directory, &ignored);
    directory[0] = '\0';
}
