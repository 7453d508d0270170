// What blobs.h promises, on MongoDB where UNREEL_TEST_BACKEND says so, else on files in a
// temporary directory. contract_blobs_faults.c has what it promises when something goes wrong.

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/id.h"
#include "base/text.h"
#include "blobs_fixture.h"
#include "mongodb_under_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct error err;

static void a_committed_blob_reads_back_and_says_what_it_is(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 3, 255 * 1024, 255 * 1024 + 1, 2 * 1024 * 1024 + 17};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char key[BLOB_KEY_SIZE];
        store_key(key);
        SCOPED(free) char *bytes = store_bytes(sizes[i], (unsigned int)i);
        store_put(key, bytes, sizes[i]);
        store_assert_holds(key, bytes, sizes[i]);
        struct blob_info info;
        assert_true(blobs_stat(store_blobs, key, &info, &err));
        assert_in_range(info.committed_at_ms, clock_now_ms() - 600000, clock_now_ms() + 60000);
        assert_true(store_is_listed(key, false));
        assert_false(store_is_listed(key, true));
        assert_true(blobs_remove(store_blobs, key, &err));
    }
}

static void any_range_can_be_read(void **state)
{
    (void)state;
    char key[BLOB_KEY_SIZE];
    store_key(key);
    enum { SIZE = 1000 * 1000 };
    SCOPED(free) char *bytes = store_bytes(SIZE, 5);
    store_put(key, bytes, SIZE);
    struct blob_info info;
    struct blob_reader *reader = blobs_read(store_blobs, key, &info, &err);
    assert_non_null(reader);
    char *read = alloc_zeroed(1, SIZE);
    static const int64_t offsets[] = {0, 1, 261119, 261120, 261121, 522240, SIZE - 1, SIZE};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        int64_t left = SIZE - offsets[i];
        int64_t wanted = left < 300000 ? left : 300000;
        assert_int_equal(blob_read_at(store_blobs, reader, offsets[i], read, 300000, &err), wanted);
        assert_memory_equal(read, bytes + offsets[i], (size_t)wanted);
    }
    assert_int_equal(blob_read_at(store_blobs, reader, SIZE + 5, read, 10, &err), 0);
    free(read);
    blob_close(reader);
    assert_true(blobs_remove(store_blobs, key, &err));
}

static void a_descriptor_reads_the_whole_blob(void **state)
{
    (void)state;
    char key[BLOB_KEY_SIZE];
    store_key(key);
    SCOPED(free) char *bytes = store_bytes(600000, 6);
    store_put(key, bytes, 600000);
    struct blob_info info;
    int fd = blobs_open_fd(store_blobs, key, store_directory.path, -1, &info, &err);
    assert_true(fd >= 0);
    assert_int_equal(info.size_bytes, 600000);
    assert_int_equal(lseek(fd, 0, SEEK_END), 600000);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    SCOPED(free) char *read = alloc_zeroed(1, 600001);
    assert_int_equal(file_read_at(fd, read, 600001, 0, &err), 600000);
    assert_memory_equal(read, bytes, 600000);
    close(fd);
    assert_true(blobs_remove(store_blobs, key, &err));
}

static void a_copy_stops_when_it_is_cancelled(void **state)
{
    (void)state;
    char key[BLOB_KEY_SIZE];
    store_key(key);
    store_put(key, "abc", 3);
    int cancel[2];
    assert_int_equal(pipe(cancel), 0);
    struct blob_info info;
    for (int is_cancelled = 0; is_cancelled < 2; is_cancelled++) {
        int fd = blobs_open_fd(store_blobs, key, store_directory.path, cancel[0], &info, &err);
        bool is_copied = mongodb_under_test_is_wanted();
        assert_int_equal(fd < 0, is_cancelled && is_copied);
        if (fd < 0)
            assert_int_equal(err.kind, ERROR_UNAVAILABLE);
        file_close(fd);
        assert_int_equal(write(cancel[1], "x", 1), 1);
    }
    close(cancel[0]);
    close(cancel[1]);
    assert_true(blobs_remove(store_blobs, key, &err));
}

