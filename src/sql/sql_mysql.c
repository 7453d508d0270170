// The driver of MySQL and MariaDB servers. A handle is one connection, which is made anew, with all
// that was prepared on it, where it was lost; never within a transaction, and no statement is sent
// twice by itself. Statements are prepared, a bounded number of them, and found by their text.

#include "sql/sql_driver.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"
#include "sql/sql_mysql_connect.h"
#include "sql/sql_mysql_error.h"
#include "sql/sql_statements.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum {
    VALUES_LIMIT = 64, // bound values of a statement, and columns of a row
    COLUMN_BYTES = 128,
};

// A value of the row that is read now, as text.
struct column {
    char *text;
    unsigned long capacity, length;
    my_bool is_null;
};

enum transaction {
    TRANSACTION_NONE,
    TRANSACTION_OPEN,
    TRANSACTION_ENDED, // by the server: what follows must not be committed one by one
};

struct mysql {
    struct sql base;
    struct url url;
    MYSQL *connection; // NULL: the next call connects
    struct sql_statements statements;
    struct column columns[VALUES_LIMIT];
    enum transaction transaction;
    bool is_migrating; // has the lock, which falls with the connection
    bool is_in_query;
    bool is_retryable;
};

struct mysql_row {
    struct sql_row base;
    const struct column *columns;
};

// ---- the connection

static void close_prepared(void *prepared)
{
    mysql_stmt_close(prepared);
}

// The connection first: a statement of a dead one is then closed without asking the server.
static void disconnect(struct mysql *self)
{
    mysql_close(self->connection);
    self->connection = NULL;
    sql_statements_clear(&self->statements);
}

// A transaction that lost its connection, or a lock, may be run again: the server has undone it.
// COMMIT may have happened.
static bool fail_with(struct mysql *self, unsigned code, const char *text, bool is_commit,
                      struct error *err)
{
    enum sql_mysql_consequence consequence = sql_mysql_fail(code, text, err);
    self->is_retryable =
        consequence == SQL_MYSQL_ROLLED_BACK || (consequence == SQL_MYSQL_LOST && !is_commit);
    if (consequence != SQL_MYSQL_GOES_ON && self->transaction == TRANSACTION_OPEN)
        self->transaction = TRANSACTION_ENDED;
    if (consequence == SQL_MYSQL_LOST)
        disconnect(self);
    return error_prefix(err, "mysql");
}

static bool fail_connection(struct mysql *self, bool is_commit, struct error *err)
{
    return fail_with(self, mysql_errno(self->connection), mysql_error(self->connection), is_commit,
                     err);
}

static bool fail_statement(struct mysql *self, MYSQL_STMT *prepared, struct error *err)
{
    return fail_with(self, mysql_stmt_errno(prepared), mysql_stmt_error(prepared), false, err);
}

// Nothing comes on a connection that nothing was asked on, but the news of its end.
static bool is_quiet(MYSQL *connection)
{
    struct pollfd socket = {.fd = mysql_get_socket(connection), .events = POLLIN};
    return poll(&socket, 1, 0) == 0;
}

static bool have_connection(struct mysql *self, struct error *err)
{
    assert(!self->is_in_query);
    if (self->transaction == TRANSACTION_ENDED)
        return error_set(err, ERROR_UNAVAILABLE, "mysql: the transaction was rolled back");
    self->is_retryable = false;
    if (self->transaction == TRANSACTION_OPEN)
        return true;
    if (self->connection && !is_quiet(self->connection))
        disconnect(self);
    if (self->connection)
        return true;
    if (self->is_migrating)
        return error_set(err, ERROR_UNAVAILABLE, "mysql: the lock of migrations was lost");
    self->connection = sql_mysql_connect(&self->url, SQL_MYSQL_ORDINARY, err);
    return self->connection != NULL;
}

// ---- prepared statements

static const char now[] = "(TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00',"
                          " UTC_TIMESTAMP(6)) DIV 1000)";

// Binary, and without the padding that makes 'a' and 'a ' equal; each has its own name.
#define TABLE_OPTIONS "ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE "

