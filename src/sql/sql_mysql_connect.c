#include "sql/sql_mysql_connect.h"

#include "base/buf.h"
#include "sql/sql_mysql_error.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    DEFAULT_PORT = 3306,
    CONNECT_TIMEOUT_S = 3,
    ANSWER_TIMEOUT_S = 10,
    MIGRATING_ANSWER_TIMEOUT_S = 15 * 60,
    WRITE_TIMEOUT_S = 10,
    PACKET_LIMIT_BYTES = 16 * 1024 * 1024,
    ERROR_NO_SUCH_VARIABLE = 1193,
    FAILURES_LIMIT_BYTES = 1024,
};

// Ways to prove a password that never show it; a server can ask for it in the clear otherwise.
static const char password_plugins[] = "mysql_native_password,caching_sha2_password,"
                                       "client_ed25519,parsec";

// Where Debian keeps the authorities that everybody trusts; an image has this one file of them.
static const char default_authorities[] = "/etc/ssl/certs/ca-certificates.crt";

// Double quotes are for names and a backslash is itself, as in SQLite.
#define STRICT_MODE                                                                                \
    "sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ANSI_QUOTES,NO_BACKSLASH_ESCAPES'"

struct session_step {
    const char *statement;
    bool is_for_some; // one of the two servers does not know the variable
};

static const struct session_step session_steps[] = {
    {"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", false},
    {"SET SESSION autocommit=1, " STRICT_MODE, false},
    // A Galera node without its cluster takes all of the above, but no work.
    {"START TRANSACTION", false},
    {"ROLLBACK", false},
};
static const struct session_step ordinary_steps[] = {
    {"SET SESSION innodb_lock_wait_timeout=2, lock_wait_timeout=2", false},
    {"SET SESSION max_statement_time=5", true},    // MariaDB, in s
    {"SET SESSION max_execution_time=5000", true}, // MySQL, in ms
};
static const struct session_step migrating_steps[] = {
    {"SET SESSION innodb_lock_wait_timeout=10, lock_wait_timeout=10", false},
    {"SET SESSION max_statement_time=0", true},
    {"SET SESSION max_execution_time=0", true},
};

static void init_library(void)
{
    mysql_library_init(0, NULL, NULL);
}

// ---- the URL

static bool check_tls(const struct url *url, struct error *err)
{
    const char *tls = url_parameter(url, "tls");
    if (tls && strcmp(tls, "off") != 0 && strcmp(tls, "required") != 0 &&
        strcmp(tls, "verify") != 0)
        return error_set(err, ERROR_INVALID, "mysql: tls is one of off, required, verify");
    const char *ca = url_parameter(url, "tls-ca");
    if (ca && (!tls || strcmp(tls, "verify") != 0))
        return error_set(err, ERROR_INVALID, "mysql: tls-ca needs tls=verify");
    return !ca || ca[0] || error_set(err, ERROR_INVALID, "mysql: tls-ca needs the name of a file");
}

bool sql_mysql_parse(const char *text, struct url *out, struct error *err)
{
    static const char *const parameters[] = {"tls", "tls-ca", NULL};
    if (!url_parse(text, out, err) || !url_check_parameters(out, parameters, err))
        return error_prefix(err, "mysql");
    if (!out->user[0] || !out->path[0] || strchr(out->path, '/'))
        return error_set(err, ERROR_INVALID,
                         "mysql: the form is mysql://USER:PASSWORD@HOST[:PORT][,HOST…]/DATABASE");
    return check_tls(out, err);
}

// ---- one host

static bool wants_tls(const struct url *url)
{
    const char *tls = url_parameter(url, "tls");
    return tls && strcmp(tls, "off") != 0;
}

static void set_tls(MYSQL *connection, const struct url *url)
{
    my_bool is_enforced = wants_tls(url);
    my_bool is_verified = is_enforced && strcmp(url_parameter(url, "tls"), "verify") == 0;
    const char *ca = url_parameter(url, "tls-ca");
    // Without one, newer libraries take any certificate of a server that knows the password.
    if (is_verified)
        mysql_options(connection, MYSQL_OPT_SSL_CA, ca ? ca : default_authorities);
    // Both always: newer libraries verify by default, also where there is no TLS to be verified.
    mysql_options(connection, MYSQL_OPT_SSL_ENFORCE, &is_enforced);
    mysql_options(connection, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &is_verified);
}

