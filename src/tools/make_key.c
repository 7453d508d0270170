// `unreel make-key`: the key that several auth roles share, for instance as a secret of Kubernetes.
// One auth role alone makes its own at the first start.
#include "tools/tools.h"

#include "security/signing_key.h"

#include <stdio.h>
#include <string.h>

static const char usage[] =
    "Usage: unreel make-key [FILE]\n\n"
    "Makes a new key that signs access tokens and writes it to FILE (mode 0600; one that is there\n"
    "stays as it is), or to standard output. Where several auth roles run, each is given the same\n"
    "file by the setting signing-key.";

int make_key_command(char *const *arguments)
{
    struct error err = {0};
    const char *path = arguments[0];
    if (path != NULL && (strcmp(path, "--help") == 0 || strcmp(path, "-h") == 0)) {
        puts(usage);
        return 0;
    }
    if (path != NULL && (*path == '-' || *path == '\0' || arguments[1] != NULL)) {
        fprintf(stderr, "%s\n", usage);
        return 2;
    }
    char text[SIGNING_KEY_TEXT_SIZE];
    bool is_made = path != NULL ? signing_key_make(path, &err) : signing_key_text(text, &err);
    if (!is_made) {
        fprintf(stderr, "unreel: cannot make a key: %s\n", err.text);
        return 1;
    }
    if (path != NULL)
        return 0;
    bool is_written = fputs(text, stdout) >= 0 && fflush(stdout) == 0;
    explicit_bzero(text, sizeof text);
    if (!is_written)
        fputs("unreel: cannot write the key to standard output\n", stderr);
    return is_written ? 0 : 1;
}
