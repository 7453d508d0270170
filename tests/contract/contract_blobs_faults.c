// What blobs.h promises when a writer is killed, a call fails or the disk is full: all of a blob or
// nothing.

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/id.h"
#include "base/text.h"
#include "blobs_fixture.h"
#include "faulty_blobs.h"
#include "mongodb_under_test.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct error err;

// Writes, suspends, resumes and commits until it is killed; tells the parent what is committed.
static void write_until_killed(const char *key, const char *bytes, size_t size, int report_fd)
{
    struct blobs *own = blobs_open(store_url, &err);
    struct blob_writer *writer = own ? blobs_create(own, key, &store_about, &err) : NULL;
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
    store_key(key);
    int report_fd;
    int64_t begin_ms = clock_monotonic_ms();
    pid_t child = start_writing(key, bytes, size, &report_fd);
    char answer = 'n';
    assert_int_equal(read(report_fd, &answer, 1), 1);
    assert_int_equal(answer, 'c');
    int64_t took_us = (clock_monotonic_ms() - begin_ms + 1) * 1000;
    stop_writing(child);
    close(report_fd);
    assert_true(blobs_remove(store_blobs, key, &err));
    return took_us;
}

static void a_killed_writer_leaves_all_or_nothing(void **state)
{
    (void)state;
    enum { SIZE = 3000000 };
    SCOPED(free) char *bytes = store_bytes(SIZE, 4);
    int committed = 0;
    int64_t took_us = measure_writing_us(bytes, SIZE);
    // A server waits for a dead writer's transaction, so each kill costs time there.
    int kills = mongodb_under_test_is_wanted() ? 15 : 40;
    for (int i = 0; i < kills; i++) {
        char key[BLOB_KEY_SIZE];
        store_key(key);
        int report_fd;
        pid_t child = start_writing(key, bytes, SIZE, &report_fd);
        usleep((useconds_t)(id_random_u64() % (uint64_t)(took_us * 3 / 2)));
        stop_writing(child);
        char answer = 'n';
        ssize_t got = read(report_fd, &answer, 1);
        close(report_fd);
        assert_true(got == 0 || answer == 'c');
        struct blob_info info;
        bool is_there = blobs_stat(store_blobs, key, &info, &err);
        assert_true(is_there || answer != 'c'); // what was answered is there
        assert_int_equal(store_is_listed(key, false), is_there);
        committed += is_there;
        if (is_there)
            store_assert_holds(key, bytes, SIZE);
        int64_t offset = 0;
        struct blob_writer *writer =
            is_there ? NULL : blobs_resume(store_blobs, key, &offset, &err);
        if (writer != NULL) {
            assert_in_range(offset, 0, SIZE);
            store_write(writer, bytes + offset, SIZE - (size_t)offset);
            store_commit(writer);
            store_assert_holds(key, bytes, SIZE);
        }
        assert_true(blobs_remove(store_blobs, key, &err));
        assert_false(store_is_listed(key, true));
    }
    print_message("# %d of %d were committed before they were killed\n", committed, kills);
}

// The life of one blob; stops at the first failure, as a role would.
static bool write_in_two_sittings(struct blobs *store, const char *key)
{
    struct error problem;
    int64_t offset;
    struct blob_info info;
    struct blob_writer *writer = blobs_create(store, key, &store_about, &problem);
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
            store_key(key);
            struct fault fault = {.fail_at = n, .after_effect = after == 1};
            struct blobs *inner = blobs_open(store_url, &err);
            assert_non_null(inner);
            struct blobs *faulty = faulty_blobs_wrap(inner, &fault);
            is_done = write_in_two_sittings(faulty, key);
            blobs_close(faulty);
            struct blob_info info;
            bool is_there = blobs_stat(store_blobs, key, &info, &err);
            assert_true(is_there || !is_done);
            if (is_there)
                store_assert_holds(key, "abcdef", 6);
            else
                store_assert_absent(key);
            assert_true(blobs_remove(store_blobs, key, &err));
            store_assert_absent(key);
            assert_false(store_is_listed(key, true));
        }
    }
}

static void a_full_disk_is_said_and_leaves_nothing(void **state)
{
    (void)state;
    char directory[600];
    snprintf(directory, sizeof directory, "%s/small", store_directory.path);
    assert_true(file_make_directory(directory, 0700, &err));
    if (mount("tmpfs", directory, "tmpfs", 0, "size=1m,mode=0700") != 0) {
        print_message("# SKIPPED: a full disk needs the right to mount a small tmpfs\n");
        skip();
    }
    SCOPED(free) char *small_url = alloc_format("file:%s", directory);
    assert_true(blobs_make(small_url, &err));
    struct blobs *small = blobs_open(small_url, &err);
    assert_non_null(small);
    struct blob_writer *writer = blobs_create(small, "source/a", &store_about, &err);
    assert_non_null(writer);
    SCOPED(free) char *bytes = store_bytes(2000000, 7);
    assert_false(blob_write(small, writer, bytes, 2000000, &err));
    assert_int_equal(err.kind, ERROR_NO_SPACE);
    struct blob_info info;
    assert_false(blob_commit(small, writer, &info, &err));
    assert_false(blobs_stat(small, "source/a", &info, &err));
    int64_t free_bytes = 0;
    assert_true(blobs_ready(small, &free_bytes, &err));
    assert_true(free_bytes > 900000);
    writer = blobs_create(small, "source/a", &store_about, &err);
    assert_non_null(writer);
    assert_true(blob_write(small, writer, bytes, 500000, &err));
    assert_true(blob_commit(small, writer, &info, &err));
    blobs_close(small);
    assert_int_equal(umount(directory), 0);
}

int main(void)
{
    store_choose();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_writer_leaves_all_or_nothing),
        cmocka_unit_test(wherever_a_call_fails_the_blob_is_there_or_it_is_not),
        cmocka_unit_test(a_full_disk_is_said_and_leaves_nothing),
    };
    // The last one needs a store that is a directory.
    size_t count = sizeof tests / sizeof tests[0] - mongodb_under_test_is_wanted();
    return _cmocka_run_group_tests("tests", tests, count, store_open, store_close);
}
