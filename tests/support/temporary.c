#include "temporary.h"

#include "base/file.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

void temporary_create(struct temporary *out)
{
    snprintf(out->path, sizeof out->path, "/tmp/unreel-test-XXXXXX");
    char *path = mkdtemp(out->path);
    assert(path != NULL);
}

void temporary_remove(struct temporary *temporary)
{
    struct error err;
    bool is_removed = file_remove_tree(temporary->path, &err);
    assert(is_removed);
}
