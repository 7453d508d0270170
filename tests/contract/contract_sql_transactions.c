// Transactions and migrations, several handles, threads and processes at once, on either kind of
// database.

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "faulty_sql.h"
#include "sql/sql.h"
#include "sql/sql_driver.h"
#include "sql/sql_migrate.h"
#include "sql_under_test.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static bool take_integer(const struct sql_row *row, void *context)
{
    int64_t *out = context;
    *out = sql_row_integer(row, 0);
    return true;
}

static int start_with_an_empty_table(void **state)
{
    sql_under_test_start();
    struct sql *sql = sql_under_test_open();
    *state = sql;
    struct error err = {0};
    sql_execute(sql, "DROP TABLE IF EXISTS thing", SQL_NO_VALUES, NULL, &err);
    sql_execute(sql, "DROP TABLE IF EXISTS migration", SQL_NO_VALUES, NULL, &err);
    sql_under_test_execute(
        sql,
        "CREATE TABLE thing (id VARCHAR(26) NOT NULL, name VARCHAR(64), number BIGINT,"
        " PRIMARY KEY (id), UNIQUE (name)) {table}",
        SQL_NO_VALUES, 0);
    return 0;
}

static int stop(void **state)
{
    faulty_sql_disarm();
    faulty_sql_remove();
    sql_close(*state);
    sql_under_test_stop();
    return 0;
}

static void insert(struct sql *sql, const char *id, const char *name, int64_t number)
{
    sql_under_test_execute(sql, "INSERT INTO thing (id, name, number) VALUES (?, ?, ?)",
                           SQL_VALUES(SQL_TEXT(id), SQL_TEXT(name), SQL_INTEGER(number)), 1);
}

static bool insert_two(struct sql *sql, void *context, struct error *err)
{
    insert(sql, "t1", "t1", 1);
    insert(sql, "t2", "t2", 2);
    return !context || error_set(err, ERROR_DENIED, "changed my mind");
}

static void a_transaction_is_all_or_nothing(void **state)
{
    struct sql *sql = *state;
    struct error err = {0};
    assert_false(sql_transaction(sql, insert_two, sql, &err));
    assert_int_equal(err.kind, ERROR_DENIED);
    assert_int_equal(sql_under_test_integer(sql, "SELECT COUNT(*) FROM thing"), 0);
    err = (struct error){0};
    assert_true(sql_transaction(sql, insert_two, NULL, &err));
    SCOPED(sql_close) struct sql *other = sql_under_test_open();
    assert_int_equal(sql_under_test_integer(other, "SELECT COUNT(*) FROM thing"), 2);
}

static bool insert_a_double(struct sql *sql, void *context, struct error *err)
{
    (void)context, (void)err;
    struct error conflict = {0};
    insert(sql, "t1", "t1", 1);
    assert_false(
        sql_execute(sql, "INSERT INTO thing (id) VALUES ('t1')", SQL_NO_VALUES, NULL, &conflict));
    assert_int_equal(conflict.kind, ERROR_CONFLICT);
    insert(sql, "t2", "t2", 2);
    return true;
}

static void a_conflict_is_an_answer_and_the_transaction_goes_on(void **state)
{
    struct sql *sql = *state;
    struct error err = {0};
    assert_true(sql_transaction(sql, insert_a_double, NULL, &err));
    assert_int_equal(sql_under_test_integer(sql, "SELECT COUNT(*) FROM thing"), 2);
}

static bool insert_around_an_end(struct sql *sql, void *context, struct error *err)
{
    (void)context;
    insert(sql, "t1", "t1", 1);
    // As SQLite does by itself when the disk is full.
    sql_under_test_execute(sql, "ROLLBACK", SQL_NO_VALUES, -1);
    return sql_execute(sql, "INSERT INTO thing (id) VALUES ('t2')", SQL_NO_VALUES, NULL, err);
}

