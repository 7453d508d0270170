// What blobs.h promises, on the store that UNREEL_TEST_BLOBS names; else on files in a temporary
// directory. Keys are new in every run, so a shared store may be used.

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/id.h"
#include "base/text.h"
#include "blobs/blobs.h"
#include "faulty_blobs.h"
#include "temporary.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct temporary temporary;
static char *url;
static struct blobs *blobs;
static struct error err;

static const struct blob_about about = {.owner = "owner",
                                        .conversion = "conversion",
                                        .name = "Gr\xC3\xBC\xC3\x9F"
                                                "e.mp4",
                                        .content_type = "video/mp4"};

static int open_store(void **state)
{
    (void)state;
    temporary_create(&temporary);
    const char *given = getenv("UNREEL_TEST_BLOBS");
    url = given != NULL ? alloc_text(given) : alloc_format("file:%s/store", temporary.path);
    blobs = blobs_make(url, &err) ? blobs_open(url, &err) : NULL;
    if (blobs == NULL)
        fprintf(stderr, "%s: %s\n", url, err.text);
    return blobs == NULL ? -1 : 0;
}

static int close_store(void **state)
{
    (void)state;
    blobs_close(blobs);
    free(url);
    temporary_remove(&temporary);
    return 0;
}

static void make_key(char out[BLOB_KEY_SIZE])
{
    char id[ID_SIZE];
    id_new(id);
    snprintf(out, BLOB_KEY_SIZE, "source/%s", id);
}

// Bytes that differ for each seed and do not repeat early.
static char *make_bytes(size_t size, unsigned int seed)
{
    char *bytes = alloc_zeroed(size + 1, 1);
    uint32_t value = seed * 2654435761U + 1;
    for (size_t i = 0; i < size; i++) {
        value = value * 1664525U + 1013904223U;
        bytes[i] = (char)(value >> 24);
    }
    return bytes;
}

static void sha256(const void *bytes, size_t size, char out[BLOB_SHA256_SIZE])
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned int sum_size = 0;
    assert_int_equal(EVP_Digest(bytes, size, sum, &sum_size, EVP_sha256(), NULL), 1);
    text_hex(sum, sum_size, out);
}

static struct blob_writer *create(const char *key)
{
    struct blob_writer *writer = blobs_create(blobs, key, &about, &err);
    if (writer == NULL)
        fail_msg("create %s: %s", key, err.text);
    return writer;
}

static void write_all(struct blob_writer *writer, const char *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t piece = size - at < 100000 ? size - at : 100000;
        if (!blob_write(blobs, writer, bytes + at, piece, &err))
            fail_msg("write: %s", err.text);
        at += piece;
    }
}

static void commit(struct blob_writer *writer)
{
    struct blob_info info;
    if (!blob_commit(blobs, writer, &info, &err))
        fail_msg("commit: %s", err.text);
}

static void store(const char *key, const char *bytes, size_t size)
{
    struct blob_writer *writer = create(key);
    write_all(writer, bytes, size);
    commit(writer);
}

static void assert_holds(const char *key, const char *bytes, size_t size)
{
    struct blob_info info;
    struct blob_reader *reader = blobs_read(blobs, key, &info, &err);
    if (reader == NULL)
        fail_msg("read %s: %s", key, err.text);
    assert_int_equal(info.size_bytes, size);
    char sum[BLOB_SHA256_SIZE];
    sha256(bytes, size, sum);
    assert_string_equal(info.sha256, sum);
    assert_string_equal(info.key, key);
    char *read = alloc_zeroed(size + 100, 1);
    assert_int_equal(blob_read_at(blobs, reader, 0, read, size + 100, &err), size);
    assert_memory_equal(read, bytes, size);
    free(read);
    blob_close(blobs, reader);
}

static void assert_absent(const char *key)
{
    struct blob_info info;
    assert_false(blobs_stat(blobs, key, &info, &err));
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
    assert_null(blobs_read(blobs, key, &info, &err));
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
    assert_int_equal(blobs_open_fd(blobs, key, temporary.path, &info, &err), -1);
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
}