static bool prepare(struct mysql *self, const char *statement, MYSQL_STMT **out, struct error *err)
{
    *out = sql_statements_find(&self->statements, statement);
    if (*out)
        return true;
    SCOPED_BUF struct buf expanded;
    buf_init(&expanded, SQL_STATEMENT_LIMIT_BYTES);
    const char *table = mariadb_connection(self->connection) ? TABLE_OPTIONS "utf8mb4_nopad_bin"
                                                             : TABLE_OPTIONS "utf8mb4_0900_bin";
    if (!sql_statements_expand(statement, now, table, &expanded))
        return error_set(err, ERROR_INTERNAL, "mysql: the statement is too long");
    MYSQL_STMT *prepared = mysql_stmt_init(self->connection);
    if (!prepared)
        abort(); // as everywhere without memory
    if (mysql_stmt_prepare(prepared, expanded.bytes, expanded.size) != 0) {
        fail_statement(self, prepared, err);
        mysql_stmt_close(prepared);
        return false;
    }
    sql_statements_keep(&self->statements, statement, prepared);
    *out = prepared;
    return true;
}

static bool bind(struct mysql *self, MYSQL_STMT *prepared, struct sql_values values,
                 struct error *err)
{
    size_t wanted = mysql_stmt_param_count(prepared);
    if (wanted != values.count || wanted > VALUES_LIMIT)
        return error_set(err, ERROR_INTERNAL, "mysql: the statement takes %zu values, not %zu",
                         wanted, values.count);
    MYSQL_BIND binds[VALUES_LIMIT] = {0};
    for (size_t i = 0; i < wanted; i++) {
        const struct sql_value *value = &values.items[i];
        switch (value->kind) {
        case SQL_KIND_NULL:
            binds[i].buffer_type = MYSQL_TYPE_NULL;
            break;
        case SQL_KIND_INTEGER:
            binds[i].buffer_type = MYSQL_TYPE_LONGLONG;
            binds[i].buffer = (void *)(uintptr_t)&value->integer;
            break;
        case SQL_KIND_TEXT:
            binds[i].buffer_type = MYSQL_TYPE_STRING;
            binds[i].buffer = (void *)(uintptr_t)value->text;
            binds[i].buffer_length = strlen(value->text);
            break;
        }
    }
    return mysql_stmt_bind_param(prepared, binds) == 0 || fail_statement(self, prepared, err);
}

// ---- rows

static MYSQL_BIND bind_of(struct column *column)
{
    return (MYSQL_BIND){
        .buffer_type = MYSQL_TYPE_STRING,
        .buffer = column->text,
        .buffer_length = column->capacity - 1, // a NUL is put behind it
        .length = &column->length,
        .is_null = &column->is_null,
    };
}

static bool bind_columns(struct mysql *self, MYSQL_STMT *prepared, struct error *err)
{
    unsigned count = mysql_stmt_field_count(prepared);
    if (count > VALUES_LIMIT)
        return error_set(err, ERROR_INTERNAL, "mysql: a row of %u columns", count);
    MYSQL_BIND binds[VALUES_LIMIT] = {0};
    for (unsigned i = 0; i < count; i++) {
        struct column *column = &self->columns[i];
        if (!column->text)
            column->text = alloc_resize(NULL, column->capacity = COLUMN_BYTES);
        binds[i] = bind_of(column);
    }
    return mysql_stmt_bind_result(prepared, binds) == 0 || fail_statement(self, prepared, err);
}

// Fetches anew what was cut. Binding forgets where the row's values are, so it is done at the end.
static bool read_cut_values(struct mysql *self, MYSQL_STMT *prepared, struct error *err)
{
    unsigned count = mysql_stmt_field_count(prepared);
    for (unsigned i = 0; i < count; i++) {
        struct column *column = &self->columns[i];
        if (column->is_null || column->length < column->capacity)
            continue;
        column->capacity = column->length + 1;
        column->text = alloc_resize(column->text, column->capacity);
        MYSQL_BIND whole = bind_of(column);
        if (mysql_stmt_fetch_column(prepared, &whole, i, 0) != 0)
            return fail_statement(self, prepared, err);
    }
    return bind_columns(self, prepared, err);
}