static void what_follows_a_rollback_by_the_database_is_not_committed(void **state)
{
    struct sql *sql = *state;
    struct error err = {0};
    if (!sql_under_test_is_local())
        return;
    assert_false(sql_transaction(sql, insert_around_an_end, NULL, &err));
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    assert_int_equal(sql_under_test_integer(sql, "SELECT COUNT(*) FROM thing"), 0);
    insert(sql, "a", "a", 1);
}

static bool insert_counted(struct sql *sql, void *context, struct error *err)
{
    int *runs = context;
    *runs += 1;
    return sql_execute(sql, "INSERT INTO thing (id) VALUES ('t1')", SQL_NO_VALUES, NULL, err) &&
           sql_execute(sql, "INSERT INTO thing (id) VALUES ('t2')", SQL_NO_VALUES, NULL, err);
}

static void a_busy_transaction_runs_again_three_times_at_most(void **state)
{
    SCOPED(sql_close) struct sql *faulty = sql_under_test_open_faulty();
    struct error err = {0};
    int runs = 0;
    // BEGIN, INSERT, INSERT, COMMIT: the second INSERT is busy once, then COMMIT once.
    faulty_sql_fail(3, 1, FAULTY_SQL_BUSY);
    assert_true(sql_transaction(faulty, insert_counted, &runs, &err));
    assert_int_equal(err.kind, ERROR_NONE);
    assert_int_equal(runs, 2);
    assert_int_equal(sql_under_test_integer(*state, "SELECT COUNT(*) FROM thing"), 2);
    sql_under_test_execute(*state, "DELETE FROM thing", SQL_NO_VALUES, 2);
    runs = 0;
    faulty_sql_fail(4, 1, FAULTY_SQL_BUSY);
    assert_true(sql_transaction(faulty, insert_counted, &runs, &err));
    assert_int_equal(runs, 2);
    sql_under_test_execute(*state, "DELETE FROM thing", SQL_NO_VALUES, 2);
    runs = 0;
    faulty_sql_fail_statements("INSERT", FAULTY_SQL_BUSY);
    assert_false(sql_transaction(faulty, insert_counted, &runs, &err));
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    assert_int_equal(runs, 3);
    faulty_sql_disarm();
    assert_int_equal(sql_under_test_integer(*state, "SELECT COUNT(*) FROM thing"), 0);
}

static void any_other_failure_is_final(void **state)
{
    SCOPED(sql_close) struct sql *faulty = sql_under_test_open_faulty();
    struct error err = {0};
    int runs = 0;
    faulty_sql_fail(2, 1, FAULTY_SQL_BEFORE);
    assert_false(sql_transaction(faulty, insert_counted, &runs, &err));
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    assert_int_equal(runs, 1);
    faulty_sql_disarm();
    insert(*state, "t2", NULL, 1);
    err = (struct error){0};
    runs = 0;
    assert_false(sql_transaction(faulty, insert_counted, &runs, &err));
    assert_int_equal(err.kind, ERROR_CONFLICT);
    assert_int_equal(runs, 1);
}

static void a_transaction_bears_every_fault(void **state)
{
    static const enum faulty_sql_when ways[] = {FAULTY_SQL_BEFORE, FAULTY_SQL_AFTER,
                                                FAULTY_SQL_BUSY};
    SCOPED(sql_close) struct sql *faulty = sql_under_test_open_faulty();
    for (size_t i = 0; i < 3; i++) {
        bool is_hit = true;
        for (int n = 1; is_hit; n++) {
            struct error err = {0};
            int runs = 0;
            sql_under_test_execute(*state, "DELETE FROM thing", SQL_NO_VALUES, -1);
            faulty_sql_fail(n, 1, ways[i]);
            bool is_done = sql_transaction(faulty, insert_counted, &runs, &err);
            is_hit = faulty_sql_disarm();
            int64_t rows = sql_under_test_integer(*state, "SELECT COUNT(*) FROM thing");
            assert_true(rows == 2 || (rows == 0 && !is_done));
            assert_true(is_done || is_hit);
            // BEGIN, two INSERTs, COMMIT; the last lost its answer only.
            assert_int_equal(rows, ways[i] == FAULTY_SQL_BEFORE && n <= 4  ? 0
                                   : ways[i] == FAULTY_SQL_AFTER && n <= 3 ? 0
                                   : ways[i] == FAULTY_SQL_BUSY && n == 1  ? 0
                                                                           : 2);
        }
    }
}

