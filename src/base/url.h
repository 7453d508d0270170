#pragma once
// URLs of servers, by RFC 3986 with a list of hosts for failover:
//
//   scheme://[user[:password]@]host[:port][,host[:port]…][/path][?name=value[&name=value…]]
//
// User, password, path and parameters are percent-decoded. An IPv6 address stands in brackets and
// is stored without them. No error text ever holds the user or the password.

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { URL_HOSTS_MAX = 8, URL_PARAMETERS_MAX = 8, URL_TEXT_SIZE = 256 };

struct url_host {
    char name[URL_TEXT_SIZE];
    int port; // 0: not given
};

struct url_parameter {
    char name[32];
    char value[URL_TEXT_SIZE];
};

struct url {
    char scheme[16];                                   // lower case
    char user[URL_TEXT_SIZE], password[URL_TEXT_SIZE]; // "" when not given
    bool has_path;                                     // there is a '/' behind the hosts
    char path[URL_TEXT_SIZE];                          // without that '/'
    struct url_host hosts[URL_HOSTS_MAX];              // one at least
    size_t host_count;
    struct url_parameter parameters[URL_PARAMETERS_MAX];
    size_t parameter_count;
};

// INVALID, with what is wrong, for anything else; also for control characters and an encoded NUL,
// and for '@' in path or parameters alone: what stands before it would be a password cut in two.
bool url_parse(const char *text, struct url *out, struct error *err);

// The value of a parameter, or NULL.
const char *url_parameter(const struct url *url, const char *name);

// INVALID when there is a parameter that is not in `names` (NULL-terminated), or one given twice:
// a misspelt `tls` must not pass unseen.
bool url_check_parameters(const struct url *url, const char *const *names, struct error *err);

// "localhost", 127.0.0.0/8, ::1.
bool url_is_loopback(const char *host_name);