struct search {
    const char *key;
    int found, seen, stop_after;
    int64_t changed_at_ms;
};

static bool look(const char *key, int64_t changed_at_ms, void *context)
{
    struct search *search = context;
    search->seen++;
    if (search->key != NULL && strcmp(key, search->key) == 0) {
        search->found++;
        search->changed_at_ms = changed_at_ms;
    }
    return search->seen != search->stop_after;
}

static bool is_listed(const char *key, bool unfinished)
{
    struct search search = {.key = key};
    assert_true(blobs_list(blobs, "", unfinished, look, &search, &err));
    assert_in_range(search.found, 0, 1);
    if (search.found == 1)
        assert_in_range(search.changed_at_ms, clock_now_ms() - 600000, clock_now_ms() + 60000);
    return search.found == 1;
}

static void a_committed_blob_reads_back_and_says_what_it_is(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 3, 255 * 1024, 255 * 1024 + 1, 2 * 1024 * 1024 + 17};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char key[BLOB_KEY_SIZE];
        make_key(key);
        SCOPED(free) char *bytes = make_bytes(sizes[i], (unsigned int)i);
        store(key, bytes, sizes[i]);
        assert_holds(key, bytes, sizes[i]);
        struct blob_info info;
        assert_true(blobs_stat(blobs, key, &info, &err));
        assert_in_range(info.committed_at_ms, clock_now_ms() - 600000, clock_now_ms() + 60000);
        assert_true(is_listed(key, false));
        assert_false(is_listed(key, true));
        assert_true(blobs_remove(blobs, key, &err));
    }
}

static void any_range_can_be_read(void **state)
{
    (void)state;
    char key[BLOB_KEY_SIZE];
    make_key(key);
    enum { SIZE = 1000 * 1000 };
    SCOPED(free) char *bytes = make_bytes(SIZE, 5);
    store(key, bytes, SIZE);
    struct blob_info info;
    struct blob_reader *reader = blobs_read(blobs, key, &info, &err);
    assert_non_null(reader);
    char *read = alloc_zeroed(1, SIZE);
    static const int64_t offsets[] = {0, 1, 261119, 261120, 261121, 522240, SIZE - 1, SIZE};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        int64_t left = SIZE - offsets[i];
        int64_t wanted = left < 300000 ? left : 300000;
        assert_int_equal(blob_read_at(blobs, reader, offsets[i], read, 300000, &err), wanted);
        assert_memory_equal(read, bytes + offsets[i], (size_t)wanted);
    }
    assert_int_equal(blob_read_at(blobs, reader, SIZE + 5, read, 10, &err), 0);
    free(read);
    blob_close(blobs, reader);
    assert_true(blobs_remove(blobs, key, &err));
}

static void a_descriptor_reads_the_whole_blob(void **state)
{
    (void)state;
    char key[BLOB_KEY_SIZE];
    make_key(key);
    SCOPED(free) char *bytes = make_bytes(600000, 6);
    store(key, bytes, 600000);
    struct blob_info info;
    int fd = blobs_open_fd(blobs, key, temporary.path, &info, &err);
    assert_true(fd >= 0);
    assert_int_equal(info.size_bytes, 600000);
    assert_int_equal(lseek(fd, 0, SEEK_END), 600000);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    SCOPED(free) char *read = alloc_zeroed(1, 600001);
    assert_int_equal(file_read_at(fd, read, 600001, 0, &err), 600000);
    assert_memory_equal(read, bytes, 600000);
    close(fd);
    assert_true(blobs_remove(blobs, key, &err));
}

