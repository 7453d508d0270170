#pragma once
// Every number of the server that a test may want to shorten.

#include <stddef.h>
#include <stdint.h>

struct http_limits {
    int64_t header_ms;            // from accept, or from the request line, to complete headers
    int64_t idle_ms;              // between two requests of a connection
    int64_t body_stall_ms;        // without one byte of the body
    int64_t body_window_ms;       // over which the slowest permitted rate is averaged
    int64_t body_bytes_a_second;  // the slowest permitted rate
    int64_t download_stall_ms;    // without room in the socket's buffer; whole seconds
    int64_t queue_wait_ms;        // of a step, for a worker
    int64_t queue_wait_closed_ms; // the same while no worker has opened its handles
    int64_t step_ms;              // what http_step_deadline_ms promises
    int64_t fill_ms;              // from the end of one piece of a streamed answer to the next
    int64_t linger_ms;            // for reading on after an early refusal
    int64_t worker_retry_ms;      // between two tries of worker_open
    size_t queue_length;          // waiting steps past which new requests get 503
    size_t piece_bytes;           // of a body, for one step
    size_t fill_bytes;            // of a streamed answer, for one step
    size_t connection_bytes;      // request line and headers; libmicrohttpd answers 431 past it
};

extern const struct http_limits http_limits_default;
