// One handle of a blob store with one writer, or a crowd of them, moved by lines on standard input,
// for tests that do something to the server between two calls. Usage: blobs-probe URL. Answers
// `ok|KIND MILLISECONDS RESIDENT_KIB TEXT`, KIND being that of the error; `unclean` is a success
// that left an error behind.
//
//   make, ready                  ready says how much is free
//   create KEY, resume KEY       resume says at which offset
//   write FILE OFFSET SIZE       so many bytes of the file, in pieces of 64 KiB
//   suspend, commit, abort       commit says the SHA-256
//   crowd COUNT FILE SIZE        so many more writers, of source/1 and so on, that write by turns
//   disperse                     commits them and says each one's SHA-256
//   stat KEY, remove KEY
//   read KEY FILE                into a file, in pieces of 64 KiB
//   spool KEY FOLDER             by blobs_open_fd
//   list PREFIX, unfinished PREFIX

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "blobs/blobs.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PIECE_SIZE = 64 * 1024, CROWD_LIMIT = 100 };

static const char *url;
static struct blobs *blobs;
static struct blob_writer *writer;
static struct blob_writer *crowd[CROWD_LIMIT];
static size_t crowd_count;
static struct buf text; // of the answer
static char piece[PIECE_SIZE];

static const struct blob_about about = {
    .owner = "owner", .conversion = "conversion", .name = "name.mp4", .content_type = "video/mp4"};

static long resident_kib(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file != NULL && fscanf(file, "%*d %ld", &pages) != 1)
        pages = 0;
    if (file != NULL)
        fclose(file);
    return pages * 4;
}

static bool write_file(const char *path, int64_t offset, int64_t size, struct error *err)
{
    SCOPED_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (int64_t end = offset + size; offset < end;) {
        size_t wanted = end - offset < PIECE_SIZE ? (size_t)(end - offset) : PIECE_SIZE;
        ssize_t got = file_read_at(fd, piece, wanted, offset, err);
        if (got <= 0 || !blob_write(blobs, writer, piece, (size_t)got, err))
            return false;
        offset += got;
    }
    return true;
}

static bool gather(size_t count, const char *path, int64_t size, struct error *err)
{
    SCOPED_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (; crowd_count < count; crowd_count++) {
        char key[BLOB_KEY_SIZE];
        snprintf(key, sizeof key, "source/%zu", crowd_count + 1);
        crowd[crowd_count] = blobs_create(blobs, key, &about, err);
        if (crowd[crowd_count] == NULL)
            return false;
    }
    for (int64_t offset = 0; offset < size;) {
        size_t wanted = size - offset < PIECE_SIZE ? (size_t)(size - offset) : PIECE_SIZE;
        ssize_t got = file_read_at(fd, piece, wanted, offset, err);
        for (size_t i = 0; i < count; i++)
            if (got <= 0 || !blob_write(blobs, crowd[i], piece, (size_t)got, err))
                return false;
        offset += got;
    }
    return true;
}

static bool disperse(struct error *err)
{
    struct blob_info info;
    bool is_well = true;
    while (crowd_count > 0 && is_well) {
        is_well = blob_commit(blobs, TAKE(crowd[crowd_count - 1]), &info, err);
        crowd_count--;
        buf_printf(&text, "%s ", info.sha256);
    }
    return is_well;
}

static bool read_to_file(const char *key, const char *path, struct error *err)
{
    struct blob_info info;
    struct blob_reader *reader = blobs_read(blobs, key, &info, err);
    if (reader == NULL)
        return false;
    SCOPED_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t got = 1;
    for (int64_t offset = 0; got > 0; offset += got) {
        got = blob_read_at(blobs, reader, offset, piece, PIECE_SIZE, err);
        if (got > 0 && !file_write_all(fd, piece, (size_t)got, err))
            got = -1;
    }
    blob_close(reader);
    return got == 0;
}