static void nothing_is_visible_before_the_commit(void **state)
{
    (void)state;
    char key[BLOB_KEY_SIZE];
    make_key(key);
    struct blob_writer *writer = create(key);
    assert_absent(key);
    write_all(writer, "abc", 3);
    assert_absent(key);
    assert_false(is_listed(key, false));
    assert_true(is_listed(key, true));
    struct blob_info info;
    assert_true(blob_commit(blobs, writer, &info, &err));
    assert_string_equal(info.sha256,
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(info.size_bytes, 3);
    assert_holds(key, "abc", 3);
    assert_true(blobs_remove(blobs, key, &err));
}

static void an_aborted_blob_leaves_nothing(void **state)
{
    (void)state;
    char key[BLOB_KEY_SIZE];
    make_key(key);
    struct blob_writer *writer = create(key);
    SCOPED(free) char *bytes = make_bytes(700000, 1);
    write_all(writer, bytes, 700000);
    blob_abort(blobs, writer);
    blob_abort(blobs, NULL);
    assert_absent(key);
    assert_false(is_listed(key, true));
    int64_t offset;
    assert_null(blobs_resume(blobs, key, &offset, &err));
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
}

static void a_suspended_blob_goes_on_where_it_was(void **state)
{
    (void)state;
    char key[BLOB_KEY_SIZE];
    make_key(key);
    enum { SIZE = 1500000 };
    static const size_t ends[] = {0, 1, 300000, 300001, 1000000, SIZE};
    SCOPED(free) char *bytes = make_bytes(SIZE, 2);
    assert_true(blob_suspend(blobs, create(key), &err));
    size_t at = 0;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        blobs_close(blobs);
        blobs = blobs_open(url, &err);
        int64_t offset = -1;
        struct blob_writer *writer = blobs_resume(blobs, key, &offset, &err);
        if (writer == NULL)
            fail_msg("resume at %zu: %s", at, err.text);
        assert_int_equal(offset, at);
        write_all(writer, bytes + at, ends[i] - at);
        at = ends[i];
        assert_absent(key);
        if (at < SIZE)
            assert_true(blob_suspend(blobs, writer, &err));
        else
            commit(writer);
    }
    assert_holds(key, bytes, SIZE);
    assert_true(blobs_remove(blobs, key, &err));
}

static void what_is_committed_stays_as_it_is(void **state)
{
    (void)state;
    char key[BLOB_KEY_SIZE];
    make_key(key);
    store(key, "first", 5);
    assert_null(blobs_create(blobs, key, &about, &err));
    assert_int_equal(err.kind, ERROR_CONFLICT);
    int64_t offset;
    assert_null(blobs_resume(blobs, key, &offset, &err));
    assert_int_equal(err.kind, ERROR_CONFLICT);
    assert_holds(key, "first", 5);
    assert_false(is_listed(key, true));
    assert_true(blobs_remove(blobs, key, &err));
}

static void a_new_writer_throws_an_unfinished_blob_away(void **state)
{
    (void)state;
    char key[BLOB_KEY_SIZE];
    make_key(key);
    SCOPED(free) char *bytes = make_bytes(600000, 3);
    struct blob_writer *writer = create(key);
    write_all(writer, bytes, 600000);
    assert_true(blob_suspend(blobs, writer, &err));
    store(key, "second", 6);
    assert_holds(key, "second", 6);
    assert_true(blobs_remove(blobs, key, &err));
    assert_false(is_listed(key, true));
}

static void of_two_writers_of_a_key_at_most_one_commits(void **state)
{
    (void)state;
    char key[BLOB_KEY_SIZE];
    make_key(key);
    struct blobs *others = blobs_open(url, &err);
    assert_non_null(others);
    struct blob_writer *one = create(key);
    struct blob_info info;
    assert_true(blob_write(blobs, one, "one", 3, &err));
    struct blob_writer *two = blobs_create(others, key, &about, &err);
    if (two == NULL)
        assert_int_equal(err.kind, ERROR_CONFLICT);
    else if (!blob_write(others, two, "two!", 4, &err))
        blob_abort(others, TAKE(two));
    bool is_two = two != NULL && blob_commit(others, two, &info, &err);
    bool is_one = blob_write(blobs, one, "more", 4, &err);
    if (is_one)
        is_one = blob_commit(blobs, one, &info, &err);
    else
        blob_abort(blobs, one);
    assert_true(is_one != is_two);
    assert_holds(key, is_two ? "two!" : "onemore", is_two ? 4 : 7);
    assert_true(blobs_remove(blobs, key, &err));
    blobs_close(others);
}