static void a_reader_gives_the_descriptor_of_its_file_if_it_has_one(void **state)
{
    (void)state;
    char key[BLOB_KEY_SIZE];
    store_key(key);
    SCOPED(free) char *bytes = store_bytes(600000, 7);
    store_put(key, bytes, 600000);
    struct blob_info info;
    struct blob_reader *reader = blobs_read(store_blobs, key, &info, &err);
    assert_non_null(reader);
    int fd = blob_descriptor(store_blobs, reader);
    blob_close(reader);
    if (fd >= 0) {
        assert_int_equal(lseek(fd, 0, SEEK_END), 600000);
        SCOPED(free) char *read = alloc_zeroed(1, 600001);
        assert_int_equal(file_read_at(fd, read, 600001, 0, &err), 600000);
        assert_memory_equal(read, bytes, 600000);
        close(fd);
    }
    assert_true(blobs_remove(store_blobs, key, &err));
}

static void nothing_is_visible_before_the_commit(void **state)
{
    (void)state;
    char key[BLOB_KEY_SIZE];
    store_key(key);
    struct blob_writer *writer = store_create(key);
    store_assert_absent(key);
    store_write(writer, "abc", 3);
    store_assert_absent(key);
    assert_false(store_is_listed(key, false));
    assert_true(store_is_listed(key, true));
    struct blob_info info;
    assert_true(blob_commit(store_blobs, writer, &info, &err));
    assert_string_equal(info.sha256,
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(info.size_bytes, 3);
    store_assert_holds(key, "abc", 3);
    assert_true(blobs_remove(store_blobs, key, &err));
}

static void an_aborted_blob_leaves_nothing(void **state)
{
    (void)state;
    char key[BLOB_KEY_SIZE];
    store_key(key);
    struct blob_writer *writer = store_create(key);
    SCOPED(free) char *bytes = store_bytes(700000, 1);
    store_write(writer, bytes, 700000);
    blob_abort(store_blobs, writer);
    blob_abort(store_blobs, NULL);
    store_assert_absent(key);
    assert_false(store_is_listed(key, true));
    int64_t offset;
    assert_null(blobs_resume(store_blobs, key, &offset, &err));
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
}

static void a_writer_and_a_reader_end_without_a_handle(void **state)
{
    (void)state;
    char key[BLOB_KEY_SIZE];
    store_key(key);
    SCOPED(free) char *bytes = store_bytes(1200000, 9);
    struct blob_writer *writer = store_create(key);
    store_write(writer, bytes, 1200000);
    blob_abort(NULL, writer);
    store_assert_absent(key);
    assert_true(store_is_listed(key, true));
    store_put(key, bytes, 1200000);
    struct blob_info info;
    struct blob_reader *reader = blobs_read(store_blobs, key, &info, &err);
    assert_non_null(reader);
    char read[10];
    assert_int_equal(blob_read_at(store_blobs, reader, 0, read, sizeof read, &err), sizeof read);
    assert_true(blobs_remove(store_blobs, key, &err));
    blobs_close(store_blobs);
    blob_close(reader);
    store_blobs = blobs_open(store_url, &err);
    assert_non_null(store_blobs);
}

static void a_suspended_blob_goes_on_where_it_was(void **state)
{
    (void)state;
    char key[BLOB_KEY_SIZE];
    store_key(key);
    enum { SIZE = 1500000 };
    static const size_t ends[] = {0, 1, 300000, 300001, 1000000, SIZE};
    SCOPED(free) char *bytes = store_bytes(SIZE, 2);
    assert_true(blob_suspend(store_blobs, store_create(key), &err));
    size_t at = 0;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        blobs_close(store_blobs);
        store_blobs = blobs_open(store_url, &err);
        int64_t offset = -1;
        struct blob_writer *writer = blobs_resume(store_blobs, key, &offset, &err);
        if (writer == NULL)
            fail_msg("resume at %zu: %s", at, err.text);
        assert_int_equal(offset, at);
        store_write(writer, bytes + at, ends[i] - at);
        at = ends[i];
        store_assert_absent(key);
        if (at < SIZE)
            assert_true(blob_suspend(store_blobs, writer, &err));
        else
            store_commit(writer);
    }
    store_assert_holds(key, bytes, SIZE);
    assert_true(blobs_remove(store_blobs, key, &err));
}

static void what_is_committed_stays_as_it_is(void **state)
{
    (void)state;
    char key[BLOB_KEY_SIZE];
    store_key(key);
    store_put(key, "first", 5);
    assert_null(blobs_create(store_blobs, key, &store_about, &err));
    assert_int_equal(err.kind, ERROR_CONFLICT);
    int64_t offset;
    assert_null(blobs_resume(store_blobs, key, &offset, &err));
    assert_int_equal(err.kind, ERROR_CONFLICT);
    store_assert_holds(key, "first", 5);
    assert_false(store_is_listed(key, true));
    assert_true(blobs_remove(store_blobs, key, &err));
}

