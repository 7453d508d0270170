// Hints on one machine: each consumer has a datagram socket DIR/queue-TOPIC-PID-NUMBER.sock, and a
// publisher sends the id to every socket of the topic that it finds there. Nobody waits for
// anybody: a consumer whose buffer is full has hints enough, and one that is dead loses its socket.
//
// An address has room for 108 bytes, a data directory may be longer: sockets are named through
// /proc/self/fd/DIRECTORY/.

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "queue/queue_backend.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { PUBLISH_MS = 2000, NAME_TRIES = 10 };

struct local {
    struct queue base;
    char *path;
    char *topic;      // NULL: publishes only
    int directory_fd; // -1 while there is no connection
    int socket_fd;    // unbound in a publisher
    char name[80];    // of the bound socket; "" for none
};

static struct sockaddr_un address_of(const struct local *local, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", local->directory_fd,
             name);
    return address;
}

static bool bind_name(struct local *local, struct error *err)
{
    for (int i = 0; i < NAME_TRIES; i++) {
        // A random number: a socket that somebody is about to unlink as dead must not get its name
        // again.
        snprintf(local->name, sizeof local->name, "queue-%s-%d-%llu.sock", local->topic, getpid(),
                 (unsigned long long)id_random_u64());
        struct sockaddr_un address = address_of(local, local->name);
        if (bind(local->socket_fd, (struct sockaddr *)&address, sizeof address) == 0)
            return true;
        if (errno != EADDRINUSE)
            break;
    }
    local->name[0] = '\0';
    return error_set_errno(err, errno, "bind a socket in %s", local->path);
}

static void disconnect(struct local *local)
{
    if (local->name[0] != '\0')
        unlinkat(local->directory_fd, local->name, 0);
    local->name[0] = '\0';
    file_close(local->socket_fd);
    file_close(local->directory_fd);
    local->socket_fd = local->directory_fd = -1;
}

static bool connect_to_directory(struct local *local, struct error *err)
{
    if (!file_make_directory(local->path, 0700, err))
        return false;
    local->directory_fd = open(local->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (local->directory_fd < 0)
        return error_set_errno(err, errno, "open directory %s", local->path);
    local->socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool is_connected = local->socket_fd >= 0 || error_set_errno(err, errno, "make a socket");
    if (is_connected && local->topic != NULL)
        is_connected = bind_name(local, err);
    if (!is_connected)
        disconnect(local);
    return is_connected;
}

// Connects again when the directory or the socket in it has been wiped.
static bool keep_connected(struct local *local, struct error *err)
{
    struct stat open_directory, named_directory, about;
    bool is_there = local->directory_fd >= 0 && fstat(local->directory_fd, &open_directory) == 0 &&
                    stat(local->path, &named_directory) == 0 &&
                    open_directory.st_ino == named_directory.st_ino &&
                    (local->name[0] == '\0' ||
                     fstatat(local->directory_fd, local->name, &about, AT_SYMLINK_NOFOLLOW) == 0);
    if (is_there)
        return true;
    disconnect(local);
    return connect_to_directory(local, err);
}

static void local_close(struct queue *queue)
{
    struct local *local = (struct local *)queue;
    disconnect(local);
    free(local->path);
    free(local->topic);
    free(local);
}

static bool local_check_url(const char *url, struct error *err)
{
    return url[strlen("local:")] != '\0' ||
           error_set(err, ERROR_INVALID, "local: needs a directory");
}

static struct queue *local_open(const char *url, const char *topic, struct error *err)
{
    if (!local_check_url(url, err))
        return NULL;
    struct local *local = alloc_zeroed(1, sizeof *local);
    SCOPED(queue_close) struct queue *queue = &local->base;
    local->base.ops = &queue_local_ops;
    local->path = alloc_text(url + strlen("local:"));
    local->topic = alloc_text(topic);
    local->directory_fd = local->socket_fd = -1;
    if (!connect_to_directory(local, err))
        return NULL;
    return TAKE(queue);
}

static void send_hint(struct local *local, const char *name, const char *id)
{
    struct sockaddr_un address = address_of(local, name);
    ssize_t sent = sendto(local->socket_fd, id, strlen(id), MSG_DONTWAIT | MSG_NOSIGNAL,
                          (struct sockaddr *)&address, sizeof address);
    if (sent < 0 && errno == ECONNREFUSED) // its owner is dead
        unlinkat(local->directory_fd, name, 0);
}

static bool local_publish(struct queue *queue, const char *topic, const char *id, struct error *err)
{
    struct local *local = (struct local *)queue;
    if (!keep_connected(local, err))
        return false;
    char prefix[40];
    snprintf(prefix, sizeof prefix, "queue-%s-", topic);
    // A descriptor of its own: readdir moves the offset of the one it is given.
    int fd = openat(local->directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (directory == NULL) {
        error_set_errno(err, errno, "open directory %s", local->path);
        file_close(fd);
        return false;
    }
    int64_t deadline_ms = clock_monotonic_ms() + PUBLISH_MS;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (text_starts_with(entry->d_name, prefix) && strlen(entry->d_name) < sizeof local->name &&
            clock_left_ms(deadline_ms) > 0)
            send_hint(local, entry->d_name, id);
    closedir(directory);
    return true;
}

// HINT, or NOTHING when no datagram waits. What is no id is dropped: here are no dead letters.
static enum queue_answer take_waiting(struct local *local, struct queue_hint *out,
                                      struct error *err)
{
    for (;;) {
        *out = (struct queue_hint){0};
        ssize_t size = recv(local->socket_fd, out->id, sizeof out->id, MSG_DONTWAIT | MSG_TRUNC);
        if (size < 0 && (errno == EAGAIN || errno == EINTR))
            return QUEUE_NOTHING;
        if (size < 0) {
            error_set_errno(err, errno, "receive in %s", local->path);
            disconnect(local);
            return QUEUE_ERROR;
        }
        if (size != ID_SIZE - 1)
            continue;
        out->id[size] = '\0';
        if (id_is_valid(out->id))
            return QUEUE_HINT;
    }
}

static enum queue_answer local_receive(struct queue *queue, int timeout_ms, struct queue_hint *out,
                                       struct error *err)
{
    struct local *local = (struct local *)queue;
    if (local->topic == NULL) {
        error_set(err, ERROR_INVALID, "this queue handle only publishes");
        return QUEUE_ERROR;
    }
    if (!keep_connected(local, err))
        return QUEUE_ERROR;
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    for (;;) {
        enum queue_answer answer = take_waiting(local, out, err);
        int left_ms = clock_left_ms(deadline_ms);
        if (answer != QUEUE_NOTHING || left_ms == 0)
            return answer;
        struct pollfd waited = {.fd = local->socket_fd, .events = POLLIN};
        poll(&waited, 1, left_ms);
    }
}

static bool local_settle(struct queue *queue, const struct queue_hint *hint, struct error *err)
{
    (void)queue, (void)hint, (void)err; // a datagram is gone when it is received
    return true;
}

static int local_poll_fd(struct queue *queue)
{
    const struct local *local = (struct local *)queue;
    return local->topic == NULL ? -1 : local->socket_fd;
}

static bool local_pump(struct queue *queue, struct error *err)
{
    return keep_connected((struct local *)queue, err);
}

const struct queue_ops queue_local_ops = {
    .schemes = (const char *const[]){"local", NULL},
    .check_url = local_check_url,
    .open = local_open,
    .close = local_close,
    .publish = local_publish,
    .receive = local_receive,
    .ack = local_settle,
    .reject = local_settle,
    .poll_fd = local_poll_fd,
    .pump = local_pump,
};