enum { RACERS = 4, ROUNDS = 25 };

static bool read_and_write(struct sql *sql, void *context, struct error *err)
{
    int64_t *number = context;
    return sql_query(sql, "SELECT number FROM thing WHERE id='counter'", SQL_NO_VALUES,
                     take_integer, number, err) &&
           sql_execute(sql, "UPDATE thing SET number=? WHERE id='counter'",
                       SQL_VALUES(SQL_INTEGER(*number + 1)), NULL, err);
}

static void *race_to_count(void *context)
{
    struct error err = {0};
    int64_t number;
    SCOPED(sql_close) struct sql *sql = sql_open(sql_under_test_url(), SQL_DURABLE, &err);
    for (int i = 0; sql && i < ROUNDS; i++)
        if (!sql_transaction(sql, read_and_write, &number, &err))
            break;
    return err.kind == ERROR_NONE ? NULL : context;
}

static void run_racers(void *(*race)(void *context), void *context, size_t context_size)
{
    pthread_t threads[RACERS];
    for (size_t i = 0; i < RACERS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, race, (char *)context + i * context_size), 0);
    for (size_t i = 0; i < RACERS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
}

static void transactions_that_read_and_write_lose_nothing(void **state)
{
    struct sql *sql = *state;
    if (!sql_under_test_is_local())
        return; // READ COMMITTED permits it: there the WHERE must name what was read
    insert(sql, "counter", NULL, 0);
    run_racers(race_to_count, sql, 0);
    assert_int_equal(sql_under_test_integer(sql, "SELECT number FROM thing"), RACERS * ROUNDS);
}

static void *race_to_take(void *context)
{
    int64_t *taken = context;
    struct error err = {0};
    SCOPED(sql_close) struct sql *sql = sql_open(sql_under_test_url(), SQL_DURABLE, &err);
    for (int i = 0; sql && i < ROUNDS; i++) {
        int64_t matched = 0;
        if (!sql_execute(sql, "UPDATE thing SET number=number+1 WHERE id='counter' AND number=?",
                         SQL_VALUES(SQL_INTEGER(i)), &matched, &err))
            break;
        *taken += matched;
    }
    return err.kind == ERROR_NONE ? NULL : context;
}

static void of_many_conditional_updates_one_matches(void **state)
{
    struct sql *sql = *state;
    int64_t taken[RACERS] = {0};
    insert(sql, "counter", NULL, 0);
    run_racers(race_to_take, taken, sizeof taken[0]);
    int64_t all = 0;
    for (size_t i = 0; i < RACERS; i++)
        all += taken[i];
    assert_int_equal(all, ROUNDS);
    assert_int_equal(sql_under_test_integer(sql, "SELECT number FROM thing"), ROUNDS);
}

// ---- processes

struct child {
    pid_t pid;
    int to, from;
};

// A child that writes one row each time it is told to, and answers with the kind of error. It is
// started before this process opens anything, since nothing of SQL is carried over a fork.
static struct child start_child(void)
{
    int there[2], back[2];
    assert_int_equal(pipe(there), 0);
    assert_int_equal(pipe(back), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(there[1]);
        char id;
        while (read(there[0], &id, 1) == 1) {
            struct error err = {0};
            char name[2] = {id, '\0'};
            SCOPED(sql_close) struct sql *sql = sql_open(sql_under_test_url(), SQL_DURABLE, &err);
            if (sql)
                sql_execute(sql, "INSERT INTO thing (id) VALUES (?)", SQL_VALUES(SQL_TEXT(name)),
                            NULL, &err);
            if (write(back[1], &err.kind, sizeof err.kind) != sizeof err.kind)
                break;
        }
        _exit(0);
    }
    close(there[0]);
    close(back[1]);
    return (struct child){.pid = pid, .to = there[1], .from = back[0]};
}