static void a_new_writer_throws_an_unfinished_blob_away(void **state)
{
    (void)state;
    char key[BLOB_KEY_SIZE];
    store_key(key);
    SCOPED(free) char *bytes = store_bytes(600000, 3);
    struct blob_writer *writer = store_create(key);
    store_write(writer, bytes, 600000);
    assert_true(blob_suspend(store_blobs, writer, &err));
    store_put(key, "second", 6);
    store_assert_holds(key, "second", 6);
    assert_true(blobs_remove(store_blobs, key, &err));
    assert_false(store_is_listed(key, true));
}

static void of_two_writers_of_a_key_at_most_one_commits(void **state)
{
    (void)state;
    char key[BLOB_KEY_SIZE];
    store_key(key);
    struct blobs *others = blobs_open(store_url, &err);
    assert_non_null(others);
    struct blob_writer *one = store_create(key);
    struct blob_info info;
    assert_true(blob_write(store_blobs, one, "one", 3, &err));
    struct blob_writer *two = blobs_create(others, key, &store_about, &err);
    if (two == NULL)
        assert_int_equal(err.kind, ERROR_CONFLICT);
    else if (!blob_write(others, two, "two!", 4, &err))
        blob_abort(others, TAKE(two));
    bool is_two = two != NULL && blob_commit(others, two, &info, &err);
    bool is_one = blob_write(store_blobs, one, "more", 4, &err);
    if (is_one)
        is_one = blob_commit(store_blobs, one, &info, &err);
    else
        blob_abort(store_blobs, one);
    assert_true(is_one != is_two);
    store_assert_holds(key, is_two ? "two!" : "onemore", is_two ? 4 : 7);
    assert_true(blobs_remove(store_blobs, key, &err));
    blobs_close(others);
}

static void a_writer_may_change_its_thread_and_handle(void **state)
{
    (void)state;
    char key[BLOB_KEY_SIZE];
    store_key(key);
    struct blobs *others = blobs_open(store_url, &err);
    assert_non_null(others);
    struct blob_writer *writer = store_create(key);
    assert_true(blob_write(others, writer, "abc", 3, &err));
    assert_true(blob_write(store_blobs, writer, "def", 3, &err));
    struct blob_info info;
    assert_true(blob_commit(others, writer, &info, &err));
    store_assert_holds(key, "abcdef", 6);
    blobs_close(others);
    assert_true(blobs_remove(store_blobs, key, &err));
}

static void removing_is_complete_and_may_be_repeated(void **state)
{
    (void)state;
    char key[BLOB_KEY_SIZE];
    store_key(key);
    assert_true(blobs_remove(store_blobs, key, &err));
    store_put(key, "x", 1);
    assert_true(blobs_remove(store_blobs, key, &err));
    store_assert_absent(key);
    assert_false(store_is_listed(key, false));
    assert_true(blobs_remove(store_blobs, key, &err));
    struct blob_writer *writer = store_create(key);
    store_write(writer, "abc", 3);
    assert_true(blob_suspend(store_blobs, writer, &err));
    assert_true(blobs_remove(store_blobs, key, &err));
    assert_false(store_is_listed(key, true));
    store_put(key, "again", 5);
    store_assert_holds(key, "again", 5);
    assert_true(blobs_remove(store_blobs, key, &err));
}

