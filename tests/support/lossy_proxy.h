#pragma once
// A TCP proxy in front of a MySQL or MariaDB server that can lose one answer (it passes the command
// on, waits until the server has answered, and closes the connection in place of passing that on),
// or cut a connection at any message.

enum lossy_proxy_command {
    LOSSY_PROXY_COMMIT,
    LOSSY_PROXY_EXECUTE, // of a prepared statement
};

struct lossy_proxy;

// `server_url` is mysql://…@HOST:PORT/DATABASE; `out_url` is the same with the proxy's
// port.
struct lossy_proxy *lossy_proxy_start(const char *server_url, char out_url[1024]);
void lossy_proxy_stop(struct lossy_proxy *proxy);

// Loses the answer to the next such command, whoever sends it.
void lossy_proxy_lose(struct lossy_proxy *proxy, enum lossy_proxy_command command);
// Closes the connection in place of passing on the number-th message from now, of either direction.
// 0: none.
void lossy_proxy_cut(struct lossy_proxy *proxy, int number);
// How many messages were lost so far.
int lossy_proxy_lost(struct lossy_proxy *proxy);
