#include "sql/sql_statements.h"

#include "base/alloc.h"
#include "base/text.h"

#include <string.h>

void *sql_statements_find(struct sql_statements *statements, const char *text)
{
    for (size_t i = 0; i < SQL_STATEMENTS_KEPT; i++) {
        if (!statements->kept[i].text || strcmp(statements->kept[i].text, text) != 0)
            continue;
        statements->kept[i].used = ++statements->uses;
        return statements->kept[i].prepared;
    }
    return NULL;
}

static void forget(struct sql_statements *statements, size_t i)
{
    if (statements->kept[i].text)
        statements->close(statements->kept[i].prepared);
    free(statements->kept[i].text);
    memset(&statements->kept[i], 0, sizeof statements->kept[i]);
}

// A free place was never used, so it is the oldest.
void sql_statements_keep(struct sql_statements *statements, const char *text, void *prepared)
{
    size_t oldest = 0;
    for (size_t i = 1; i < SQL_STATEMENTS_KEPT; i++)
        if (statements->kept[i].used < statements->kept[oldest].used)
            oldest = i;
    forget(statements, oldest);
    statements->kept[oldest].text = alloc_text(text);
    statements->kept[oldest].prepared = prepared;
    statements->kept[oldest].used = ++statements->uses;
}

void sql_statements_clear(struct sql_statements *statements)
{
    for (size_t i = 0; i < SQL_STATEMENTS_KEPT; i++)
        forget(statements, i);
}

bool sql_statements_expand(const char *statement, const char *now, const char *table,
                           struct buf *out)
{
    static const char now_token[] = "{now}", table_token[] = "{table}";
    for (const char *at = statement; *at;) {
        bool is_appended;
        if (text_starts_with(at, now_token)) {
            is_appended = buf_append_text(out, now);
            at += strlen(now_token);
        } else if (text_starts_with(at, table_token)) {
            is_appended = buf_append_text(out, table);
            at += strlen(table_token);
        } else {
            is_appended = buf_append(out, at++, 1);
        }
        if (!is_appended)
            return false;
    }
    return true;
}
