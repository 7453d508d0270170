#include "blobs/blobs_files_walk.h"

#include "base/alloc.h"
#include "base/text.h"
#include "blobs/blobs_backend.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

struct walk {
    const char *prefix;
    bool (*each)(const char *key, int64_t changed_at_ms, void *context);
    void *context;
    struct error *err;
};

enum walk_answer { WALK_ON, WALK_STOPPED, WALK_FAILED };

static enum walk_answer visit(const struct walk *walk, const char *path, const char *key)
{
    struct stat about;
    if (!blobs_key_is_valid(key) || !text_starts_with(key, walk->prefix))
        return WALK_ON;
    if (stat(path, &about) != 0) // removed since readdir
        return WALK_ON;
    int64_t changed_at_ms = (int64_t)about.st_mtim.tv_sec * 1000 + about.st_mtim.tv_nsec / 1000000;
    return walk->each(key, changed_at_ms, walk->context) ? WALK_ON : WALK_STOPPED;
}

// Walks one directory; `levels` more are below it. Names become keys by putting `key` in front.
static enum walk_answer walk_committed(const struct walk *walk, const char *path, const char *key,
                                       int levels)
{
    if (!text_starts_with(key, walk->prefix) && !text_starts_with(walk->prefix, key))
        return WALK_ON;
    DIR *directory = opendir(path);
    if (directory == NULL && errno == ENOENT)
        return WALK_ON;
    if (directory == NULL) {
        error_set_errno(walk->err, errno, "open directory %s", path);
        return WALK_FAILED;
    }
    enum walk_answer answer = WALK_ON;
    for (struct dirent *entry; answer == WALK_ON && (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        SCOPED(free) char *below = alloc_format("%s/%s", path, entry->d_name);
        SCOPED(free) char *name = alloc_format("%s%s%s", key, entry->d_name, levels ? "/" : "");
        answer = levels ? walk_committed(walk, below, name, levels - 1) : visit(walk, below, name);
    }
    closedir(directory);
    return answer;
}

static enum walk_answer walk_unfinished(const char *incoming, const struct walk *walk)
{
    DIR *directory = opendir(incoming);
    if (directory == NULL) {
        error_set_errno(walk->err, errno, "open directory %s", incoming);
        return WALK_FAILED;
    }
    enum walk_answer answer = WALK_ON;
    for (struct dirent *entry; answer == WALK_ON && (entry = readdir(directory)) != NULL;) {
        if (text_starts_with(entry->d_name, "trash_"))
            continue;
        SCOPED(free) char *data = alloc_format("%s/%s/data", incoming, entry->d_name);
        SCOPED(free) char *key = alloc_text(entry->d_name);
        for (char *at = key; *at != '\0'; at++)
            if (*at == '_')
                *at = '/';
        answer = visit(walk, data, key);
    }
    closedir(directory);
    return answer;
}

bool blobs_files_walk(const char *root, const char *prefix, bool unfinished,
                      bool (*each)(const char *key, int64_t changed_at_ms, void *context),
                      void *context, struct error *err)
{
    const struct walk walk = {.prefix = prefix, .each = each, .context = context, .err = err};
    SCOPED(free) char *incoming = alloc_format("%s/incoming", root);
    if (unfinished)
        return walk_unfinished(incoming, &walk) != WALK_FAILED;
    SCOPED(free) char *source = alloc_format("%s/source", root);
    SCOPED(free) char *audio = alloc_format("%s/audio", root);
    enum walk_answer answer = walk_committed(&walk, source, "source/", 0);
    if (answer == WALK_ON)
        answer = walk_committed(&walk, audio, "audio/", 1);
    return answer != WALK_FAILED;
}
