// What only a database behind a network can do: connections that are killed, deadlocks, refusals,
// answers that do not arrive. On a MySQL or MariaDB server.

#include "base/clock.h"
#include "lossy_proxy.h"
#include "sql/sql.h"
#include "sql_under_test.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int start_with_an_empty_table(void **state)
{
    sql_under_test_start();
    struct sql *sql = sql_under_test_open();
    *state = sql;
    sql_under_test_execute(
        sql,
        "CREATE TABLE thing (id VARCHAR(26) NOT NULL, number BIGINT, PRIMARY KEY (id)) {table}",
        SQL_NO_VALUES, 0);
    return 0;
}

static int stop(void **state)
{
    sql_close(*state);
    sql_under_test_stop();
    return 0;
}

static int64_t connection_of(struct sql *sql)
{
    return sql_under_test_integer(sql, "SELECT CONNECTION_ID()");
}

// Returns when the server knows the connection no more.
static void kill_connection(int64_t id)
{
    char kill[64], look[128];
    snprintf(kill, sizeof kill, "KILL CONNECTION %lld", (long long)id);
    snprintf(look, sizeof look, "SELECT COUNT(*) FROM information_schema.processlist WHERE id=%lld",
             (long long)id);
    sql_under_test_serve(kill);
    SCOPED(sql_close) struct sql *other = sql_under_test_open();
    int64_t deadline_ms = clock_monotonic_ms() + 30000;
    while (sql_under_test_integer(other, look) > 0 && clock_left_ms(deadline_ms) > 0)
        clock_sleep_ms(5);
}

static void a_connection_killed_while_idle_is_made_anew(void **state)
{
    struct sql *sql = *state;
    struct error err = {0};
    sql_under_test_execute(sql, "INSERT INTO thing (id, number) VALUES (?, ?)",
                           SQL_VALUES(SQL_TEXT("a"), SQL_INTEGER(1)), 1);
    int64_t id = connection_of(sql);
    kill_connection(id);
    // Its end may still be on the way: then one call fails.
    if (!sql_execute(sql, "UPDATE thing SET number=? WHERE id=?",
                     SQL_VALUES(SQL_INTEGER(2), SQL_TEXT("a")), NULL, &err))
        assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    // The same text again: what was prepared on the old connection is prepared anew.
    sql_under_test_execute(sql, "INSERT INTO thing (id, number) VALUES (?, ?)",
                           SQL_VALUES(SQL_TEXT("b"), SQL_INTEGER(1)), 1);
    assert_true(connection_of(sql) != id);
}

struct script {
    int runs;
    int64_t connection;
    bool is_killed_last; // before COMMIT, not before the second INSERT
};

static bool insert(struct sql *sql, const char *id, struct error *err)
{
    return sql_execute(sql, "INSERT INTO thing (id, number) VALUES (?, 1)",
                       SQL_VALUES(SQL_TEXT(id)), NULL, err);
}

static bool insert_around_a_kill(struct sql *sql, void *context, struct error *err)
{
    struct script *script = context;
    int64_t id = connection_of(sql);
    if (!insert(sql, "t1", err))
        return false;
    if (++script->runs == 1 && !script->is_killed_last)
        kill_connection(id);
    if (!insert(sql, "t2", err))
        return false;
    if (script->runs == 1 && script->is_killed_last)
        kill_connection(id);
    return true;
}

static void a_transaction_whose_connection_is_killed_runs_again(void **state)
{
    struct sql *sql = *state;
    struct error err = {0};
    struct script script = {0};
    assert_true(sql_transaction(sql, insert_around_a_kill, &script, &err));
    assert_int_equal(script.runs, 2);
    assert_int_equal(sql_under_test_count("SELECT COUNT(*) FROM thing"), 2);
}

static void a_commit_on_a_dead_connection_is_not_repeated(void **state)
{
    struct sql *sql = *state;
    struct error err = {0};
    struct script script = {.is_killed_last = true};
    assert_false(sql_transaction(sql, insert_around_a_kill, &script, &err));
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    assert_int_equal(script.runs, 1);
    assert_int_equal(sql_under_test_integer(sql, "SELECT COUNT(*) FROM thing"), 0);
}

static bool insert_behind_an_end(struct sql *sql, void *context, struct error *err)
{
    int *runs = context;
    struct error ignored = {0}, refusal = {0};
    if (!insert(sql, "t1", err))
        return false;
    if (++*runs > 1)
        return true;
    kill_connection(connection_of(sql));
    assert_false(insert(sql, "t2", &ignored));
    assert_false(insert(sql, "t3", &refusal)); // would be committed by itself
    assert_int_equal(refusal.kind, ERROR_UNAVAILABLE);
    return true; // as if nothing had happened
}

