// What the two ends of the nursery's socket do with messages that are not as they should be.
#include "protocol/nursery.h"

#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static const struct nursery_limits limits = {
    .processor_s = 7, .memory_bytes = 8, .output_bytes = 9};

static int count_descriptors(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

static void open_pair(int sockets[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
}

static void send_with_descriptors(int socket_fd, const void *bytes, size_t size, size_t fd_count)
{
    enum { MOST = 8 };
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * MOST)] = {0};
    struct iovec part = {(void *)(uintptr_t)bytes, size};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = CMSG_SPACE(sizeof(int) * fd_count)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
    assert_true(fd_count <= MOST);
    for (size_t i = 0; i < fd_count; i++)
        memcpy(CMSG_DATA(header) + i * sizeof(int), &socket_fd, sizeof(int));
    assert_int_equal(sendmsg(socket_fd, &message, MSG_NOSIGNAL), size);
}

static void send_request(int socket_fd, const char *title)
{
    const char *const arguments[] = {"unreel-media", "child", "--title", title, NULL};
    const int fds[3] = {socket_fd, socket_fd, socket_fd};
    assert_true(nursery_send_request(socket_fd, &limits, fds, arguments));
}

static void close_descriptors(struct nursery_request *request)
{
    for (int i = 0; i < 3; i++)
        file_close(request->fds[i]);
}

static void a_request_arrives_as_it_was_sent(void **state)
{
    (void)state;
    int sockets[2];
    struct nursery_request request;
    open_pair(sockets);
    send_request(sockets[0], "A film");
    assert_true(nursery_receive_request(sockets[1], &request));
    assert_memory_equal(&request.limits, &limits, sizeof limits);
    assert_int_equal(request.argument_count, 4);
    assert_string_equal(request.arguments[3], "A film");
    assert_null(request.arguments[4]);
    for (int i = 0; i < 3; i++)
        assert_true((fcntl(request.fds[i], F_GETFD) & FD_CLOEXEC) != 0);
    close_descriptors(&request);
    close(sockets[0]);
    close(sockets[1]);
}

// A child has all memory of the nursery: other people's titles must not be in it.
static void nothing_of_a_request_is_left_when_the_next_has_come(void **state)
{
    (void)state;
    int sockets[2];
    static struct nursery_request request;
    static const char secret[] = "Somebody else's holidays, unabridged";
    open_pair(sockets);
    send_request(sockets[0], secret);
    assert_true(nursery_receive_request(sockets[1], &request));
    close_descriptors(&request);
    send_request(sockets[0], "x");
    assert_true(nursery_receive_request(sockets[1], &request));
    close_descriptors(&request);
    assert_null(memmem(&request, sizeof request, secret + 8, sizeof secret - 9));
    close(sockets[0]);
    close(sockets[1]);
}

// Four fit in the room that alignment gives to three.
static void a_request_with_other_than_three_descriptors_is_refused_and_none_stays(void **state)
{
    (void)state;
    struct {
        struct nursery_limits limits;
        char text[24];
    } message = {limits, "unreel-media\0child"};
    for (size_t fd_count = 1; fd_count <= 6; fd_count++) {
        int sockets[2];
        struct nursery_request request;
        open_pair(sockets);
        send_with_descriptors(sockets[0], &message, sizeof message.limits + 13, fd_count);
        int before = count_descriptors();
        bool is_request = nursery_receive_request(sockets[1], &request);
        if (is_request)
            close_descriptors(&request);
        assert_int_equal(is_request, fd_count == 3);
        assert_int_equal(count_descriptors(), before);
        close(sockets[0]);
        close(sockets[1]);
    }
}

static void a_request_without_an_end_is_refused_and_its_descriptors_closed(void **state)
{
    (void)state;
    int sockets[2];
    char bytes[sizeof limits + 5];
    struct nursery_request request;
    memset(bytes, 'x', sizeof bytes);
    open_pair(sockets);
    send_with_descriptors(sockets[0], bytes, sizeof bytes, 3);
    int before = count_descriptors();
    assert_false(nursery_receive_request(sockets[1], &request));
    assert_int_equal(count_descriptors(), before);
    close(sockets[0]);
    close(sockets[1]);
}

static void an_answer_brings_one_descriptor_at_most(void **state)
{
    (void)state;
    const struct nursery_answer sent = {.pid_fd = 5, .wait_status = 3 << 8};
    for (size_t fd_count = 1; fd_count <= 6; fd_count++) {
        int sockets[2];
        struct nursery_answer answer;
        open_pair(sockets);
        send_with_descriptors(sockets[0], &sent, sizeof sent, fd_count);
        int before = count_descriptors();
        bool is_answer = nursery_receive_answer(sockets[1], 10000, &answer);
        assert_int_equal(is_answer, fd_count == 1);
        file_close(answer.pid_fd);
        assert_int_equal(count_descriptors(), before);
        close(sockets[0]);
        close(sockets[1]);
    }
}

static void an_answer_of_another_size_is_none(void **state)
{
    (void)state;
    int sockets[2];
    struct nursery_answer answer;
    open_pair(sockets);
    send_with_descriptors(sockets[0], "short", 5, 1);
    int before = count_descriptors();
    assert_false(nursery_receive_answer(sockets[1], 10000, &answer));
    assert_int_equal(answer.pid_fd, -1);
    assert_int_equal(count_descriptors(), before);
    close(sockets[0]);
    assert_false(nursery_receive_answer(sockets[1], 10000, &answer));
    close(sockets[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_arrives_as_it_was_sent),
        cmocka_unit_test(nothing_of_a_request_is_left_when_the_next_has_come),
        cmocka_unit_test(a_request_with_other_than_three_descriptors_is_refused_and_none_stays),
        cmocka_unit_test(a_request_without_an_end_is_refused_and_its_descriptors_closed),
        cmocka_unit_test(an_answer_brings_one_descriptor_at_most),
        cmocka_unit_test(an_answer_of_another_size_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