static bool add_key(const char *key, int64_t changed_at_ms, void *context)
{
    (void)changed_at_ms;
    (void)context;
    return buf_printf(&text, "%s ", key);
}

static bool give_back(const char *verb, struct error *err)
{
    struct blob_info info;
    if (strcmp(verb, "suspend") == 0)
        return blob_suspend(blobs, TAKE(writer), err);
    if (strcmp(verb, "commit") == 0)
        return blob_commit(blobs, TAKE(writer), &info, err) && buf_append_text(&text, info.sha256);
    blob_abort(blobs, TAKE(writer));
    return true;
}

static bool obey(const char *verb, const char *one, const char *two, const char *three,
                 struct error *err)
{
    struct blob_info info;
    int64_t offset = 0, size = 0;
    if (strcmp(verb, "make") == 0)
        return blobs_make(url, err);
    if (blobs == NULL && (blobs = blobs_open(url, err)) == NULL)
        return false;
    if (strcmp(verb, "ready") == 0)
        return blobs_ready(blobs, &size, err) && buf_printf(&text, "%" PRId64, size);
    if (strcmp(verb, "create") == 0)
        return (writer = blobs_create(blobs, one, &about, err)) != NULL;
    if (strcmp(verb, "resume") == 0)
        return (writer = blobs_resume(blobs, one, &offset, err)) != NULL &&
               buf_printf(&text, "%" PRId64, offset);
    if (strcmp(verb, "write") == 0 && text_parse_integer(two, 0, INT64_MAX, &offset) &&
        text_parse_integer(three, 0, INT64_MAX, &size))
        return write_file(one, offset, size, err);
    if (strcmp(verb, "crowd") == 0 && text_parse_integer(one, 1, CROWD_LIMIT, &offset) &&
        text_parse_integer(three, 0, INT64_MAX, &size))
        return gather((size_t)offset, two, size, err);
    if (strcmp(verb, "disperse") == 0)
        return disperse(err);
    if (writer != NULL && strchr("sca", verb[0]) != NULL && one[0] == '\0')
        return give_back(verb, err);
    if (strcmp(verb, "stat") == 0)
        return blobs_stat(blobs, one, &info, err) && buf_append_text(&text, info.sha256);
    if (strcmp(verb, "remove") == 0)
        return blobs_remove(blobs, one, err);
    if (strcmp(verb, "read") == 0)
        return read_to_file(one, two, err);
    if (strcmp(verb, "spool") == 0) {
        SCOPED_FD int fd = blobs_open_fd(blobs, one, two, -1, &info, err);
        return fd >= 0 && buf_append_text(&text, info.sha256);
    }
    if (strcmp(verb, "list") == 0 || strcmp(verb, "unfinished") == 0)
        return blobs_list(blobs, one, verb[0] == 'u', add_key, NULL, err);
    return error_set(err, ERROR_INVALID, "unknown line");
}

int main(int count, char **arguments)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    buf_init(&text, 1 << 20);
    url = count == 2 ? arguments[1] : "";
    char line[1000];
    while (fgets(line, sizeof line, stdin) != NULL) {
        char verb[20] = "", one[300] = "", two[300] = "", three[300] = "";
        sscanf(line, "%19s %299s %299s %299s", verb, one, two, three);
        struct error err = {0};
        buf_clear(&text);
        int64_t start_ms = clock_monotonic_ms();
        bool is_done = obey(verb, one, two, three, &err);
        const char *kind = error_kind_name(err.kind);
        if (is_done)
            kind = err.kind == ERROR_NONE ? "ok" : "unclean";
        printf("%s %" PRId64 " %ld %s\n", kind, clock_monotonic_ms() - start_ms, resident_kib(),
               is_done ? text.bytes : err.text);
    }
    blob_abort(blobs, writer);
    while (crowd_count > 0)
        blob_abort(blobs, crowd[--crowd_count]);
    blobs_close(blobs);
    buf_finish(&text);
    return 0;
}