static void a_writer_may_change_its_thread_and_handle(void **state)
{
    (void)state;
    char key[BLOB_KEY_SIZE];
    make_key(key);
    struct blobs *others = blobs_open(url, &err);
    assert_non_null(others);
    struct blob_writer *writer = create(key);
    assert_true(blob_write(others, writer, "abc", 3, &err));
    assert_true(blob_write(blobs, writer, "def", 3, &err));
    struct blob_info info;
    assert_true(blob_commit(others, writer, &info, &err));
    assert_holds(key, "abcdef", 6);
    blobs_close(others);
    assert_true(blobs_remove(blobs, key, &err));
}

static void removing_is_complete_and_may_be_repeated(void **state)
{
    (void)state;
    char key[BLOB_KEY_SIZE];
    make_key(key);
    assert_true(blobs_remove(blobs, key, &err));
    store(key, "x", 1);
    assert_true(blobs_remove(blobs, key, &err));
    assert_absent(key);
    assert_false(is_listed(key, false));
    assert_true(blobs_remove(blobs, key, &err));
    struct blob_writer *writer = create(key);
    write_all(writer, "abc", 3);
    assert_true(blob_suspend(blobs, writer, &err));
    assert_true(blobs_remove(blobs, key, &err));
    assert_false(is_listed(key, true));
    store(key, "again", 5);
    assert_holds(key, "again", 5);
    assert_true(blobs_remove(blobs, key, &err));
}

static void what_is_removed_while_it_is_written_does_not_come_back(void **state)
{
    (void)state;
    char key[BLOB_KEY_SIZE];
    make_key(key);
    struct blobs *others = blobs_open(url, &err);
    assert_non_null(others);
    struct blob_writer *writer = create(key);
    assert_true(blob_write(blobs, writer, "abc", 3, &err));
    bool is_removed = blobs_remove(others, key, &err);
    if (!is_removed)
        assert_int_equal(err.kind, ERROR_CONFLICT);
    struct blob_info info;
    bool is_committed = blob_commit(blobs, writer, &info, &err);
    assert_true(is_committed != is_removed);
    assert_true(blobs_remove(others, key, &err));
    assert_absent(key);
    assert_false(is_listed(key, true));
    blobs_close(others);
}

static void attempts_of_one_conversion_are_apart(void **state)
{
    (void)state;
    char id[ID_SIZE], one[BLOB_KEY_SIZE], two[BLOB_KEY_SIZE], prefix[BLOB_KEY_SIZE];
    id_new(id);
    snprintf(one, sizeof one, "audio/%s/1", id);
    snprintf(two, sizeof two, "audio/%s/2", id);
    snprintf(prefix, sizeof prefix, "audio/%s/", id);
    store(one, "one", 3);
    store(two, "two", 3);
    struct search search = {.key = two};
    assert_true(blobs_list(blobs, prefix, false, look, &search, &err));
    assert_int_equal(search.seen, 2);
    assert_int_equal(search.found, 1);
    search = (struct search){.stop_after = 1};
    assert_true(blobs_list(blobs, prefix, false, look, &search, &err));
    assert_int_equal(search.seen, 1);
    assert_true(blobs_remove(blobs, one, &err));
    assert_absent(one);
    assert_holds(two, "two", 3);
    assert_true(blobs_remove(blobs, two, &err));
    search = (struct search){0};
    assert_true(blobs_list(blobs, prefix, false, look, &search, &err));
    assert_int_equal(search.seen, 0);
}

