#pragma once
// A session with the first server of a list that takes writes. The client library is here and in
// sql_mysql.c only.

#include "base/error.h"
#include "base/url.h"

#include <mysql.h>

enum sql_mysql_patience {
    SQL_MYSQL_ORDINARY, // 2 s for a lock, 5 s a statement (MySQL: SELECTs only), 10 s for an answer
    SQL_MYSQL_MIGRATING, // 10 s for a table's lock, no limit a statement, 15 min for an answer
};

// INVALID with what is wrong with the URL; opens nothing.
bool sql_mysql_parse(const char *text, struct url *out, struct error *err);

// Asks the hosts in the order of the URL, 3 s each. UNAVAILABLE, with what each of them said.
// The session is READ COMMITTED, strict, in UTF-8, and never reconnects by itself.
MYSQL *sql_mysql_connect(const struct url *url, enum sql_mysql_patience patience,
                         struct error *err);
