#include "supervisor/restart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct child_decision tell(struct child_memory *memory, enum child_event event)
{
    return restart_decide(memory, event);
}

static void a_wanted_child_is_started_and_becomes_ready(void **state)
{
    (void)state;
    struct child_memory memory = {0};
    assert_int_equal(tell(&memory, EVENT_START).action, ACTION_SPAWN);
    assert_int_equal(memory.state, CHILD_STARTING);
    assert_int_equal(tell(&memory, EVENT_READY).action, ACTION_NONE);
    assert_int_equal(memory.state, CHILD_READY);
}

static void a_child_that_was_ready_comes_back_at_once(void **state)
{
    (void)state;
    struct child_memory memory = {.state = CHILD_READY, .failed_starts = 4};
    struct child_decision decision = tell(&memory, EVENT_DEATH);
    assert_int_equal(decision.action, ACTION_DELAY);
    assert_int_equal(decision.delay_ms, 50);
    assert_int_equal(memory.state, CHILD_WAITING);
    assert_int_equal(tell(&memory, EVENT_TIMEOUT).action, ACTION_SPAWN);
}

static void a_child_that_never_was_ready_waits_longer_each_time(void **state)
{
    (void)state;
    static const int64_t delays[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    struct child_memory memory = {0};
    tell(&memory, EVENT_START);
    for (size_t i = 0; i < sizeof delays / sizeof delays[0]; i++) {
        assert_int_equal(tell(&memory, EVENT_DEATH).delay_ms, delays[i]);
        assert_int_equal(tell(&memory, EVENT_TIMEOUT).action, ACTION_SPAWN);
    }
    tell(&memory, EVENT_READY);
    assert_int_equal(memory.failed_starts, 0);
}

static void stopping_terminates_then_kills(void **state)
{
    (void)state;
    struct child_memory memory = {.state = CHILD_READY};
    assert_int_equal(tell(&memory, EVENT_STOP).action, ACTION_TERMINATE);
    assert_int_equal(tell(&memory, EVENT_TIMEOUT).action, ACTION_KILL);
    assert_int_equal(memory.state, CHILD_STOPPING);
    assert_int_equal(tell(&memory, EVENT_DEATH).action, ACTION_NONE);
    assert_int_equal(memory.state, CHILD_STOPPED);
}

static void a_child_that_waits_is_simply_not_started_when_we_stop(void **state)
{
    (void)state;
    struct child_memory memory = {.state = CHILD_WAITING};
    assert_int_equal(tell(&memory, EVENT_STOP).action, ACTION_NONE);
    assert_int_equal(memory.state, CHILD_STOPPED);
    assert_int_equal(tell(&memory, EVENT_TIMEOUT).action, ACTION_NONE);
}

static void no_event_in_any_state_starts_a_second_process(void **state)
{
    (void)state;
    for (int from = 0; from < CHILD_STATES; from++)
        for (int event = 0; event < CHILD_EVENTS; event++) {
            struct child_memory memory = {.state = (enum child_state)from};
            bool runs = from == CHILD_STARTING || from == CHILD_READY || from == CHILD_STOPPING;
            struct child_decision decision = tell(&memory, (enum child_event)event);
            if (runs)
                assert_int_not_equal(decision.action, ACTION_SPAWN);
            else
                assert_true(decision.action != ACTION_TERMINATE && decision.action != ACTION_KILL);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wanted_child_is_started_and_becomes_ready),
        cmocka_unit_test(a_child_that_was_ready_comes_back_at_once),
        cmocka_unit_test(a_child_that_never_was_ready_waits_longer_each_time),
        cmocka_unit_test(stopping_terminates_then_kills),
        cmocka_unit_test(a_child_that_waits_is_simply_not_started_when_we_stop),
        cmocka_unit_test(no_event_in_any_state_starts_a_second_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