static void set_options(MYSQL *connection, const struct url *url, enum sql_mysql_patience patience)
{
    unsigned connect_s = CONNECT_TIMEOUT_S, write_s = WRITE_TIMEOUT_S;
    unsigned answer_s =
        patience == SQL_MYSQL_MIGRATING ? MIGRATING_ANSWER_TIMEOUT_S : ANSWER_TIMEOUT_S;
    unsigned protocol = MYSQL_PROTOCOL_TCP; // "localhost" would be a socket in the file system
    unsigned local_files = 0;               // a server could ask for any file of ours
    size_t packet_limit = PACKET_LIMIT_BYTES;
    my_bool is_reconnecting = 0;
    mysql_options(connection, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
    mysql_options(connection, MYSQL_OPT_READ_TIMEOUT, &answer_s);
    mysql_options(connection, MYSQL_OPT_WRITE_TIMEOUT, &write_s);
    mysql_options(connection, MYSQL_OPT_PROTOCOL, &protocol);
    mysql_options(connection, MYSQL_OPT_LOCAL_INFILE, &local_files);
    mysql_options(connection, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet_limit);
    mysql_options(connection, MYSQL_OPT_RECONNECT, &is_reconnecting);
    mysql_options(connection, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_options(connection, MARIADB_OPT_RESTRICTED_AUTH, password_plugins);
    set_tls(connection, url);
}

// What stands between forgets a connection on which nothing passes, and tells neither end: the next
// statement would wait in vain.
static void keep_alive(MYSQL *connection)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, 60},
        {IPPROTO_TCP, TCP_KEEPINTVL, 10},
        {IPPROTO_TCP, TCP_KEEPCNT, 3},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        setsockopt(mysql_get_socket(connection), options[i].level, options[i].name,
                   &options[i].value, sizeof options[i].value);
}

static bool fail(MYSQL *connection, struct error *err)
{
    sql_mysql_fail(mysql_errno(connection), mysql_error(connection), err);
    return false;
}

static bool take_steps(MYSQL *connection, const struct session_step *steps, size_t count,
                       struct error *err)
{
    for (size_t i = 0; i < count; i++)
        if (mysql_query(connection, steps[i].statement) != 0 &&
            !(steps[i].is_for_some && mysql_errno(connection) == ERROR_NO_SUCH_VARIABLE))
            return fail(connection, err);
    return true;
}

static bool set_up_session(MYSQL *connection, enum sql_mysql_patience patience, struct error *err)
{
    bool is_migrating = patience == SQL_MYSQL_MIGRATING;
    return take_steps(connection, session_steps, sizeof session_steps / sizeof *session_steps,
                      err) &&
           take_steps(connection, is_migrating ? migrating_steps : ordinary_steps, 3, err);
}

// "Enforced" means to the library: if the server has it. Only where it verifies it insists.
static bool check_tls_in_use(MYSQL *connection, const struct url *url, struct error *err)
{
    return !wants_tls(url) || mysql_get_ssl_cipher(connection) ||
           error_set(err, ERROR_UNAVAILABLE, "it offers no TLS, which the URL requires");
}

// A replica, or a primary that is being replaced. Which of these there are depends on the server;
// newer ones have more values than ON and OFF.
static bool check_writable(MYSQL *connection, struct error *err)
{
    if (mysql_query(connection, "SHOW GLOBAL VARIABLES WHERE Variable_name IN"
                                " ('read_only', 'super_read_only', 'innodb_read_only')") != 0)
        return fail(connection, err);
    MYSQL_RES *result = mysql_store_result(connection);
    if (!result)
        return fail(connection, err);
    bool is_writable = true;
    MYSQL_ROW row;
    while ((row = mysql_fetch_row(result)) != NULL)
        is_writable = is_writable && row[1] && strcmp(row[1], "OFF") == 0;
    mysql_free_result(result);
    return is_writable || error_set(err, ERROR_UNAVAILABLE, "it is read-only");
}

static bool use(MYSQL *connection, const struct url *url, enum sql_mysql_patience patience,
                struct error *err)
{
    keep_alive(connection);
    return check_tls_in_use(connection, url, err) && check_writable(connection, err) &&
           set_up_session(connection, patience, err);
}

static MYSQL *connect_host(const struct url *url, const struct url_host *host,
                           enum sql_mysql_patience patience, struct error *err)
{
    MYSQL *connection = mysql_init(NULL);
    if (!connection)
        abort(); // as everywhere without memory
    set_options(connection, url, patience);
    unsigned port = host->port ? (unsigned)host->port : DEFAULT_PORT;
    if (mysql_real_connect(connection, host->name, url->user, url->password, url->path, port, NULL,
                           CLIENT_FOUND_ROWS)
            ? use(connection, url, patience, err)
            : fail(connection, err))
        return connection;
    mysql_close(connection);
    return NULL;
}

MYSQL *sql_mysql_connect(const struct url *url, enum sql_mysql_patience patience, struct error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_library);
    SCOPED_BUF struct buf failures;
    buf_init(&failures, FAILURES_LIMIT_BYTES);
    for (size_t i = 0; i < url->host_count; i++) {
        const struct url_host *host = &url->hosts[i];
        struct error failure = {0};
        MYSQL *connection = connect_host(url, host, patience, &failure);
        if (connection)
            return connection;
        buf_printf(&failures, "%s%s:%d: %s", i ? "; " : "", host->name,
                   host->port ? host->port : DEFAULT_PORT, failure.text);
    }
    error_set(err, ERROR_UNAVAILABLE, "mysql: %s", failures.bytes);
    return NULL;
}
