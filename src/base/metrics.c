#include "base/metrics.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERIES_LIMIT = 512, LABELS_SIZE = 112, BUCKETS = 14 };

struct metric {
    const char *name;
    const char *type;
    const char *help;
};

static const struct metric metrics[] = {
    {"unreel_http_requests_total", "counter", "Requests answered, by route and status."},
    {"unreel_http_request_seconds", "histogram", "From complete headers to the answer, by route."},
    {"unreel_http_connections", "gauge", "Open connections."},
    {"unreel_http_refused_total", "counter", "Requests refused before a route saw them."},
    {"unreel_uploads_total", "counter", "Uploads by outcome."},
    {"unreel_upload_bytes_total", "counter", "Bytes of committed uploads."},
    {"unreel_logins_total", "counter", "Log-ins by outcome."},
    {"unreel_jobs_total", "counter", "Conversions ended by this process, by outcome."},
    {"unreel_job_seconds", "histogram", "From claim to stored result."},
    {"unreel_lease_lost_total", "counter",
     "Conversions that somebody else took from this process."},
    {"unreel_child_crashes_total", "counter", "Media children killed by a signal."},
    {"unreel_child_forbidden_calls_total", "counter",
     "Media children killed because they made a system call that none makes by itself."},
    {"unreel_confinement_layers", "gauge", "1 for each layer that confines the media child."},
    {"unreel_letters_total", "counter", "Letters by outcome."},
    {"unreel_hints_total", "counter", "Hints by outcome: sent, or dropped, which costs seconds."},
    {"unreel_sweeps_total", "counter", "Rows that the sweeps moved, by kind."},
    {"unreel_blobs_unknown", "gauge", "Blobs that no row knows; they are left alone."},
    {"unreel_conversions", "gauge", "Conversions by state, 10000 at most."},
    {"unreel_letters_waiting", "gauge", "Letters to be sent, by state, 10000 at most."},
    {"unreel_oldest_due_seconds", "gauge", "How long the oldest due row has waited, by kind."},
    {"unreel_dependency_up", "gauge", "1 when the dependency answered the last check."},
    {"unreel_metrics_dropped_total", "counter", "Series refused because there were too many."},
};

static const int64_t bucket_ms[BUCKETS] = {5,    10,   25,    50,    100,   250,    500,
                                           1000, 2500, 10000, 30000, 60000, 120000, 300000};

struct series {
    const struct metric *metric;
    char labels[LABELS_SIZE];
    int64_t value; // of a histogram: the sum in ms
    int64_t count;
    int64_t buckets[BUCKETS];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct series all[SERIES_LIMIT];
static size_t series_count;
static int64_t dropped_count;

static const struct metric *find_metric(const char *name)
{
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++)
        if (strcmp(metrics[i].name, name) == 0)
            return &metrics[i];
    fprintf(stderr, "metric %s is not in the table\n", name);
    abort();
}

static struct series *find_series(const char *name, const char *labels)
{
    for (size_t i = 0; i < series_count; i++)
        if (strcmp(all[i].metric->name, name) == 0 && strcmp(all[i].labels, labels) == 0)
            return &all[i];
    const struct metric *metric = find_metric(name);
    if (series_count == SERIES_LIMIT || strlen(labels) >= LABELS_SIZE) {
        dropped_count++;
        return NULL;
    }
    struct series *series = &all[series_count++];
    series->metric = metric;
    snprintf(series->labels, sizeof series->labels, "%s", labels);
    return series;
}

void metrics_add(const char *name, const char *labels, int64_t amount)
{
    pthread_mutex_lock(&lock);
    struct series *series = find_series(name, labels);
    if (series != NULL)
        series->value += amount;
    pthread_mutex_unlock(&lock);
}

void metrics_set(const char *name, const char *labels, int64_t value)
{
    pthread_mutex_lock(&lock);
    struct series *series = find_series(name, labels);
    if (series != NULL)
        series->value = value;
    pthread_mutex_unlock(&lock);
}

void metrics_observe_ms(const char *name, const char *labels, int64_t ms)
{
    pthread_mutex_lock(&lock);
    struct series *series = find_series(name, labels);
    if (series != NULL) {
        series->value += ms;
        series->count++;
        for (size_t i = 0; i < BUCKETS; i++)
            if (ms <= bucket_ms[i])
                series->buckets[i]++;
    }
    pthread_mutex_unlock(&lock);
}

static bool write_histogram(struct buf *out, const struct series *series)
{
    const char *name = series->metric->name;
    const char *comma = series->labels[0] == '\0' ? "" : ",";
    for (size_t i = 0; i < BUCKETS; i++)
        if (!buf_printf(out, "%s_bucket{%s%sle=\"%g\"} %" PRId64 "\n", name, series->labels, comma,
                        (double)bucket_ms[i] / 1000, series->buckets[i]))
            return false;
    return buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRId64 "\n", name, series->labels, comma,
                      series->count) &&
           buf_printf(out, "%s_sum{%s} %g\n", name, series->labels, (double)series->value / 1000) &&
           buf_printf(out, "%s_count{%s} %" PRId64 "\n", name, series->labels, series->count);
}

static bool write_series(struct buf *out, const struct series *series)
{
    if (strcmp(series->metric->type, "histogram") == 0)
        return write_histogram(out, series);
    if (series->labels[0] == '\0')
        return buf_printf(out, "%s %" PRId64 "\n", series->metric->name, series->value);
    return buf_printf(out, "%s{%s} %" PRId64 "\n", series->metric->name, series->labels,
                      series->value);
}

static bool write_metric(struct buf *out, const struct metric *metric)
{
    bool has_head = false;
    for (size_t i = 0; i < series_count; i++) {
        if (all[i].metric != metric)
            continue;
        if (!has_head && !buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name,
                                     metric->help, metric->name, metric->type))
            return false;
        has_head = true;
        if (!write_series(out, &all[i]))
            return false;
    }
    return true;
}

bool metrics_write(struct buf *out)
{
    pthread_mutex_lock(&lock);
    if (dropped_count > 0) {
        int64_t dropped = dropped_count;
        struct series *series = find_series("unreel_metrics_dropped_total", "");
        if (series != NULL)
            series->value = dropped;
    }
    bool fits = true;
    for (size_t i = 0; fits && i < sizeof metrics / sizeof metrics[0]; i++)
        fits = write_metric(out, &metrics[i]);
    pthread_mutex_unlock(&lock);
    return fits;
}