static bool read_row(struct mysql *self, MYSQL_STMT *prepared, bool *out_is_row, struct error *err)
{
    int code = mysql_stmt_fetch(prepared);
    *out_is_row = code == 0 || code == MYSQL_DATA_TRUNCATED;
    if (code == MYSQL_NO_DATA)
        return true;
    if (!*out_is_row)
        return fail_statement(self, prepared, err);
    if (code == MYSQL_DATA_TRUNCATED && !read_cut_values(self, prepared, err))
        return false;
    unsigned count = mysql_stmt_field_count(prepared);
    for (unsigned i = 0; i < count; i++)
        if (!self->columns[i].is_null)
            self->columns[i].text[self->columns[i].length] = '\0';
    return true;
}

static bool read_rows(struct mysql *self, MYSQL_STMT *prepared,
                      bool (*each)(const struct sql_row *row, void *context), void *context,
                      struct error *err)
{
    if (!bind_columns(self, prepared, err))
        return false;
    struct mysql_row row = {.base.ops = &sql_mysql_ops, .columns = self->columns};
    for (bool go_on = true; go_on;) {
        bool is_row;
        if (!read_row(self, prepared, &is_row, err))
            return false;
        self->is_in_query = true;
        go_on = is_row && each(&row.base, context);
        self->is_in_query = false;
    }
    return true;
}

static bool run(struct mysql *self, const char *statement, struct sql_values values,
                bool (*each)(const struct sql_row *row, void *context), void *context,
                int64_t *out_matched, struct error *err)
{
    MYSQL_STMT *prepared = NULL;
    if (!have_connection(self, err) || !prepare(self, statement, &prepared, err) ||
        !bind(self, prepared, values, err))
        return false;
    if (mysql_stmt_execute(prepared) != 0)
        return fail_statement(self, prepared, err);
    bool has_rows = mysql_stmt_field_count(prepared) > 0;
    if (out_matched)
        *out_matched = has_rows ? 0 : (int64_t)mysql_stmt_affected_rows(prepared);
    bool is_read = !has_rows || !each || read_rows(self, prepared, each, context, err);
    // Rows that nobody wanted are read to their end; where that fails the next call would.
    if (self->connection && has_rows) {
        mysql_stmt_free_result(prepared);
        if (is_read && mysql_errno(self->connection) != 0)
            return fail_connection(self, false, err);
    }
    return is_read;
}

static bool handle_execute(struct sql *sql, const char *statement, struct sql_values values,
                           int64_t *out_matched, struct error *err)
{
    return run((struct mysql *)sql, statement, values, NULL, NULL, out_matched, err);
}

static bool handle_query(struct sql *sql, const char *statement, struct sql_values values,
                         bool (*each)(const struct sql_row *row, void *context), void *context,
                         struct error *err)
{
    return run((struct mysql *)sql, statement, values, each, context, NULL, err);
}

// DECIMAL, which SUM gives, is cut at its point.
static int64_t value_integer(const struct sql_row *row, int column)
{
    const struct column *value = &((const struct mysql_row *)row)->columns[column];
    return value->is_null ? 0 : strtoll(value->text, NULL, 10);
}

static const char *value_text(const struct sql_row *row, int column)
{
    const struct column *value = &((const struct mysql_row *)row)->columns[column];
    return value->is_null ? NULL : value->text;
}

static bool value_is_null(const struct sql_row *row, int column)
{
    return ((const struct mysql_row *)row)->columns[column].is_null;
}

// ---- transactions

// A connection that turns out dead here has done nothing yet, so another one may begin.
static bool handle_begin(struct sql *sql, struct error *err)
{
    struct mysql *self = (struct mysql *)sql;
    assert(self->transaction == TRANSACTION_NONE);
    for (int number = 1;; number++) {
        if (!have_connection(self, err))
            return false;
        if (mysql_query(self->connection, "START TRANSACTION") == 0) {
            self->transaction = TRANSACTION_OPEN;
            return true;
        }
        fail_connection(self, false, err);
        if (self->connection || number == 2)
            return false;
        *err = (struct error){0};
    }
}

