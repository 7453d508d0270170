#include "sql/sql_mysql_error.h"

#include <string.h>

// Numbers of the servers, not in any header that both have: mariadb.com/kb/en/mariadb-error-codes
// and dev.mysql.com/doc/mysql-errors. What is not listed is our fault.
static const struct fault {
    unsigned code;
    enum error_kind kind;
    enum sql_mysql_consequence consequence;
} faults[] = {
    // answers
    {1007, ERROR_CONFLICT, SQL_MYSQL_GOES_ON}, // database exists
    {1022, ERROR_CONFLICT, SQL_MYSQL_GOES_ON}, // duplicate key
    {1050, ERROR_CONFLICT, SQL_MYSQL_GOES_ON}, // table exists
    {1060, ERROR_CONFLICT, SQL_MYSQL_GOES_ON}, // column exists
    {1061, ERROR_CONFLICT, SQL_MYSQL_GOES_ON}, // index exists
    {1062, ERROR_CONFLICT, SQL_MYSQL_GOES_ON}, // duplicate entry
    {1586, ERROR_CONFLICT, SQL_MYSQL_GOES_ON}, // duplicate entry, with the name of the key
    {1826, ERROR_CONFLICT, SQL_MYSQL_GOES_ON}, // constraint exists
    // not migrated yet, or not permitted
    {1044, ERROR_UNAVAILABLE, SQL_MYSQL_GOES_ON}, // access to this database denied
    {1045, ERROR_UNAVAILABLE, SQL_MYSQL_GOES_ON}, // user or password refused
    {1049, ERROR_UNAVAILABLE, SQL_MYSQL_GOES_ON}, // no such database
    {1054, ERROR_UNAVAILABLE, SQL_MYSQL_GOES_ON}, // no such column
    {1142, ERROR_UNAVAILABLE, SQL_MYSQL_GOES_ON}, // command denied
    {1143, ERROR_UNAVAILABLE, SQL_MYSQL_GOES_ON}, // column denied
    {1146, ERROR_UNAVAILABLE, SQL_MYSQL_GOES_ON}, // no such table
    {1227, ERROR_UNAVAILABLE, SQL_MYSQL_GOES_ON}, // privilege is missing
    // no room
    {1021, ERROR_NO_SPACE, SQL_MYSQL_GOES_ON}, // disk full
    {1114, ERROR_NO_SPACE, SQL_MYSQL_GOES_ON}, // table full
    // too much, too long
    {1030, ERROR_UNAVAILABLE, SQL_MYSQL_GOES_ON}, // from the storage engine, see below
    {1037, ERROR_UNAVAILABLE, SQL_MYSQL_GOES_ON}, // out of memory
    {1038, ERROR_UNAVAILABLE, SQL_MYSQL_GOES_ON}, // out of memory for sorting
    {1040, ERROR_UNAVAILABLE, SQL_MYSQL_GOES_ON}, // too many connections
    {1041, ERROR_UNAVAILABLE, SQL_MYSQL_GOES_ON}, // out of memory
    {1203, ERROR_UNAVAILABLE, SQL_MYSQL_GOES_ON}, // too many connections of this user
    {1226, ERROR_UNAVAILABLE, SQL_MYSQL_GOES_ON}, // a limit of this user
    {1317, ERROR_UNAVAILABLE, SQL_MYSQL_GOES_ON}, // interrupted by KILL QUERY
    {1461, ERROR_UNAVAILABLE, SQL_MYSQL_GOES_ON}, // too many prepared statements
    {1969, ERROR_UNAVAILABLE, SQL_MYSQL_GOES_ON}, // max_statement_time (MariaDB)
    {3024, ERROR_UNAVAILABLE, SQL_MYSQL_GOES_ON}, // max_execution_time (MySQL)
    // locks
    {1020, ERROR_UNAVAILABLE, SQL_MYSQL_ROLLED_BACK}, // the row has changed since
    {1205, ERROR_UNAVAILABLE, SQL_MYSQL_ROLLED_BACK}, // lock wait
    {1213, ERROR_UNAVAILABLE, SQL_MYSQL_ROLLED_BACK}, // deadlock
    {1412, ERROR_UNAVAILABLE, SQL_MYSQL_ROLLED_BACK}, // the table was altered since
    // a server that takes no writes any more: another of the list may
    {1047, ERROR_UNAVAILABLE, SQL_MYSQL_LOST}, // a Galera node without its cluster
    {1290, ERROR_UNAVAILABLE, SQL_MYSQL_LOST}, // read_only
    {1792, ERROR_UNAVAILABLE, SQL_MYSQL_LOST}, // read-only transaction
    {1836, ERROR_UNAVAILABLE, SQL_MYSQL_LOST}, // read-only mode
    // a connection that ends
    {1053, ERROR_UNAVAILABLE, SQL_MYSQL_LOST}, // shutdown
    {1077, ERROR_UNAVAILABLE, SQL_MYSQL_LOST}, // normal shutdown
    {1079, ERROR_UNAVAILABLE, SQL_MYSQL_LOST}, // shutdown complete
    {1152, ERROR_UNAVAILABLE, SQL_MYSQL_LOST}, // aborted
    {1153, ERROR_UNAVAILABLE, SQL_MYSQL_LOST}, // packet too large: the server hangs up
    {1158, ERROR_UNAVAILABLE, SQL_MYSQL_LOST}, // network, as the server sees it
    {1159, ERROR_UNAVAILABLE, SQL_MYSQL_LOST},
    {1160, ERROR_UNAVAILABLE, SQL_MYSQL_LOST},
    {1161, ERROR_UNAVAILABLE, SQL_MYSQL_LOST},
    {1243, ERROR_UNAVAILABLE, SQL_MYSQL_LOST}, // a proxy has changed the session below us
    {1615, ERROR_UNAVAILABLE, SQL_MYSQL_LOST}, // a statement to be prepared anew: all are
    {1927, ERROR_UNAVAILABLE, SQL_MYSQL_LOST}, // killed (MariaDB)
    {3169, ERROR_UNAVAILABLE, SQL_MYSQL_LOST}, // killed (MySQL)
    {4031, ERROR_UNAVAILABLE, SQL_MYSQL_LOST}, // idle for wait_timeout (MySQL says so, MariaDB not)
};

// What the library says by itself: no answer, half an answer, TLS, one that it cannot read.
static bool is_of_the_library(unsigned code)
{
    return (code >= 2000 && code < 3000) || (code >= 5000 && code < 6000);
}

enum sql_mysql_consequence sql_mysql_fail(unsigned code, const char *text, struct error *err)
{
    struct fault fault = {code, ERROR_INTERNAL, SQL_MYSQL_GOES_ON};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        if (faults[i].code == code)
            fault = faults[i];
    if (is_of_the_library(code))
        fault = (struct fault){code, ERROR_UNAVAILABLE, SQL_MYSQL_LOST};
    // "Got error 28 "No space left on device" from storage engine", "… (Errcode: 28 …)".
    if ((code == 1030 && strstr(text, "rror 28 ")) || strstr(text, "No space left on device"))
        fault.kind = ERROR_NO_SPACE;
    // The server's text repeats the value, which may be somebody's address.
    if (code == 1062 || code == 1586)
        text = "there is a row with this key already";
    bool is_not_migrated = code == 1146 || code == 1054;
    error_set(err, fault.kind, "%s (%u)%s", text, code,
              is_not_migrated ? ": `unreel migrate` brings the database up to date" : "");
    return fault.consequence;
}
