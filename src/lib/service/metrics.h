/*
 * Counters, gauges and histograms, and their Prometheus text form. Making one takes a lock and
 * lasts until the program ends; counting is lock-free and may be done by any thread. Asking again
 * for the same name and labels gives the same metric.
 *
 *     static struct metric *appended;
 *     appended = metric_counter("aquifer_entries_appended_total", "entries made durable", NULL);
 *     metric_add(appended, count);
 *
 * `labels` is NULL or text as it stands between the braces: `well="raw",tag="web"`; names follow
 * Prometheus' rules. At most METRICS_MAX metrics; past it one shared metric that is not printed.
 */
#ifndef SERVICE_METRICS_H
#define SERVICE_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define METRICS_MAX 4096
#define METRIC_BUCKETS_MAX 24

struct metric;

struct metric *metric_counter(const char *name, const char *help, const char *labels);
struct metric *metric_gauge(const char *name, const char *help, const char *labels);

/* Bounds ascend; +Inf is added. NULL: from 0.5 ms to 10 s, for seconds. */
struct metric *metric_histogram(const char *name, const char *help, const char *labels,
                                const double *bounds, size_t bound_count);

/* A gauge or counter that is asked when it is printed. `read` must not block for long. */
void metric_gauge_call(const char *name, const char *help, const char *labels,
                       double (*read)(void *context), void *context);
void metric_counter_call(const char *name, const char *help, const char *labels,
                         double (*read)(void *context), void *context);
/* Forgets every metric with this context: before it is freed. */
void metric_forget(void *context);

void metric_add(struct metric *metric, uint64_t count);   /* counters */
void metric_set(struct metric *metric, int64_t value);    /* gauges */
void metric_move(struct metric *metric, int64_t by);      /* gauges */
void metric_observe(struct metric *metric, double value); /* histograms */
uint64_t metric_value(const struct metric *metric);       /* counters, gauges; observations */

/* All of them, sorted by name. */
void metrics_text(struct buf *buf);

#endif
