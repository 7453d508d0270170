// The SQLite driver: a file in WAL mode, shared by several processes of one machine. Every handle
// keeps a bounded number of prepared statements, found by their text.

#include "sql/sql_driver.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/id.h"
#include "base/text.h"
#include "sql/sql_statements.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

enum { BUSY_TIMEOUT_MS = 5000 };

struct sqlite {
    struct sql base;
    sqlite3 *database;
    char *lock_path;
    int lock_fd; // held while migrating; -1 otherwise
    struct sql_statements statements;
    int64_t busy_deadline_ms;
    bool is_in_transaction;
    bool is_in_query;
    bool is_retryable;
};

struct sqlite_row {
    struct sql_row base;
    sqlite3_stmt *prepared;
};

// julianday is whole milliseconds as a double of days, 0.04 ms fine: rounding gives them back.
static const char now[] = "CAST(ROUND((julianday('now')-2440587.5)*86400000.0) AS INTEGER)";

// SQLite has one code for all that a statement can have wrong; these three are answers.
static enum error_kind kind_of_plain_error(const char *message)
{
    if (strstr(message, "already exists") || text_starts_with(message, "duplicate column name"))
        return ERROR_CONFLICT;
    if (text_starts_with(message, "no such table") || text_starts_with(message, "no such column") ||
        strstr(message, "has no column named"))
        return ERROR_UNAVAILABLE; // not migrated yet
    return ERROR_INTERNAL;
}

static enum error_kind kind_of(sqlite3 *database, int code)
{
    int system_error = sqlite3_system_errno(database);
    switch (code & 0xff) {
    case SQLITE_CONSTRAINT:
        return code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY ||
                       code == SQLITE_CONSTRAINT_ROWID
                   ? ERROR_CONFLICT
                   : ERROR_INTERNAL;
    case SQLITE_FULL:
        return ERROR_NO_SPACE;
    case SQLITE_IOERR:
        return system_error == ENOSPC || system_error == EDQUOT ? ERROR_NO_SPACE
                                                                : ERROR_UNAVAILABLE;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_CANTOPEN:
    case SQLITE_PROTOCOL:
    case SQLITE_READONLY:
        return ERROR_UNAVAILABLE;
    case SQLITE_ERROR:
        return kind_of_plain_error(sqlite3_errmsg(database));
    default:
        return ERROR_INTERNAL;
    }
}

static bool fail_with(struct sqlite *self, int code, struct error *err)
{
    int primary = code & 0xff;
    self->is_retryable = primary == SQLITE_BUSY || primary == SQLITE_LOCKED;
    enum error_kind kind = kind_of(self->database, code);
    bool is_not_migrated = primary == SQLITE_ERROR && kind == ERROR_UNAVAILABLE;
    return error_set(err, kind, "sqlite: %s (%d)%s", sqlite3_errmsg(self->database), code,
                     is_not_migrated ? ": `unreel migrate` brings the database up to date" : "");
}

// ---- prepared statements

static void close_prepared(void *prepared)
{
    sqlite3_finalize(prepared);
}

static bool prepare(struct sqlite *self, const char *statement, sqlite3_stmt **out,
                    struct error *err)
{
    *out = sql_statements_find(&self->statements, statement);
    if (*out)
        return true;
    SCOPED_BUF struct buf expanded;
    buf_init(&expanded, SQL_STATEMENT_LIMIT_BYTES);
    if (!sql_statements_expand(statement, now, "", &expanded))
        return error_set(err, ERROR_INTERNAL, "sqlite: the statement is too long");
    sqlite3_stmt *prepared;
    const char *rest;
    int code = sqlite3_prepare_v3(self->database, expanded.bytes, -1, SQLITE_PREPARE_PERSISTENT,
                                  &prepared, &rest);
    if (code != SQLITE_OK)
        return fail_with(self, code, err);
    if (!prepared || rest[strspn(rest, " \n;")]) {
        sqlite3_finalize(prepared);
        return error_set(err, ERROR_INTERNAL, "sqlite: not one statement");
    }
    sql_statements_keep(&self->statements, statement, prepared);
    *out = prepared;
    return true;
}

static bool bind(struct sqlite *self, sqlite3_stmt *prepared, struct sql_values values,
                 struct error *err)
{
    int wanted = sqlite3_bind_parameter_count(prepared);
    if ((size_t)wanted != values.count)
        return error_set(err, ERROR_INTERNAL, "sqlite: the statement takes %d values, not %zu",
                         wanted, values.count);
    for (int i = 0; i < wanted; i++) {
        const struct sql_value *value = &values.items[i];
        int code = SQLITE_OK;
        switch (value->kind) {
        case SQL_KIND_NULL:
            code = sqlite3_bind_null(prepared, i + 1);
            break;
        case SQL_KIND_INTEGER:
            code = sqlite3_bind_int64(prepared, i + 1, value->integer);
            break;
        case SQL_KIND_TEXT:
            code = sqlite3_bind_text(prepared, i + 1, value->text, -1, SQLITE_STATIC);
            break;
        }
        if (code != SQLITE_OK)
            return fail_with(self, code, err);
    }
    return true;
}

