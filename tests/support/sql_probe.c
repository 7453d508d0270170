// A database handle moved by hand, for tests that hurt the server: `sql-probe URL` opens it, then
// obeys lines. `text SELECT` answers `ok` and the first column of the last row, `execute STATEMENT`
// answers `ok` and the number of matched rows, `transaction FIRST;SECOND` answers `inside` between
// the two, waits for a line, and then says `ok`. A failure is `error`, its kind and its text.

#include "sql/sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *line;
static size_t line_size;

// The next line without its end; NULL at the end.
static char *read_line(void)
{
    ssize_t size = getline(&line, &line_size, stdin);
    if (size <= 0)
        return NULL;
    line[strcspn(line, "\n")] = '\0';
    return line;
}

static void answer(const char *text)
{
    printf("%s\n", text);
    fflush(stdout);
}

static void answer_error(const struct error *err)
{
    printf("error %s %s\n", error_kind_name(err->kind), err->text);
    fflush(stdout);
}

static bool take_text(const struct sql_row *row, void *context)
{
    sql_row_copy(row, 0, context, 256);
    return true;
}

struct two {
    char *first, *second;
    bool has_waited;
};

static bool run_two(struct sql *sql, void *context, struct error *err)
{
    struct two *two = context;
    if (!sql_execute(sql, two->first, SQL_NO_VALUES, NULL, err))
        return false;
    if (!two->has_waited) {
        two->has_waited = true;
        answer("inside");
        read_line();
    }
    return sql_execute(sql, two->second, SQL_NO_VALUES, NULL, err);
}

static bool obey(struct sql *sql, char *command, char *statement, char out[256], struct error *err)
{
    int64_t matched = 0;
    if (strcmp(command, "text") == 0)
        return sql_query(sql, statement, SQL_NO_VALUES, take_text, out, err);
    if (strcmp(command, "execute") == 0) {
        bool is_done = sql_execute(sql, statement, SQL_NO_VALUES, &matched, err);
        snprintf(out, 256, "%lld", (long long)matched);
        return is_done;
    }
    char *copy = strdup(statement);
    struct two two = {.first = copy};
    two.second = copy + strcspn(copy, ";");
    *two.second++ = '\0';
    bool is_done = sql_transaction(sql, run_two, &two, err);
    free(copy);
    return is_done;
}

int main(int count, char **arguments)
{
    struct error err = {0};
    SCOPED(sql_close)
    struct sql *sql = count == 2 ? sql_open(arguments[1], SQL_DURABLE, &err) : NULL;
    if (!sql) {
        answer_error(&err);
        return 1;
    }
    answer("ok");
    while (read_line()) {
        char *statement = line + strcspn(line, " ");
        if (*statement)
            *statement++ = '\0';
        char text[256] = "", reply[300];
        err = (struct error){0};
        if (!obey(sql, line, statement, text, &err)) {
            answer_error(&err);
            continue;
        }
        snprintf(reply, sizeof reply, "ok %s", text);
        answer(reply);
    }
    free(line);
    return 0;
}
