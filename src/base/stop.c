#include "base/stop.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static atomic_bool is_requested; // lock-free, so fit for a signal handler and for threads
static int event_fd = -1;

void stop_request(void)
{
    int saved_errno = errno;
    atomic_store(&is_requested, true);
    uint64_t one = 1;
    if (event_fd >= 0 && write(event_fd, &one, sizeof one) < 0) {
        // Full counter: readable already.
    }
    errno = saved_errno;
}

static void on_signal(int number)
{
    (void)number;
    stop_request();
}

void stop_install(void)
{
    event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event_fd < 0)
        abort();
    struct sigaction stopping = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGTERM, &stopping, NULL);
    sigaction(SIGINT, &stopping, NULL);
    struct sigaction ignored = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignored, NULL);
}

bool stop_is_requested(void)
{
    return atomic_load(&is_requested);
}

int stop_fd(void)
{
    return event_fd;
}

bool stop_wait_ms(int64_t ms)
{
    int64_t deadline_ms = clock_monotonic_ms() + ms;
    while (!stop_is_requested()) {
        struct pollfd stopping = {.fd = event_fd, .events = POLLIN};
        if (poll(&stopping, 1, clock_left_ms(deadline_ms)) == 0)
            break;
    }
    return stop_is_requested();
}
