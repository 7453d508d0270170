#pragma once
// A directory of its own for a test, removed with all it holds at the end.

struct temporary {
    char path[64];
};

void temporary_create(struct temporary *out);
void temporary_remove(struct temporary *temporary);
