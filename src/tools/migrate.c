// `unreel migrate`: brings the databases up to date. Safe to run at any time and several times.
#include "tools/tools.h"

#include "accounts/accounts.h"
#include "base/file.h"
#include "blobs/blobs.h"
#include "jobs/jobs.h"
#include "tools/load.h"

#include <stdio.h>

static const char usage[] =
    "Usage: unreel migrate [SETTINGS]\n\n"
    "Makes what is missing in the databases of accounts and jobs and in the "
    "store of blobs; may\n"
    "run at any time. `unreel serve` does it by itself; where the roles "
    "run apart, run it before\n"
    "they start for the first time and before a new version starts.";

int migrate_command(char *const *arguments)
{
    struct config config;
    struct error err = {0};
    int status;
    if (!load_settings(arguments, usage, 'S', &config, &status))
        return status;
    if (!file_make_directory(config.data, 0700, &err) || !accounts_migrate(config.accounts, &err) ||
        !jobs_migrate(config.jobs, &err) || !blobs_make(config.blobs, &err)) {
        fprintf(stderr, "unreel: cannot bring the stores up to date: %s\n", err.text);
        return 1;
    }
    puts("The databases are up to date.");
    return 0;
}
