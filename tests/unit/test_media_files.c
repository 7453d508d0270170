// What a confined process has written is shown to a person.
#include "media/media_files.h"

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int scratch_with(const char *text)
{
    struct error err = {0};
    int fd = media_files_scratch(&err);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static void assert_shown(const char *text, const char *wanted)
{
    char shown[256] = "";
    struct error err = {0};
    SCOPED_FD int from = scratch_with(text);
    SCOPED_FD int to = scratch_with("");
    assert_true(media_files_copy_text(from, to, 64, &err));
    assert_int_equal(pread(to, shown, sizeof shown - 1, 0), strlen(wanted));
    assert_string_equal(shown, wanted);
}

static void text_is_copied_line_by_line(void **state)
{
    (void)state;
    assert_shown("", "");
    assert_shown("{\n  \"title\": \"gr\xC3\xBC\xC3\x9F\"\n}\n",
                 "{\n  \"title\": \"gr\xC3\xBC\xC3\x9F\"\n}\n");
    assert_shown("\n\nno end", "\n\nno end");
}

static void a_terminal_is_told_nothing(void **state)
{
    (void)state;
    assert_shown("a\x1B]0;mine\x07\n\x1B[2J\r", "a ]0;mine \n [2J ");
    assert_shown("\xC2\x9B"
                 "31m\x7F",
                 " 31m ");
    assert_shown("\x9B"
                 "2J\n",
                 "\xEF\xBF\xBD"
                 "2J\n");
}

static void more_than_there_can_be_is_refused(void **state)
{
    (void)state;
    char text[66];
    struct error err = {0};
    memset(text, 'x', 65);
    text[65] = '\0';
    SCOPED_FD int from = scratch_with(text);
    SCOPED_FD int to = scratch_with("");
    assert_false(media_files_copy_text(from, to, 64, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_copied_line_by_line),
        cmocka_unit_test(a_terminal_is_told_nothing),
        cmocka_unit_test(more_than_there_can_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