// What ends every use: nothing of the caller's stays bound, no lock of ours stays.
static void release(sqlite3_stmt *prepared)
{
    sqlite3_reset(prepared);
    sqlite3_clear_bindings(prepared);
}

// After some failures SQLite has rolled back by itself; what follows must not commit one by one.
static bool check_transaction(struct sqlite *self, struct error *err)
{
    assert(!self->is_in_query);
    self->is_retryable = false;
    if (!self->is_in_transaction || !sqlite3_get_autocommit(self->database))
        return true;
    return error_set(err, ERROR_UNAVAILABLE, "sqlite: the transaction was rolled back");
}

static bool run(struct sqlite *self, const char *statement, struct sql_values values,
                bool (*each)(const struct sql_row *row, void *context), void *context,
                struct error *err)
{
    sqlite3_stmt *prepared = NULL;
    if (!check_transaction(self, err) || !prepare(self, statement, &prepared, err))
        return false;
    if (!bind(self, prepared, values, err)) {
        release(prepared);
        return false;
    }
    struct sqlite_row row = {.base.ops = &sql_sqlite_ops, .prepared = prepared};
    self->is_in_query = true;
    bool go_on = true;
    int code;
    while ((code = sqlite3_step(prepared)) == SQLITE_ROW && go_on)
        go_on = !each || each(&row.base, context);
    self->is_in_query = false;
    bool is_done = code == SQLITE_DONE || code == SQLITE_ROW || fail_with(self, code, err);
    release(prepared);
    return is_done;
}

static bool sqlite_execute(struct sql *sql, const char *statement, struct sql_values values,
                           int64_t *out_matched, struct error *err)
{
    struct sqlite *self = (struct sqlite *)sql;
    int64_t before = sqlite3_total_changes64(self->database);
    if (!run(self, statement, values, NULL, NULL, err))
        return false;
    if (out_matched)
        *out_matched = sqlite3_total_changes64(self->database) - before;
    return true;
}

static bool sqlite_query(struct sql *sql, const char *statement, struct sql_values values,
                         bool (*each)(const struct sql_row *row, void *context), void *context,
                         struct error *err)
{
    return run((struct sqlite *)sql, statement, values, each, context, err);
}

// ---- transactions

// IMMEDIATE: a transaction that reads first and writes later fails at once where another has
// written between, and no waiting helps it.
static bool sqlite_begin(struct sql *sql, struct error *err)
{
    struct sqlite *self = (struct sqlite *)sql;
    assert(!self->is_in_transaction);
    if (!run(self, "BEGIN IMMEDIATE", SQL_NO_VALUES, NULL, NULL, err))
        return false;
    self->is_in_transaction = true;
    return true;
}

static bool sqlite_commit(struct sql *sql, struct error *err)
{
    struct sqlite *self = (struct sqlite *)sql;
    assert(self->is_in_transaction);
    if (!run(self, "COMMIT", SQL_NO_VALUES, NULL, NULL, err))
        return false;
    self->is_in_transaction = false;
    return true;
}

static void sqlite_rollback(struct sql *sql)
{
    struct sqlite *self = (struct sqlite *)sql;
    struct error ignored;
    self->is_in_transaction = false;
    if (!sqlite3_get_autocommit(self->database))
        run(self, "ROLLBACK", SQL_NO_VALUES, NULL, NULL, &ignored);
}

static bool sqlite_is_retryable(struct sql *sql)
{
    return ((struct sqlite *)sql)->is_retryable;
}

// ---- the lock of migrations

static bool wait_for_lock(int fd, const char *path, int timeout_ms, struct error *err)
{
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return error_set_errno(err, errno, "lock %s", path);
        if (clock_left_ms(deadline_ms) == 0)
            return error_set(err, ERROR_UNAVAILABLE, "another process is migrating: %s is locked",
                             path);
        clock_sleep_ms(20);
    }
    return true;
}