static enum error_kind tell_child(const struct child *child, char id)
{
    enum error_kind kind;
    assert_int_equal(write(child->to, &id, 1), 1);
    assert_int_equal(read(child->from, &kind, sizeof kind), sizeof kind);
    return kind;
}

static void end_child(const struct child *child)
{
    close(child->to);
    close(child->from);
    assert_int_equal(waitpid(child->pid, NULL, 0), child->pid);
}

static bool hold_the_lock(struct sql *sql, void *context, struct error *err)
{
    (void)err;
    const struct child *child = context;
    insert(sql, "held", NULL, 1);
    // Opening and closing another handle must not let go of this one's locks.
    sql_close(sql_under_test_open());
    SCOPED(sql_close) struct sql *reader = sql_under_test_open();
    assert_int_equal(tell_child(child, 'x'), ERROR_UNAVAILABLE);
    assert_int_equal(sql_under_test_integer(reader, "SELECT COUNT(*) FROM thing"), 0);
    return true;
}

static void a_lock_that_does_not_come_free_is_unavailable(void **state)
{
    if (!sql_under_test_is_local())
        return; // rows of their own do not meet there
    sql_close(*state);
    struct child child = start_child();
    struct error err = {0};
    *state = sql_under_test_open();
    assert_true(sql_transaction(*state, hold_the_lock, &child, &err));
    assert_int_equal(tell_child(&child, 'y'), ERROR_NONE);
    assert_int_equal(sql_under_test_integer(*state, "SELECT COUNT(*) FROM thing"), 2);
    end_child(&child);
}

static bool die_inside(struct sql *sql, void *context, struct error *err)
{
    (void)context, (void)err;
    insert(sql, "dying", NULL, 1);
    _exit(9);
}

static void a_process_that_dies_inside_leaves_nothing_and_no_lock(void **state)
{
    sql_close(*state);
    pid_t pid = fork();
    if (pid == 0) {
        struct error err = {0};
        sql_transaction(sql_under_test_open(), die_inside, NULL, &err);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 9);
    *state = sql_under_test_open();
    assert_int_equal(sql_under_test_integer(*state, "SELECT COUNT(*) FROM thing"), 0);
    insert(*state, "a", "a", 1);
}

// ---- migrations

static const struct sql_migration migrations[] = {
    {"tests", 1,
     "CREATE TABLE IF NOT EXISTS thing2 (id VARCHAR(26) NOT NULL, PRIMARY KEY (id)) "
     "{table}"},
    {"tests", 2, "ALTER TABLE thing2 ADD COLUMN number BIGINT"},
    {"tests", 3, "CREATE INDEX thing2_number ON thing2 (number)"},
};

static void drop_migrated(struct sql *sql)
{
    sql_under_test_execute(sql, "DROP TABLE IF EXISTS thing2", SQL_NO_VALUES, -1);
}

static void migrations_are_applied_once_and_in_order(void **state)
{
    struct sql *sql = *state;
    struct error err = {0};
    int applied = -1;
    drop_migrated(sql);
    sql_under_test_execute(sql, "DROP TABLE IF EXISTS migration", SQL_NO_VALUES, -1);
    assert_false(sql_migrations_done(sql, migrations, 3, &err)); // a database that is quite new
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "`unreel migrate`"));
    err = (struct error){0};
    assert_true(sql_migrate(sql, migrations, 2, &applied, &err));
    assert_int_equal(applied, 2);
    assert_true(sql_migrations_done(sql, migrations, 2, &err));
    assert_false(sql_migrations_done(sql, migrations, 3, &err));
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "tests 3"));
    err = (struct error){0};
    assert_true(sql_migrate(sql, migrations, 3, &applied, &err));
    assert_int_equal(applied, 1);
    assert_true(sql_migrate(sql, migrations, 3, &applied, &err));
    assert_int_equal(applied, 0);
    // As after a crash between the DDL and its note, where DDL commits by itself.
    sql_under_test_execute(sql, "DELETE FROM migration", SQL_NO_VALUES, 3);
    assert_true(sql_migrate(sql, migrations, 3, &applied, &err));
    assert_int_equal(applied, 3);
    drop_migrated(sql);
}