static void odd_keys_are_refused_by_every_verb(void **state)
{
    (void)state;
    char long_key[200] = "source/";
    memset(long_key + 7, 'a', 100);
    const char *const wrong[] = {"",           "source",      "source/",         "/source/a",
                                 "source/a/",  "source/a/b",  "audio/a",         "audio/a/",
                                 "audio//a",   "audio/a/b/c", "source/../a",     "source/..",
                                 "source/.",   "incoming/a",  "../source/a",     "source/a_b",
                                 "source/a b", "source/a\nb", "source/\xC3\xBC", long_key};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct blob_info info;
        int64_t offset;
        err.kind = ERROR_NONE;
        assert_null(blobs_create(blobs, wrong[i], &about, &err));
        assert_int_equal(err.kind, ERROR_INVALID);
        err.kind = ERROR_NONE;
        assert_null(blobs_resume(blobs, wrong[i], &offset, &err));
        assert_int_equal(err.kind, ERROR_INVALID);
        err.kind = ERROR_NONE;
        assert_null(blobs_read(blobs, wrong[i], &info, &err));
        assert_int_equal(err.kind, ERROR_INVALID);
        assert_false(blobs_stat(blobs, wrong[i], &info, &err));
        assert_int_equal(blobs_open_fd(blobs, wrong[i], temporary.path, &info, &err), -1);
        err.kind = ERROR_NONE;
        assert_false(blobs_remove(blobs, wrong[i], &err));
        assert_int_equal(err.kind, ERROR_INVALID);
    }
}

static void the_store_says_that_it_is_ready(void **state)
{
    (void)state;
    int64_t free_bytes = 0;
    assert_true(blobs_ready(blobs, &free_bytes, &err));
    assert_true(free_bytes > 0);
}

static void unknown_stores_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "file", "file:", "nonsense:x", "://", ":"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        err.kind = ERROR_NONE;
        assert_null(blobs_open(wrong[i], &err));
        assert_int_equal(err.kind, ERROR_INVALID);
    }
}

static void a_store_that_is_gone_is_not_made_anew_by_opening_it(void **state)
{
    (void)state;
    if (!text_starts_with(url, "file:")) {
        print_message("# SKIPPED: only a directory can be gone and its place be there\n");
        skip();
    }
    SCOPED(free) char *mount_point = alloc_format("%s/mount-point", temporary.path);
    SCOPED(free) char *gone_url = alloc_format("file:%s", mount_point);
    assert_true(file_make_directory(mount_point, 0700, &err));
    assert_null(blobs_open(gone_url, &err));
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    assert_int_equal(rmdir(mount_point), 0); // nothing was put into it
    assert_null(blobs_open(gone_url, &err));
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);

    // Neither does a handle from before take it for an empty store.
    struct blob_info info;
    int64_t free_bytes;
    assert_true(blobs_make(gone_url, &err));
    SCOPED(blobs_close) struct blobs *gone = blobs_open(gone_url, &err);
    assert_non_null(gone);
    assert_false(blobs_stat(gone, "source/a", &info, &err));
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
    assert_true(file_remove_tree(mount_point, &err));
    assert_false(blobs_stat(gone, "source/a", &info, &err));
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    assert_false(blobs_ready(gone, &free_bytes, &err));
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    assert_null(blobs_create(gone, "source/a", &about, &err));
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
}

