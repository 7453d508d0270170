#include "security/signing_key.h"

#include "base/alloc.h"
#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char *make_directory(void)
{
    char *directory = alloc_text("/tmp/test-signing-key-XXXXXX");
    assert_non_null(mkdtemp(directory));
    return directory;
}

static void remove_directory(const char *directory)
{
    struct error err;
    assert_true(file_remove_tree(directory, &err));
}

static void a_missing_key_is_made_for_its_owner_alone(void **state)
{
    (void)state;
    struct error err = {0};
    SCOPED(free) char *directory = make_directory();
    SCOPED(free) char *path = alloc_format("%s/keys/signing.key", directory);
    SCOPED(signing_key_destroy) struct signing_key *made = signing_key_open(path, &err);
    assert_non_null(made);
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 07777, 0600);
    SCOPED(signing_key_destroy) struct signing_key *again = signing_key_open(path, &err);
    assert_non_null(again);
    SCOPED(free) char *first = signing_key_jwks(made);
    SCOPED(free) char *second = signing_key_jwks(again);
    assert_string_equal(first, second);
    remove_directory(directory);
}

static void a_key_that_others_may_touch_is_refused(void **state)
{
    (void)state;
    SCOPED(free) char *directory = make_directory();
    SCOPED(free) char *path = alloc_format("%s/signing.key", directory);
    struct error err = {0};
    signing_key_destroy(signing_key_open(path, &err));
    static const mode_t refused[] = {0604, 0644, 0602, 0601, 0660, 0620, 0666, 0777};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_int_equal(chmod(path, refused[i]), 0);
        assert_null(signing_key_open(path, &err));
        assert_int_equal(err.kind, ERROR_INVALID);
    }
    static const mode_t fine[] = {0600, 0400, 0440, 0640};
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
        assert_int_equal(chmod(path, fine[i]), 0);
        SCOPED(signing_key_destroy) struct signing_key *key = signing_key_open(path, &err);
        assert_non_null(key);
    }
    remove_directory(directory);
}

static void a_file_that_holds_no_seed_is_refused_and_left_alone(void **state)
{
    (void)state;
    SCOPED(free) char *directory = make_directory();
    SCOPED(free) char *path = alloc_format("%s/signing.key", directory);
    static const char *const wrong[] = {
        "",
        "\n",
        "secret",
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f6",
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f600",
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7fzz",
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60\n\n\n\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct error err = {0};
        assert_true(file_replace(path, wrong[i], strlen(wrong[i]), 0600, &err));
        assert_null(signing_key_open(path, &err));
        assert_int_equal(err.kind, ERROR_INVALID);
        SCOPED_BUF struct buf content;
        buf_init(&content, 1024);
        assert_true(file_read(path, &content, &err));
        assert_string_equal(content.bytes, wrong[i]);
    }
    remove_directory(directory);
}

enum { STARTERS = 8 };

// Each starter waits for the pipe to close, opens the key and writes its public half into a file.
static void start_one(const char *directory, const char *path, int number, int wait_fd)
{
    char byte;
    struct error err = {0};
    if (read(wait_fd, &byte, 1) != 0)
        _exit(1);
    struct signing_key *key = signing_key_open(path, &err);
    if (key == NULL)
        _exit(2);
    char *jwks = signing_key_jwks(key);
    char *out = alloc_format("%s/out-%d", directory, number);
    if (!file_replace(out, jwks, strlen(jwks), 0600, &err))
        _exit(3);
    _exit(0);
}

static void processes_that_start_at_once_end_with_one_key(void **state)
{
    (void)state;
    struct error err = {0};
    SCOPED(free) char *directory = make_directory();
    SCOPED(free) char *path = alloc_format("%s/signing.key", directory);
    int gate[2];
    assert_int_equal(pipe(gate), 0);
    pid_t starters[STARTERS];
    for (int i = 0; i < STARTERS; i++) {
        starters[i] = fork();
        assert_true(starters[i] >= 0);
        if (starters[i] == 0) {
            close(gate[1]);
            start_one(directory, path, i, gate[0]);
        }
    }
    close(gate[1]);
    close(gate[0]);
    SCOPED_BUF struct buf first, other;
    buf_init(&first, 4096);
    buf_init(&other, 4096);
    for (int i = 0; i < STARTERS; i++) {
        int status;
        assert_int_equal(waitpid(starters[i], &status, 0), starters[i]);
        assert_int_equal(status, 0);
        SCOPED(free) char *out = alloc_format("%s/out-%d", directory, i);
        buf_clear(&other);
        assert_true(file_read(out, i == 0 ? &first : &other, &err));
        if (i > 0)
            assert_string_equal(other.bytes, first.bytes);
    }
    remove_directory(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_key_is_made_for_its_owner_alone),
        cmocka_unit_test(a_key_that_others_may_touch_is_refused),
        cmocka_unit_test(a_file_that_holds_no_seed_is_refused_and_left_alone),
        cmocka_unit_test(processes_that_start_at_once_end_with_one_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