static bool handle_commit(struct sql *sql, struct error *err)
{
    struct mysql *self = (struct mysql *)sql;
    assert(self->transaction != TRANSACTION_NONE);
    if (!have_connection(self, err))
        return false;
    if (mysql_query(self->connection, "COMMIT") != 0)
        return fail_connection(self, true, err);
    self->transaction = TRANSACTION_NONE;
    return true;
}

static void handle_rollback(struct sql *sql)
{
    struct mysql *self = (struct mysql *)sql;
    bool is_needed = self->transaction != TRANSACTION_NONE && self->connection;
    self->transaction = TRANSACTION_NONE;
    if (is_needed && mysql_query(self->connection, "ROLLBACK") != 0)
        disconnect(self);
}

static bool handle_is_retryable(struct sql *sql)
{
    return ((struct mysql *)sql)->is_retryable;
}

// ---- the lock of migrations

static bool note_integer(const struct sql_row *row, void *context)
{
    *(int64_t *)context = sql_row_integer(row, 0);
    return true;
}

static void handle_unlock_migrations(struct sql *sql)
{
    struct mysql *self = (struct mysql *)sql;
    self->is_migrating = false;
    disconnect(self);
}

// A connection of its own, since a table may take minutes to change. Its end frees the lock, which
// is of the server and so has the database in its name.
static bool handle_lock_migrations(struct sql *sql, int timeout_ms, struct error *err)
{
    struct mysql *self = (struct mysql *)sql;
    assert(!self->is_migrating && self->transaction == TRANSACTION_NONE);
    disconnect(self);
    self->connection = sql_mysql_connect(&self->url, SQL_MYSQL_MIGRATING, err);
    if (!self->connection)
        return false;
    self->is_migrating = true;
    int64_t is_locked = 0;
    bool is_answered = run(self, "SELECT GET_LOCK(CONCAT('unreel-', SHA1(DATABASE())), ?)",
                           SQL_VALUES(SQL_INTEGER((timeout_ms + 999) / 1000)), note_integer,
                           &is_locked, NULL, err);
    if (is_answered && is_locked == 1)
        return true;
    handle_unlock_migrations(sql);
    return !is_answered ? false
                        : error_set(err, ERROR_UNAVAILABLE, "mysql: another process is migrating");
}

// ---- open and close

static bool check_url(const char *url, struct error *err)
{
    struct url parsed;
    return sql_mysql_parse(url, &parsed, err);
}

static void handle_close(struct sql *sql)
{
    struct mysql *self = (struct mysql *)sql;
    assert(!self->is_in_query);
    disconnect(self);
    for (size_t i = 0; i < VALUES_LIMIT; i++)
        free(self->columns[i].text);
    free(self);
}

// How durable a commit is, is a setting of the whole server here. A relaxed handle, which always
// stands beside a durable one and is used less, connects when it is used.
static struct sql *handle_open(const char *url, enum sql_durability durability, struct error *err)
{
    struct mysql *self = alloc_zeroed(1, sizeof *self);
    self->base.ops = &sql_mysql_ops;
    self->statements.close = close_prepared;
    if (sql_mysql_parse(url, &self->url, err) &&
        (durability == SQL_RELAXED || have_connection(self, err)))
        return &self->base;
    handle_close(&self->base);
    return NULL;
}

const struct sql_ops sql_mysql_ops = {
    .schemes = (const char *const[]){"mysql", NULL},
    .check_url = check_url,
    .open = handle_open,
    .close = handle_close,
    .execute = handle_execute,
    .query = handle_query,
    .begin = handle_begin,
    .commit = handle_commit,
    .rollback = handle_rollback,
    .is_retryable = handle_is_retryable,
    .lock_migrations = handle_lock_migrations,
    .unlock_migrations = handle_unlock_migrations,
    .row_integer = value_integer,
    .row_text = value_text,
    .row_is_null = value_is_null,
};
