// What can be known of a blob store's URL before anything is opened.

#include "blobs/blobs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct error err;

static void right_urls_are_taken(void **state)
{
    (void)state;
    static const char *const right[] = {
        "file:data/blobs",
        "file:/var/lib/unreel",
        "mongodb://127.0.0.1/unreel",
        "mongodb://one:27017,two:27018,three/unreel?replicaSet=rs0",
        "mongodb://user:pass%40word@mongo/unreel?authSource=admin&tls=true",
        "mongodb://mongo/unreel?serverSelectionTimeoutMS=1000&socketTimeoutMS=5000",
    };
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
        if (!blobs_check_url(right[i], &err))
            fail_msg("%s: %s", right[i], err.text);
}

static void wrong_urls_are_refused_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *url, *reason;
    } wrong[] = {
        {"", "no blob store is called"},
        {"nonsense:x", "'nonsense:'"},
        {"file:", "directory"},
        {"mongodb://mongo", "name of a database"},
        {"mongodb://mongo/", "name of a database"},
        {"mongodb://mongo/?replicaSet=rs0", "name of a database"},
        {"mongodb:///unreel", "mongodb:"},
        {"mongodb://", "mongodb:"},
        {"mongodb:mongo/unreel", "mongodb:"},
        {"mongodb://mongo:99999/unreel", "mongodb:"},
        {"mongodb://mongo/unreel?replicasett=rs0", "option"},
        {"mongodb://mongo/unreel?socketTimeoutMS=soon", "sockettimeoutms"},
        {"mongodb://mongo/unreel?tls=perhaps", "tls"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        err = (struct error){0};
        if (blobs_check_url(wrong[i].url, &err))
            fail_msg("%s is taken", wrong[i].url);
        assert_int_equal(err.kind, ERROR_INVALID);
        if (strstr(err.text, wrong[i].reason) == NULL)
            fail_msg("%s: %s", wrong[i].url, err.text);
    }
}

static void no_text_holds_the_password(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "mongodb://user:s3cret@mongo", // no database
        "mongodb://user:s3cret@/unreel",
        "mongodb://user:s3cret:s3cret@mongo/unreel",
        "mongodb://user:s3cret%zz@mongo/unreel",
        "mongodb://user:s3cret/s3cret@mongo/unreel",
        "mongodb://us%er:s3cret@mongo/unreel",
        "mongodb://user:s3cret@mongo:port/unreel",
        "mongodb://user:s3cret@mongo/unreel?nonsense=1",
        "mongodb:/user:s3cret@mongo/unreel",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        err = (struct error){0};
        if (blobs_check_url(wrong[i], &err))
            fail_msg("%s is taken", wrong[i]);
        assert_int_equal(err.kind, ERROR_INVALID);
        if (strstr(err.text, "s3c") != NULL)
            fail_msg("%s: %s", wrong[i], err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_urls_are_taken),
        cmocka_unit_test(wrong_urls_are_refused_with_a_reason),
        cmocka_unit_test(no_text_holds_the_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
