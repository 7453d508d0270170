// When a mail server that does not take mail is asked again.

#include "roles/notifier/notifier_watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct notifier_watch watch;
static struct error err;

static int begin(void **state)
{
    (void)state;
    notifier_watch_init(&watch);
    err = (struct error){0};
    return 0;
}

static int end(void **state)
{
    (void)state;
    notifier_watch_finish(&watch);
    return 0;
}

static void a_new_one_may_try_and_knows_nothing(void **state)
{
    (void)state;
    assert_true(notifier_watch_may_try(&watch, 0, &err));
    assert_false(notifier_watch_is_fresh(&watch, 0));
}

static void a_pause_says_why_and_ends(void **state)
{
    (void)state;
    notifier_watch_down(&watch, "535 who are you?", 1000);
    assert_false(notifier_watch_is_fresh(&watch, 1000));
    assert_false(notifier_watch_may_try(&watch, 1000, &err));
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "535 who are you?"));
    assert_true(notifier_watch_may_try(&watch, 2000, &err));
}

static void pauses_grow_to_two_minutes(void **state)
{
    (void)state;
    int64_t now_ms = 0, last_ms = 0;
    for (int i = 0; i < 40; i++) {
        notifier_watch_down(&watch, "no", now_ms);
        int64_t pause_ms = watch.again_at_ms - now_ms;
        int64_t full_ms = i > 6 ? 120000 : 1000LL << i;
        assert_in_range(pause_ms, full_ms / 2, full_ms);
        now_ms = watch.again_at_ms;
        last_ms = pause_ms;
    }
    assert_in_range(last_ms, 60000, 120000);
}

static void an_answer_ends_the_pause_but_only_a_mail_ends_its_growing(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        notifier_watch_down(&watch, "no", 0);
    notifier_watch_answered(&watch, 0);
    assert_true(notifier_watch_may_try(&watch, 0, &err));
    assert_true(notifier_watch_is_fresh(&watch, 0));
    notifier_watch_down(&watch, "no", 0);
    assert_in_range(watch.again_at_ms, 16000, 32000);
    notifier_watch_worked(&watch, 0);
    notifier_watch_down(&watch, "no", 0);
    assert_in_range(watch.again_at_ms, 500, 1000);
}

static void what_was_found_out_is_old_after_a_minute(void **state)
{
    (void)state;
    notifier_watch_worked(&watch, 1000);
    assert_true(notifier_watch_is_fresh(&watch, 60999));
    assert_false(notifier_watch_is_fresh(&watch, 61000));
    notifier_watch_down(&watch, "no", 2000);
    assert_false(notifier_watch_is_fresh(&watch, 2000));
}

#define TEST(function_) cmocka_unit_test_setup_teardown(function_, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_one_may_try_and_knows_nothing),
        TEST(a_pause_says_why_and_ends),
        TEST(pauses_grow_to_two_minutes),
        TEST(an_answer_ends_the_pause_but_only_a_mail_ends_its_growing),
        TEST(what_was_found_out_is_old_after_a_minute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
