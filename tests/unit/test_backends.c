// No compiler warns about a member that a table of functions leaves out.

#include "blobs/blobs_backend.h"
#include "mail/mail_backend.h"
#include "queue/queue_backend.h"
#include "sql/sql_driver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

// Every member is a pointer.
static void assert_complete(const void *ops, size_t size)
{
    for (size_t i = 0; i < size / sizeof(void *); i++) {
        void *member;
        memcpy(&member, (const char *)ops + i * sizeof member, sizeof member);
        if (member == NULL)
            fail_msg("member %zu of this backend is not set", i);
    }
}

static void every_blob_store_has_every_verb(void **state)
{
    (void)state;
    assert_non_null(blobs_backends[0]);
    for (size_t i = 0; blobs_backends[i] != NULL; i++)
        assert_complete(blobs_backends[i], sizeof *blobs_backends[i]);
}

static void every_queue_has_every_verb(void **state)
{
    (void)state;
    assert_non_null(queue_backends[0]);
    for (size_t i = 0; queue_backends[i] != NULL; i++)
        assert_complete(queue_backends[i], sizeof *queue_backends[i]);
}

static void every_way_of_mail_has_every_verb(void **state)
{
    (void)state;
    assert_non_null(mail_backends[0]);
    for (size_t i = 0; mail_backends[i] != NULL; i++)
        assert_complete(mail_backends[i], sizeof *mail_backends[i]);
}

static void every_database_has_every_verb(void **state)
{
    (void)state;
    assert_non_null(sql_drivers[0]);
    for (size_t i = 0; sql_drivers[i] != NULL; i++)
        assert_complete(sql_drivers[i], sizeof *sql_drivers[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_blob_store_has_every_verb),
        cmocka_unit_test(every_queue_has_every_verb),
        cmocka_unit_test(every_way_of_mail_has_every_verb),
        cmocka_unit_test(every_database_has_every_verb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
