#pragma once
// Counters and gauges in the Prometheus text format (version 0.0.4).
//
//     metrics_add("unreel_http_requests_total", "route=\"/livez\",code=\"200\"", 1);
//
// Names are literals that stand in the table of metrics.c with their type and help; an unknown name
// is a bug and asserts. Labels come from small closed sets (routes, states, codes), never from a
// user; past 512 series new ones are dropped and counted in unreel_metrics_dropped_total.

#include "base/buf.h"

#include <stdint.h>

void metrics_add(const char *name, const char *labels, int64_t amount); // labels: "" for none
void metrics_set(const char *name, const char *labels, int64_t value);

// A duration into the histogram of that name (`…_seconds`: buckets 5 ms to 300 s).
void metrics_observe_ms(const char *name, const char *labels, int64_t ms);

// All series as text; false when the buffer's limit is too small.
bool metrics_write(struct buf *out);