// Writes, suspends, resumes and commits until it is killed; tells the parent what is committed.
static void write_until_killed(const char *key, const char *bytes, size_t size, int report_fd)
{
    struct blobs *own = blobs_open(url, &err);
    struct blob_writer *writer = own ? blobs_create(own, key, &about, &err) : NULL;
    int64_t offset = 0;
    if (writer != NULL && blob_write(own, writer, bytes, size / 2, &err) &&
        blob_suspend(own, TAKE(writer), &err))
        writer = blobs_resume(own, key, &offset, &err);
    struct blob_info info;
    bool is_committed = writer != NULL &&
                        blob_write(own, writer, bytes + offset, size - (size_t)offset, &err) &&
                        blob_commit(own, writer, &info, &err);
    char report = is_committed ? 'c' : 'f';
    if (write(report_fd, &report, 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

static pid_t start_writing(const char *key, const char *bytes, size_t size, int *out_report_fd)
{
    int report[2];
    assert_int_equal(pipe(report), 0);
    pid_t child = fork();
    if (child == 0)
        write_until_killed(key, bytes, size, report[1]);
    close(report[1]);
    *out_report_fd = report[0];
    return child;
}

static void stop_writing(pid_t child)
{
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

// How long the whole of it takes here and now, so that the kills hit all of its steps.
static int64_t measure_writing_us(const char *bytes, size_t size)
{
    char key[BLOB_KEY_SIZE];
    make_key(key);
    int report_fd;
    int64_t begin_ms = clock_monotonic_ms();
    pid_t child = start_writing(key, bytes, size, &report_fd);
    char answer = 'n';
    assert_int_equal(read(report_fd, &answer, 1), 1);
    assert_int_equal(answer, 'c');
    int64_t took_us = (clock_monotonic_ms() - begin_ms + 1) * 1000;
    stop_writing(child);
    close(report_fd);
    assert_true(blobs_remove(blobs, key, &err));
    return took_us;
}

static void a_killed_writer_leaves_all_or_nothing(void **state)
{
    (void)state;
    enum { SIZE = 3000000 };
    SCOPED(free) char *bytes = make_bytes(SIZE, 4);
    int committed = 0;
    int64_t took_us = measure_writing_us(bytes, SIZE);
    for (int i = 0; i < 40; i++) {
        char key[BLOB_KEY_SIZE];
        make_key(key);
        int report_fd;
        pid_t child = start_writing(key, bytes, SIZE, &report_fd);
        usleep((useconds_t)(id_random_u64() % (uint64_t)(took_us * 3 / 2)));
        stop_writing(child);
        char answer = 'n';
        ssize_t got = read(report_fd, &answer, 1);
        close(report_fd);
        assert_true(got == 0 || answer == 'c');
        struct blob_info info;
        bool is_there = blobs_stat(blobs, key, &info, &err);
        assert_true(is_there || answer != 'c'); // what was answered is there
        assert_int_equal(is_listed(key, false), is_there);
        committed += is_there;
        if (is_there)
            assert_holds(key, bytes, SIZE);
        int64_t offset = 0;
        struct blob_writer *writer = is_there ? NULL : blobs_resume(blobs, key, &offset, &err);
        if (writer != NULL) {
            assert_in_range(offset, 0, SIZE);
            write_all(writer, bytes + offset, SIZE - (size_t)offset);
            commit(writer);
            assert_holds(key, bytes, SIZE);
        }
        assert_true(blobs_remove(blobs, key, &err));
        assert_false(is_listed(key, true));
    }
    print_message("# %d of 40 were committed before they were killed\n", committed);
}

// The life of one blob; stops at the first failure, as a role would.
static bool write_in_two_sittings(struct blobs *store, const char *key)
{
    struct error problem;
    int64_t offset;
    struct blob_info info;
    struct blob_writer *writer = blobs_create(store, key, &about, &problem);
    if (writer == NULL)
        return false;
    if (!blob_write(store, writer, "abc", 3, &problem)) {
        blob_abort(store, writer);
        return false;
    }
    if (!blob_suspend(store, writer, &problem))
        return false;
    writer = blobs_resume(store, key, &offset, &problem);
    if (writer == NULL)
        return false;
    if (offset != 3 || !blob_write(store, writer, "def", 3, &problem)) {
        blob_abort(store, writer);
        return false;
    }
    return blob_commit(store, writer, &info, &problem);
}

static void wherever_a_call_fails_the_blob_is_there_or_it_is_not(void **state)
{
    (void)state;
    for (int after = 0; after < 2; after++) {
        bool is_done = false;
        for (int n = 1; !is_done; n++) {
            assert_in_range(n, 1, 30);
            char key[BLOB_KEY_SIZE];
            make_key(key);
            struct fault fault = {.fail_at = n, .after_effect = after == 1};
            struct blobs *inner = blobs_open(url, &err);
            assert_non_null(inner);
            struct blobs *faulty = faulty_blobs_wrap(inner, &fault);
            is_done = write_in_two_sittings(faulty, key);
            blobs_close(faulty);
            struct blob_info info;
            bool is_there = blobs_stat(blobs, key, &info, &err);
            assert_true(is_there || !is_done);
            if (is_there)
                assert_holds(key, "abcdef", 6);
            else
                assert_absent(key);
            assert_true(blobs_remove(blobs, key, &err));
            assert_absent(key);
            assert_false(is_listed(key, true));
        }
    }
}

static void a_full_disk_is_said_and_leaves_nothing(void **state)
{
    (void)state;
    SCOPED(free) char *directory = alloc_format("%s/small", temporary.path);
    assert_true(file_make_directory(directory, 0700, &err));
    if (!text_starts_with(url, "file:") ||
        mount("tmpfs", directory, "tmpfs", 0, "size=1m,mode=0700") != 0) {
        print_message("# SKIPPED: a full disk needs file: and the right to mount a small tmpfs\n");
        skip();
    }
    SCOPED(free) char *small_url = alloc_format("file:%s", directory);
    assert_true(blobs_make(small_url, &err));
    struct blobs *small = blobs_open(small_url, &err);
    assert_non_null(small);
    struct blob_writer *writer = blobs_create(small, "source/a", &about, &err);
    assert_non_null(writer);
    SCOPED(free) char *bytes = make_bytes(2000000, 7);
    assert_false(blob_write(small, writer, bytes, 2000000, &err));
    assert_int_equal(err.kind, ERROR_NO_SPACE);
    struct blob_info info;
    assert_false(blob_commit(small, writer, &info, &err));
    assert_false(blobs_stat(small, "source/a", &info, &err));
    int64_t free_bytes = 0;
    assert_true(blobs_ready(small, &free_bytes, &err));
    assert_true(free_bytes > 900000);
    writer = blobs_create(small, "source/a", &about, &err);
    assert_non_null(writer);
    assert_true(blob_write(small, writer, bytes, 500000, &err));
    assert_true(blob_commit(small, writer, &info, &err));
    blobs_close(small);
    assert_int_equal(umount(directory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_committed_blob_reads_back_and_says_what_it_is),
        cmocka_unit_test(any_range_can_be_read),
        cmocka_unit_test(a_descriptor_reads_the_whole_blob),
        cmocka_unit_test(nothing_is_visible_before_the_commit),
        cmocka_unit_test(an_aborted_blob_leaves_nothing),
        cmocka_unit_test(a_suspended_blob_goes_on_where_it_was),
        cmocka_unit_test(what_is_committed_stays_as_it_is),
        cmocka_unit_test(a_new_writer_throws_an_unfinished_blob_away),
        cmocka_unit_test(of_two_writers_of_a_key_at_most_one_commits),
        cmocka_unit_test(a_writer_may_change_its_thread_and_handle),
        cmocka_unit_test(removing_is_complete_and_may_be_repeated),
        cmocka_unit_test(what_is_removed_while_it_is_written_does_not_come_back),
        cmocka_unit_test(attempts_of_one_conversion_are_apart),
        cmocka_unit_test(odd_keys_are_refused_by_every_verb),
        cmocka_unit_test(the_store_says_that_it_is_ready),
        cmocka_unit_test(unknown_stores_are_refused),
        cmocka_unit_test(a_store_that_is_gone_is_not_made_anew_by_opening_it),
        cmocka_unit_test(a_killed_writer_leaves_all_or_nothing),
        cmocka_unit_test(wherever_a_call_fails_the_blob_is_there_or_it_is_not),
        cmocka_unit_test(a_full_disk_is_said_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, open_store, close_store);
}
