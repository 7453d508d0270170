#include "security/password.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include <cmocka.h>

static const char email[] = "ann@example.org";

static int start(void **state)
{
    (void)state;
    struct error err;
    return password_start(&err) ? 0 : -1;
}

static void a_password_is_right_for_its_own_hash_only(void **state)
{
    (void)state;
    struct error err;
    char hash[PASSWORD_HASH_TEXT_SIZE], other[PASSWORD_HASH_TEXT_SIZE];
    assert_true(password_hash("correct h\xC3\xB6rse", hash, &err));
    assert_true(password_hash("correct h\xC3\xB6rse", other, &err));
    assert_string_not_equal(hash, other);
    assert_int_equal(strncmp(hash, "$argon2id$v=19$m=47104,t=1,p=1$", 31), 0);
    assert_true(password_verify("correct h\xC3\xB6rse", hash));
    assert_false(password_verify("correct horse", hash));
    assert_false(password_verify("", hash));
    assert_false(password_needs_rehash(hash));
}

static void no_password_is_right_where_there_is_no_account(void **state)
{
    (void)state;
    assert_false(password_verify("anything", NULL));
    assert_false(password_verify("", NULL));
}

static void hashes_of_other_parameters_want_a_rehash(void **state)
{
    (void)state;
    // "password" with 19 MiB and two passes.
    assert_true(password_needs_rehash("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$"
                                      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
}

static void what_is_no_hash_matches_nothing(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "correct horse", "$argon2id$", "$2b$12$abcdefghijkl",
                                        "$argon2id$v=19$m=47104,t=1,p=1$$"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(password_verify("correct horse", wrong[i]));
}

static void good_passwords_pass(void **state)
{
    (void)state;
    struct error err;
    char longest[PASSWORD_MAX_BYTES + 1];
    memset(longest, 'x', PASSWORD_MAX_BYTES);
    longest[PASSWORD_MAX_BYTES] = '\0';
    const char *const fine[] = {"eightchr",
                                "a b c d e",
                                "p:a:s:s:",
                                "\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9F"
                                "\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9F",
                                "\xF0\x9F\x90\x8E horses",
                                longest};
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++)
        assert_true(password_check(fine[i], email, &err));
}

static void weak_passwords_are_refused_with_a_reason(void **state)
{
    (void)state;
    char too_long[PASSWORD_MAX_BYTES + 2];
    memset(too_long, 'x', PASSWORD_MAX_BYTES + 1);
    too_long[PASSWORD_MAX_BYTES + 1] = '\0';
    const struct {
        const char *password, *reason;
    } wrong[] = {
        {"", "shorter"},
        {"seven77", "shorter"},
        {"\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9F", "shorter"},
        {too_long, "longer"},
        {"eight\xFF"
         "chr",
         "UTF-8"},
        {"eight\xC0\x80"
         "chr",
         "UTF-8"},
        {"eight\nchr", "control"},
        {"eight\x7F"
         "chr",
         "control"},
        {"eight\xC2\x85"
         "chr",
         "control"},
        {"password", "common"},
        {"PassWord123", "common"},
        {"1234567890", "common"},
        {"Ann@Example.org", "address"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct error err = {0};
        assert_false(password_check(wrong[i].password, email, &err));
        assert_int_equal(err.kind, ERROR_INVALID);
        assert_non_null(strstr(err.text, wrong[i].reason));
    }
}

static atomic_int inside, most_inside;

static void *take_and_give(void *argument)
{
    (void)argument;
    for (int i = 0; i < 200; i++) {
        if (!password_slot_take(60000))
            return NULL;
        int now = atomic_fetch_add(&inside, 1) + 1;
        int most = atomic_load(&most_inside);
        while (now > most && !atomic_compare_exchange_weak(&most_inside, &most, now)) {
        }
        atomic_fetch_sub(&inside, 1);
        password_slot_give();
    }
    return argument;
}

static void no_more_than_the_limit_are_inside(void **state)
{
    (void)state;
    pthread_t threads[8];
    char token;
    password_slots(3);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, &token), 0);
    for (size_t i = 0; i < 8; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_non_null(result);
    }
    assert_true(atomic_load(&most_inside) <= 3);
}

static void a_full_house_is_waited_for_only_so_long(void **state)
{
    (void)state;
    password_slots(1);
    assert_true(password_slot_take(0));
    assert_false(password_slot_take(0));
    assert_false(password_slot_take(20));
    password_slot_give();
    assert_true(password_slot_take(0));
    password_slot_give();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_password_is_right_for_its_own_hash_only),
        cmocka_unit_test(no_password_is_right_where_there_is_no_account),
        cmocka_unit_test(hashes_of_other_parameters_want_a_rehash),
        cmocka_unit_test(what_is_no_hash_matches_nothing),
        cmocka_unit_test(good_passwords_pass),
        cmocka_unit_test(weak_passwords_are_refused_with_a_reason),
        cmocka_unit_test(no_more_than_the_limit_are_inside),
        cmocka_unit_test(a_full_house_is_waited_for_only_so_long),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
