#pragma once
// What the numbers mean that a MySQL or MariaDB server, or its client library, gives for an error.

#include "base/error.h"

enum sql_mysql_consequence {
    SQL_MYSQL_GOES_ON,     // the statement did nothing, all else is as before
    SQL_MYSQL_ROLLED_BACK, // lock or deadlock: the transaction may be run again
    SQL_MYSQL_LOST,        // the connection is of no more use
};

// Sets err to kind and sentence, and says what follows from it. `text` is the server's own.
enum sql_mysql_consequence sql_mysql_fail(unsigned code, const char *text, struct error *err);