static void what_follows_the_end_of_a_transaction_is_refused(void **state)
{
    struct sql *sql = *state;
    struct error err = {0};
    int runs = 0;
    assert_true(sql_transaction(sql, insert_behind_an_end, &runs, &err));
    assert_int_equal(runs, 2);
    assert_int_equal(sql_under_test_integer(sql, "SELECT COUNT(*) FROM thing"), 1);
}

// ---- locks

struct crossing {
    const char *first, *second;
    int runs;
};

static pthread_barrier_t both_have_one;

static bool cross(struct sql *sql, void *context, struct error *err)
{
    struct crossing *crossing = context;
    static const char statement[] = "UPDATE thing SET number=number+1 WHERE id=?";
    if (!sql_execute(sql, statement, SQL_VALUES(SQL_TEXT(crossing->first)), NULL, err))
        return false;
    if (crossing->runs++ == 0)
        pthread_barrier_wait(&both_have_one);
    return sql_execute(sql, statement, SQL_VALUES(SQL_TEXT(crossing->second)), NULL, err);
}

static void *run_crossing(void *context)
{
    struct error err = {0};
    SCOPED(sql_close) struct sql *sql = sql_open(sql_under_test_url(), SQL_DURABLE, &err);
    return sql && sql_transaction(sql, cross, context, &err) ? NULL : context;
}

static void of_two_in_a_deadlock_one_runs_again(void **state)
{
    struct error err = {0};
    struct crossing crossings[2] = {{"a", "b", 0}, {"b", "a", 0}};
    pthread_t threads[2];
    assert_true(insert(*state, "a", &err) && insert(*state, "b", &err));
    pthread_barrier_init(&both_have_one, NULL, 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_crossing, &crossings[i]), 0);
    for (size_t i = 0; i < 2; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    pthread_barrier_destroy(&both_have_one);
    assert_true(crossings[0].runs + crossings[1].runs >= 3);
    assert_int_equal(sql_under_test_integer(*state, "SELECT SUM(number) FROM thing"), 2 + 4);
}

static bool meet_a_held_row(struct sql *sql, void *context, struct error *err)
{
    (void)context;
    struct error refusal = {0};
    SCOPED(sql_close) struct sql *other = sql_under_test_open();
    if (!sql_execute(sql, "UPDATE thing SET number=7 WHERE id='a'", SQL_NO_VALUES, NULL, err))
        return false;
    assert_false(sql_execute(other, "UPDATE thing SET number=8 WHERE id='a'", SQL_NO_VALUES, NULL,
                             &refusal));
    assert_int_equal(refusal.kind, ERROR_UNAVAILABLE);
    // Reading waits for nobody, and the handle is as good as before.
    assert_int_equal(sql_under_test_integer(other, "SELECT number FROM thing"), 1);
    return true;
}

static void a_lock_that_does_not_come_free_is_unavailable(void **state)
{
    struct error err = {0};
    assert_true(insert(*state, "a", &err));
    assert_true(sql_transaction(*state, meet_a_held_row, NULL, &err));
    assert_int_equal(sql_under_test_integer(*state, "SELECT number FROM thing"), 7);
}

static void a_statement_that_takes_too_long_is_ended(void **state)
{
    struct error err = {0};
    assert_false(sql_execute(*state, "SELECT SLEEP(120)", SQL_NO_VALUES, NULL, &err));
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    assert_int_equal(sql_under_test_integer(*state, "SELECT 1"), 1);
}

// ---- values

static bool measure(const struct sql_row *row, void *context)
{
    size_t *size = context;
    *size = strlen(sql_row_text(row, 0));
    return true;
}

static void a_value_of_megabytes_comes_whole(void **state)
{
    struct error err = {0};
    size_t size = 0;
    assert_true(
        sql_query(*state, "SELECT REPEAT('x', 3000000)", SQL_NO_VALUES, measure, &size, &err));
    assert_int_equal(size, 3000000);
}

static int64_t status(struct sql *sql, const char *name)
{
    char statement[128];
    snprintf(statement, sizeof statement,
             "SELECT variable_value FROM information_schema.session_status"
             " WHERE variable_name='%s'",
             name);
    return sql_under_test_integer(sql, statement);
}

static void the_server_keeps_a_bounded_number_of_statements(void **state)
{
    struct sql *sql = *state;
    for (int i = 0; i < 200; i++) {
        char statement[32];
        snprintf(statement, sizeof statement, "SELECT %d", i);
        assert_int_equal(sql_under_test_integer(sql, statement), i);
    }
    int64_t closed = status(sql, "Com_stmt_close"), prepared = status(sql, "Com_stmt_prepare");
    assert_true(prepared > 200);
    assert_in_range(prepared - closed, 2, 66); // two more since `closed` was read
}

// ---- refusals

static const char *put_hosts(char out[600], const char *format)
{
    // mysql://USER:PASSWORD@HOST/DATABASE: %s in the format is HOST:PORT
    const char *at = strrchr(sql_under_test_url(), '@') + 1;
    size_t host_size = strcspn(at, "/");
    char host[128], hosts[256];
    snprintf(host, sizeof host, "%.*s", (int)host_size, at);
    snprintf(hosts, sizeof hosts, "%s%s", format, host);
    snprintf(out, 600, "%.*s%s%s", (int)(at - sql_under_test_url()), sql_under_test_url(), hosts,
             at + host_size);
    return out;
}

