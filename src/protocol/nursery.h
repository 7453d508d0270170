#pragma once
// What the converter and its nursery say to each other over a socket of whole messages. The
// nursery (media/media_nursery.h) is a process of the media program that has loaded its libraries
// and waits; each conversion is a fork of it.
//
//     converter -> nursery   arguments, limits and three descriptors: start a child on these
//     nursery -> converter   started, with a descriptor of the process (pidfd_open(2))
//     nursery -> converter   ended, with the status of waitpid(2) and what it cost

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NURSERY_FD = 0, NURSERY_ARGUMENTS = 40, NURSERY_TEXT_SIZE = 8192 };

struct nursery_limits {
    int64_t processor_s;  // by the processors' clock
    int64_t memory_bytes; // address space; 0 for no limit
    int64_t output_bytes; // largest file
};

struct nursery_request {
    struct nursery_limits limits;
    int fds[3]; // source, output, report: the child's descriptors 0, 1 and 2
    int argument_count;
    char *arguments[NURSERY_ARGUMENTS + 1]; // into `text`, NULL-terminated
    char text[NURSERY_TEXT_SIZE];
};

// The arguments begin with the program's name and end with NULL. False: too long, or nobody there.
bool nursery_send_request(int socket_fd, const struct nursery_limits *limits, const int fds[3],
                          const char *const *arguments);
// Waits; the descriptors are the caller's. False, with none, at the end and for what is no request.
// Nothing of what stood in `out` before is left there.
bool nursery_receive_request(int socket_fd, struct nursery_request *out);

struct nursery_cost {
    int64_t processor_us, peak_kib;
};

struct nursery_answer {
    int pid_fd;      // started: the receiver's; else -1
    int wait_status; // ended
    struct nursery_cost cost;
};
bool nursery_send_answer(int socket_fd, const struct nursery_answer *answer);
// What is there now or comes within the time; false where nothing does.
bool nursery_receive_answer(int socket_fd, int timeout_ms, struct nursery_answer *out);
