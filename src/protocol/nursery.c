#include "protocol/nursery.h"

#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FDS_LIMIT = 3 };

static bool send_message(int socket_fd, struct iovec *parts, size_t part_count, const int *fds,
                         size_t fd_count)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * FDS_LIMIT)] = {0};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = part_count};
    if (fd_count > 0) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(header), fds, sizeof(int) * fd_count);
    }
    ssize_t sent;
    do
        sent = sendmsg(socket_fd, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent >= 0;
}

static void close_all(int fds[FDS_LIMIT])
{
    for (size_t i = 0; i < FDS_LIMIT; i++) {
        file_close(fds[i]);
        fds[i] = -1;
    }
}

// False: there were more than `limit`, which are closed. The kernel counts by the room that there
// is, and alignment makes that larger.
static bool take_descriptors(struct msghdr *message, int fds[FDS_LIMIT], size_t limit)
{
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    if (header == NULL || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
        return true;
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
        if (i < limit)
            fds[i] = fd;
        else
            file_close(fd);
    }
    return count <= limit;
}

// The size of the message; its descriptors, `fd_limit` at most, are in `fds`, the rest of which is
// -1. 0 at the end, -1 on failure, with no descriptor.
static ssize_t receive_message(int socket_fd, struct iovec *parts, size_t part_count,
                               int fds[FDS_LIMIT], size_t fd_limit)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * FDS_LIMIT)];
    struct msghdr message = {.msg_iov = parts,
                             .msg_iovlen = part_count,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    memset(fds, 0xff, sizeof(int) * FDS_LIMIT);
    ssize_t got;
    do
        got = recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got <= 0)
        return got;
    if (take_descriptors(&message, fds, fd_limit) &&
        (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0)
        return got;
    close_all(fds);
    return -1;
}

bool nursery_send_request(int socket_fd, const struct nursery_limits *limits, const int fds[3],
                          const char *const *arguments)
{
    char text[NURSERY_TEXT_SIZE];
    struct nursery_limits sent = *limits;
    size_t size = 0;
    for (size_t i = 0; arguments[i] != NULL; i++) {
        size_t length = strlen(arguments[i]) + 1;
        if (i >= NURSERY_ARGUMENTS || length > sizeof text - size)
            return false;
        memcpy(text + size, arguments[i], length);
        size += length;
    }
    struct iovec parts[] = {{&sent, sizeof sent}, {text, size}};
    return send_message(socket_fd, parts, 2, fds, 3);
}

static bool split(struct nursery_request *request, size_t size)
{
    if (size == 0 || request->text[size - 1] != '\0')
        return false;
    for (size_t at = 0; at < size; at += strlen(request->text + at) + 1) {
        if (request->argument_count == NURSERY_ARGUMENTS)
            return false;
        request->arguments[request->argument_count++] = request->text + at;
    }
    request->arguments[request->argument_count] = NULL;
    return true;
}

bool nursery_receive_request(int socket_fd, struct nursery_request *out)
{
    // The next child has all of our memory: the request before is none of its business.
    memset(out, 0, sizeof *out);
    struct iovec parts[] = {{&out->limits, sizeof out->limits}, {out->text, sizeof out->text}};
    ssize_t got = receive_message(socket_fd, parts, 2, out->fds, 3);
    if (got > (ssize_t)sizeof out->limits && out->fds[2] >= 0 &&
        split(out, (size_t)got - sizeof out->limits))
        return true;
    close_all(out->fds);
    return false;
}

bool nursery_send_answer(int socket_fd, const struct nursery_answer *answer)
{
    struct nursery_answer sent = *answer;
    struct iovec part = {&sent, sizeof sent};
    return send_message(socket_fd, &part, 1, &answer->pid_fd, answer->pid_fd >= 0);
}

bool nursery_receive_answer(int socket_fd, int timeout_ms, struct nursery_answer *out)
{
    int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    struct pollfd polled = {.fd = socket_fd, .events = POLLIN};
    int ready;
    do
        ready = poll(&polled, 1, clock_left_ms(deadline_ms));
    while (ready < 0 && errno == EINTR);
    if (ready <= 0)
        return false;
    int fds[FDS_LIMIT];
    struct iovec part = {out, sizeof *out};
    ssize_t got = receive_message(socket_fd, &part, 1, fds, 1);
    out->pid_fd = fds[0];
    if (got == sizeof *out)
        return true;
    // From a program of another version.
    file_close(out->pid_fd);
    out->pid_fd = -1;
    return false;
}