// A file of its own beside the database. flock falls with the process, holds between threads too,
// and unlike a descriptor of the database's own file its close drops no lock of SQLite's.
static bool sqlite_lock_migrations(struct sql *sql, int timeout_ms, struct error *err)
{
    struct sqlite *self = (struct sqlite *)sql;
    assert(self->lock_fd < 0);
    int fd = open(self->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(err, errno, "open %s", self->lock_path);
    if (!wait_for_lock(fd, self->lock_path, timeout_ms, err)) {
        file_close(fd);
        return false;
    }
    self->lock_fd = fd;
    return true;
}

static void sqlite_unlock_migrations(struct sql *sql)
{
    struct sqlite *self = (struct sqlite *)sql;
    file_close(self->lock_fd);
    self->lock_fd = -1;
}

// ---- open and close

// mknod makes the file without opening it: closing a descriptor of the database drops every lock
// that this process has on it through other handles (sqlite.org/howtocorrupt.html, 2.2).
static bool make_file(const char *path, struct error *err)
{
    if (mknod(path, S_IFREG | 0600, 0) == 0) {
        char *copy = alloc_text(path);
        bool is_durable = file_sync_directory(dirname(copy), err);
        free(copy);
        return is_durable;
    }
    if (errno == EEXIST)
        return true;
    error_set_errno(err, errno, "make %s", path);
    if (err->kind != ERROR_NO_SPACE)
        err->kind = ERROR_UNAVAILABLE;
    return false;
}

static bool note_wal(const struct sql_row *row, void *context)
{
    bool *is_wal = context;
    *is_wal = strcmp(sql_row_text(row, 0), "wal") == 0;
    return true;
}

// The switch of a new file holds a read lock when it asks for more, and there SQLite never waits:
// of several that switch at once, one may be told BUSY on the spot.
static bool switch_to_wal(struct sqlite *self, struct error *err)
{
    int64_t deadline_ms = clock_monotonic_ms() + BUSY_TIMEOUT_MS;
    bool is_wal = false;
    while (!run(self, "PRAGMA journal_mode=WAL", SQL_NO_VALUES, note_wal, &is_wal, err)) {
        if (!self->is_retryable || clock_left_ms(deadline_ms) == 0)
            return false;
        clock_sleep_ms(clock_backoff_ms(1, 10, 10));
        *err = (struct error){0};
    }
    return is_wal || error_set(err, ERROR_UNAVAILABLE, "sqlite: no WAL on this file system");
}

// SQLite's own waiting grows to 100 ms a step, so a writer without pauses starves all others: of 4
// such, one did 20,765 transactions in 5 s and one gave up. Asking every 1 ms or so, each waited
// 0.9 s at the most.
static int wait_while_busy(void *context, int tries)
{
    struct sqlite *self = context;
    if (tries == 0)
        self->busy_deadline_ms = clock_monotonic_ms() + BUSY_TIMEOUT_MS;
    if (clock_left_ms(self->busy_deadline_ms) == 0)
        return 0;
    struct timespec pause = {.tv_nsec = (long)(200000 + id_random_u64() % 1800000)};
    nanosleep(&pause, NULL);
    return 1;
}

static bool set_up(struct sqlite *self, const char *path, enum sql_durability durability,
                   struct error *err)
{
    int code =
        sqlite3_open_v2(path, &self->database,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code != SQLITE_OK)
        return fail_with(self, code, err);
    sqlite3_busy_handler(self->database, wait_while_busy, self);
    // Double quotes are for names, as in MySQL's ANSI mode; SQLite alone takes them for texts.
    sqlite3_db_config(self->database, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(self->database, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    return switch_to_wal(self, err) &&
           run(self,
               durability == SQL_DURABLE ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL",
               SQL_NO_VALUES, NULL, NULL, err);
}

static void sqlite_close(struct sql *sql)
{
    struct sqlite *self = (struct sqlite *)sql;
    assert(!self->is_in_query);
    sql_statements_clear(&self->statements);
    sqlite3_close(self->database);
    file_close(self->lock_fd);
    free(self->lock_path);
    free(self);
}

static const char *path_of(const char *url)
{
    return strchr(url, ':') + 1;
}

// SQLite would take ":memory:" for a database of this one handle, and "" for a temporary one.
static bool sqlite_check_url(const char *url, struct error *err)
{
    const char *path = path_of(url);
    return (path[0] && path[0] != ':') ||
           error_set(err, ERROR_INVALID, "sqlite: needs the path of a file");
}

static struct sql *sqlite_open(const char *url, enum sql_durability durability, struct error *err)
{
    const char *path = path_of(url);
    if (!sqlite_check_url(url, err) || !make_file(path, err))
        return NULL;
    struct sqlite *self = alloc_zeroed(1, sizeof *self);
    self->statements.close = close_prepared;
    self->base.ops = &sql_sqlite_ops;
    self->lock_fd = -1;
    self->lock_path = alloc_format("%s-migrate", path);
    if (!set_up(self, path, durability, err)) {
        error_prefix(err, "%s", path);
        sqlite_close(&self->base);
        return NULL;
    }
    return &self->base;
}

// ---- rows

static int64_t sqlite_row_integer(const struct sql_row *row, int column)
{
    return sqlite3_column_int64(((const struct sqlite_row *)row)->prepared, column);
}

static const char *sqlite_row_text(const struct sql_row *row, int column)
{
    return (const char *)sqlite3_column_text(((const struct sqlite_row *)row)->prepared, column);
}

static bool sqlite_row_is_null(const struct sql_row *row, int column)
{
    sqlite3_stmt *prepared = ((const struct sqlite_row *)row)->prepared;
    return sqlite3_column_type(prepared, column) == SQLITE_NULL;
}

const struct sql_ops sql_sqlite_ops = {
    .schemes = (const char *const[]){"sqlite", NULL},
    .check_url = sqlite_check_url,
    .open = sqlite_open,
    .close = sqlite_close,
    .execute = sqlite_execute,
    .query = sqlite_query,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .is_retryable = sqlite_is_retryable,
    .lock_migrations = sqlite_lock_migrations,
    .unlock_migrations = sqlite_unlock_migrations,
    .row_integer = sqlite_row_integer,
    .row_text = sqlite_row_text,
    .row_is_null = sqlite_row_is_null,
};