static void what_is_removed_while_it_is_written_does_not_come_back(void **state)
{
    (void)state;
    char key[BLOB_KEY_SIZE];
    store_key(key);
    struct blobs *others = blobs_open(store_url, &err);
    assert_non_null(others);
    struct blob_writer *writer = store_create(key);
    assert_true(blob_write(store_blobs, writer, "abc", 3, &err));
    bool is_removed = blobs_remove(others, key, &err);
    if (!is_removed)
        assert_int_equal(err.kind, ERROR_CONFLICT);
    struct blob_info info;
    bool is_committed = blob_commit(store_blobs, writer, &info, &err);
    assert_true(is_committed != is_removed);
    assert_true(blobs_remove(others, key, &err));
    store_assert_absent(key);
    assert_false(store_is_listed(key, true));
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
    store_put(one, "one", 3);
    store_put(two, "two", 3);
    struct store_search search = {.key = two};
    assert_true(blobs_list(store_blobs, prefix, false, store_look, &search, &err));
    assert_int_equal(search.seen, 2);
    assert_int_equal(search.found, 1);
    search = (struct store_search){.stop_after = 1};
    assert_true(blobs_list(store_blobs, prefix, false, store_look, &search, &err));
    assert_int_equal(search.seen, 1);
    assert_true(blobs_remove(store_blobs, one, &err));
    store_assert_absent(one);
    store_assert_holds(two, "two", 3);
    assert_true(blobs_remove(store_blobs, two, &err));
    search = (struct store_search){0};
    assert_true(blobs_list(store_blobs, prefix, false, store_look, &search, &err));
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
        assert_null(blobs_create(store_blobs, wrong[i], &store_about, &err));
        assert_int_equal(err.kind, ERROR_INVALID);
        err.kind = ERROR_NONE;
        assert_null(blobs_resume(store_blobs, wrong[i], &offset, &err));
        assert_int_equal(err.kind, ERROR_INVALID);
        err.kind = ERROR_NONE;
        assert_null(blobs_read(store_blobs, wrong[i], &info, &err));
        assert_int_equal(err.kind, ERROR_INVALID);
        assert_false(blobs_stat(store_blobs, wrong[i], &info, &err));
        assert_int_equal(
            blobs_open_fd(store_blobs, wrong[i], store_directory.path, -1, &info, &err), -1);
        err.kind = ERROR_NONE;
        assert_false(blobs_remove(store_blobs, wrong[i], &err));
        assert_int_equal(err.kind, ERROR_INVALID);
    }
}

static void the_store_says_that_it_is_ready(void **state)
{
    (void)state;
    int64_t free_bytes = 0;
    assert_true(blobs_ready(store_blobs, &free_bytes, &err));
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

static void a_database_without_a_store_gets_none_by_opening_it(void **state)
{
    (void)state;
    const char *empty_url = mongodb_under_test_empty_url();
    for (int i = 0; i < 2; i++) { // the first one makes nothing
        assert_null(blobs_open(empty_url, &err));
        assert_int_equal(err.kind, ERROR_UNAVAILABLE);
        assert_non_null(strstr(err.text, "unreel migrate"));
    }
}

static void making_a_store_again_changes_nothing(void **state)
{
    (void)state;
    char key[BLOB_KEY_SIZE];
    store_key(key);
    store_put(key, "abc", 3);
    assert_true(blobs_make(store_url, &err));
    store_assert_holds(key, "abc", 3);
    assert_true(blobs_remove(store_blobs, key, &err));
}

static void a_directory_that_is_gone_is_not_made_anew_by_opening_it(void **state)
{
    (void)state;
    SCOPED(free) char *mount_point = alloc_format("%s/mount-point", store_directory.path);
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
    assert_null(blobs_create(gone, "source/a", &store_about, &err));
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
}

static const struct CMUnitTest for_all[] = {
    cmocka_unit_test(a_committed_blob_reads_back_and_says_what_it_is),
    cmocka_unit_test(any_range_can_be_read),
    cmocka_unit_test(a_descriptor_reads_the_whole_blob),
    cmocka_unit_test(a_copy_stops_when_it_is_cancelled),
    cmocka_unit_test(a_reader_gives_the_descriptor_of_its_file_if_it_has_one),
    cmocka_unit_test(nothing_is_visible_before_the_commit),
    cmocka_unit_test(an_aborted_blob_leaves_nothing),
    cmocka_unit_test(a_writer_and_a_reader_end_without_a_handle),
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
    cmocka_unit_test(making_a_store_again_changes_nothing),
};

static const struct CMUnitTest for_files =
    cmocka_unit_test(a_directory_that_is_gone_is_not_made_anew_by_opening_it);

static const struct CMUnitTest for_mongodb =
    cmocka_unit_test(a_database_without_a_store_gets_none_by_opening_it);

int main(void)
{
    store_choose();
    bool is_mongodb = mongodb_under_test_is_wanted();
    struct CMUnitTest tests[sizeof for_all / sizeof for_all[0] + 1];
    memcpy(tests, for_all, sizeof for_all);
    tests[sizeof for_all / sizeof for_all[0]] = is_mongodb ? for_mongodb : for_files;
    return cmocka_run_group_tests(tests, store_open, store_close);
}