static void migrations_bear_every_fault(void **state)
{
    static const enum faulty_sql_when ways[] = {FAULTY_SQL_BEFORE, FAULTY_SQL_AFTER,
                                                FAULTY_SQL_BUSY};
    for (size_t i = 0; i < 3; i++) {
        bool is_hit = true;
        for (int n = 1; is_hit; n++) {
            struct error err = {0};
            SCOPED(sql_close) struct sql *faulty = sql_under_test_open_faulty();
            drop_migrated(*state);
            sql_under_test_execute(*state, "DROP TABLE IF EXISTS migration", SQL_NO_VALUES, -1);
            faulty_sql_fail(n, 1, ways[i]);
            bool is_done = sql_migrate(faulty, migrations, 3, NULL, &err);
            is_hit = faulty_sql_disarm();
            assert_true(is_done || (is_hit && err.kind == ERROR_UNAVAILABLE));
            err = (struct error){0};
            if (!sql_migrate(*state, migrations, 3, NULL, &err))
                fail_msg("after fault %d: %s", n, err.text);
            sql_under_test_execute(*state, "INSERT INTO thing2 (id, number) VALUES ('a', 1)",
                                   SQL_NO_VALUES, 1);
        }
    }
    drop_migrated(*state);
}

static pthread_barrier_t all_open;

static void *race_to_migrate(void *context)
{
    struct error err = {0};
    SCOPED(sql_close) struct sql *sql = sql_open(sql_under_test_url(), SQL_DURABLE, &err);
    pthread_barrier_wait(&all_open);
    int *applied = context;
    return sql && sql_migrate(sql, migrations, 3, applied, &err) ? NULL : context;
}

static void many_who_migrate_at_once_apply_each_once(void **state)
{
    pthread_barrier_init(&all_open, NULL, RACERS);
    for (int round = 0; round < 5; round++) {
        int applied[RACERS] = {0};
        drop_migrated(*state);
        sql_under_test_execute(*state, "DROP TABLE IF EXISTS migration", SQL_NO_VALUES, -1);
        run_racers(race_to_migrate, applied, sizeof applied[0]);
        int all = 0;
        for (size_t i = 0; i < RACERS; i++)
            all += applied[i];
        assert_int_equal(all, 3);
    }
    drop_migrated(*state);
    pthread_barrier_destroy(&all_open);
}

static void many_who_open_a_new_file_at_once_all_can(void **state)
{
    if (!sql_under_test_is_local())
        return;
    pthread_barrier_init(&all_open, NULL, RACERS);
    for (int round = 0; round < 10; round++) {
        sql_close(*state);
        sql_under_test_stop();
        sql_under_test_start();
        int applied[RACERS] = {0};
        run_racers(race_to_migrate, applied, sizeof applied[0]);
        *state = sql_under_test_open();
    }
    pthread_barrier_destroy(&all_open);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start_with_an_empty_table, stop)
    const struct CMUnitTest tests[] = {
        TEST(a_transaction_is_all_or_nothing),
        TEST(a_conflict_is_an_answer_and_the_transaction_goes_on),
        TEST(what_follows_a_rollback_by_the_database_is_not_committed),
        TEST(a_busy_transaction_runs_again_three_times_at_most),
        TEST(any_other_failure_is_final),
        TEST(a_transaction_bears_every_fault),
        TEST(transactions_that_read_and_write_lose_nothing),
        TEST(of_many_conditional_updates_one_matches),
        TEST(a_lock_that_does_not_come_free_is_unavailable),
        TEST(a_process_that_dies_inside_leaves_nothing_and_no_lock),
        TEST(migrations_are_applied_once_and_in_order),
        TEST(migrations_bear_every_fault),
        TEST(many_who_migrate_at_once_apply_each_once),
        TEST(many_who_open_a_new_file_at_once_all_can),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