static void a_host_that_is_dead_is_passed_over(void **state)
{
    (void)state;
    char url[600];
    struct error err = {0};
    SCOPED(sql_close)
    struct sql *sql = sql_open(put_hosts(url, "127.0.0.1:1,[::1]:1,"), SQL_DURABLE, &err);
    if (!sql)
        fail_msg("%s", err.text);
    assert_int_equal(sql_under_test_integer(sql, "SELECT 1"), 1);
}

static void assert_refused(const char *url, const char *because)
{
    struct error err = {0};
    assert_null(sql_open(url, SQL_DURABLE, &err));
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    if (!strstr(err.text, because) || strstr(err.text, "canary"))
        fail_msg("%s", err.text);
}

static void a_refusal_says_why_and_shows_no_password(void **state)
{
    (void)state;
    char url[600];
    const char *at = strrchr(sql_under_test_url(), '@');
    const char *database = strrchr(sql_under_test_url(), '/');
    snprintf(url, sizeof url, "mysql://root:canary%s", at);
    assert_refused(url, "Access denied");
    snprintf(url, sizeof url, "mysql://nobody:canary%s", at);
    assert_refused(url, "Access denied");
    snprintf(url, sizeof url, "%.*s/unreel_absent", (int)(database - sql_under_test_url()),
             sql_under_test_url());
    assert_refused(url, "Unknown database 'unreel_absent'");
    assert_refused("mysql://root:canary@127.0.0.1:1/unreel", "127.0.0.1:1: ");
    assert_refused("mysql://root:canary@127.0.0.1:1,127.0.0.1:2/unreel", "127.0.0.1:2: ");
}

// ---- answers that do not arrive

static bool insert_counted(struct sql *sql, void *context, struct error *err)
{
    int *runs = context;
    *runs += 1;
    return insert(sql, "t1", err);
}

static void a_commit_without_an_answer_is_unavailable_and_not_repeated(void **state)
{
    char url[1024];
    struct error err = {0};
    int runs = 0;
    struct lossy_proxy *proxy = lossy_proxy_start(sql_under_test_url(), url);
    struct sql *sql = sql_open(url, SQL_DURABLE, &err);
    assert_non_null(sql);
    lossy_proxy_lose(proxy, LOSSY_PROXY_COMMIT);
    assert_false(sql_transaction(sql, insert_counted, &runs, &err));
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    assert_int_equal(runs, 1);
    assert_int_equal(lossy_proxy_lost(proxy), 1);
    assert_int_equal(sql_under_test_integer(*state, "SELECT COUNT(*) FROM thing"), 1);
    assert_int_equal(sql_under_test_integer(sql, "SELECT COUNT(*) FROM thing"), 1);
    sql_close(sql);
    lossy_proxy_stop(proxy);
}

static void a_statement_without_an_answer_is_not_sent_again(void **state)
{
    char url[1024];
    struct error err = {0};
    struct lossy_proxy *proxy = lossy_proxy_start(sql_under_test_url(), url);
    struct sql *sql = sql_open(url, SQL_DURABLE, &err);
    assert_non_null(sql);
    sql_under_test_execute(*state, "INSERT INTO thing (id, number) VALUES ('a', 0)", SQL_NO_VALUES,
                           1);
    lossy_proxy_lose(proxy, LOSSY_PROXY_EXECUTE);
    assert_false(sql_execute(sql, "UPDATE thing SET number=number+1", SQL_NO_VALUES, NULL, &err));
    assert_int_equal(err.kind, ERROR_UNAVAILABLE);
    assert_int_equal(sql_under_test_integer(sql, "SELECT number FROM thing"), 1);
    sql_close(sql);
    lossy_proxy_stop(proxy);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start_with_an_empty_table, stop)
    const struct CMUnitTest tests[] = {
        TEST(a_connection_killed_while_idle_is_made_anew),
        TEST(a_transaction_whose_connection_is_killed_runs_again),
        TEST(a_commit_on_a_dead_connection_is_not_repeated),
        TEST(what_follows_the_end_of_a_transaction_is_refused),
        TEST(of_two_in_a_deadlock_one_runs_again),
        TEST(a_lock_that_does_not_come_free_is_unavailable),
        TEST(a_statement_that_takes_too_long_is_ended),
        TEST(a_value_of_megabytes_comes_whole),
        TEST(the_server_keeps_a_bounded_number_of_statements),
        TEST(a_host_that_is_dead_is_passed_over),
        TEST(a_refusal_says_why_and_shows_no_password),
        TEST(a_commit_without_an_answer_is_unavailable_and_not_repeated),
        TEST(a_statement_without_an_answer_is_not_sent_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
