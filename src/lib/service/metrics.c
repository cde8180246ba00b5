#include "service/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

static const char *const kind_names[] = {"counter", "gauge", "histogram"};

struct metric {
    enum metric_kind kind;
    char *name, *help, *labels;
    _Atomic uint64_t value; /* counter; gauge as int64_t; histogram: observations */

    double bounds[METRIC_BUCKETS_MAX];
    size_t bound_count;
    _Atomic uint64_t buckets[METRIC_BUCKETS_MAX + 1]; /* each alone, not cumulated */
    _Atomic uint64_t sum_bits;                        /* a double */

    double (*read)(void *context);
    void *context;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct metric *metrics[METRICS_MAX];
static size_t metric_count;
static struct metric surplus; /* what counts when the table is full */

static const double default_bounds[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                        0.1,    0.25,  0.5,    1.0,   2.5,  5.0,   10.0};

/* ── Making ──────────────────────────────────────────────────────────────────────────────── */

static struct metric *find(const char *name, const char *labels, enum metric_kind kind)
{
    for (size_t i = 0; i < metric_count; i++) {
        if (strcmp(metrics[i]->name, name) == 0 && strcmp(metrics[i]->labels, labels) == 0) {
            CHECK(metrics[i]->kind == kind);
            return metrics[i];
        }
    }
    return NULL;
}

static struct metric *get(const char *name, const char *help, const char *labels,
                          enum metric_kind kind)
{
    labels = labels == NULL ? "" : labels;
    pthread_mutex_lock(&lock);
    struct metric *metric = find(name, labels, kind);
    if (metric == NULL && metric_count == METRICS_MAX) {
        metric = &surplus;
    } else if (metric == NULL) {
        metric = MEM_NEW(struct metric);
        metric->kind = kind;
        metric->name = mem_strdup(name);
        metric->help = mem_strdup(help);
        metric->labels = mem_strdup(labels);
        metrics[metric_count++] = metric;
    }
    pthread_mutex_unlock(&lock);
    return metric;
}

struct metric *metric_counter(const char *name, const char *help, const char *labels)
{
    return get(name, help, labels, METRIC_COUNTER);
}

struct metric *metric_gauge(const char *name, const char *help, const char *labels)
{
    return get(name, help, labels, METRIC_GAUGE);
}

struct metric *metric_histogram(const char *name, const char *help, const char *labels,
                                const double *bounds, size_t bound_count)
{
    if (bounds == NULL) {
        bounds = default_bounds;
        bound_count = ARRAY_COUNT(default_bounds);
    }
    CHECK(bound_count <= METRIC_BUCKETS_MAX);
    struct metric *metric = get(name, help, labels, METRIC_HISTOGRAM);
    pthread_mutex_lock(&lock);
    if (metric->bound_count == 0 && metric != &surplus) {
        memcpy(metric->bounds, bounds, bound_count * sizeof(*bounds));
        metric->bound_count = bound_count;
    }
    pthread_mutex_unlock(&lock);
    return metric;
}

static void get_call(const char *name, const char *help, const char *labels, enum metric_kind kind,
                     double (*read)(void *context), void *context)
{
    struct metric *metric = get(name, help, labels, kind);
    pthread_mutex_lock(&lock);
    if (metric != &surplus) {
        metric->read = read;
        metric->context = context;
    }
    pthread_mutex_unlock(&lock);
}

void metric_gauge_call(const char *name, const char *help, const char *labels,
                       double (*read)(void *context), void *context)
{
    get_call(name, help, labels, METRIC_GAUGE, read, context);
}

void metric_counter_call(const char *name, const char *help, const char *labels,
                         double (*read)(void *context), void *context)
{
    get_call(name, help, labels, METRIC_COUNTER, read, context);
}

static void free_metric(struct metric *metric)
{
    mem_free(metric->name);
    mem_free(metric->help);
    mem_free(metric->labels);
    mem_free(metric);
}

void metric_forget(void *context)
{
    pthread_mutex_lock(&lock);
    for (size_t i = metric_count; i-- > 0;) {
        /* Nobody holds a pointer to these: they were made without returning one. */
        if (metrics[i]->read != NULL && metrics[i]->context == context) {
            free_metric(metrics[i]);
            metrics[i] = metrics[--metric_count];
        }
    }
    pthread_mutex_unlock(&lock);
}

/* ── Counting ────────────────────────────────────────────────────────────────────────────── */

void metric_add(struct metric *metric, uint64_t count)
{
    atomic_fetch_add_explicit(&metric->value, count, memory_order_relaxed);
}

void metric_set(struct metric *metric, int64_t value)
{
    atomic_store_explicit(&metric->value, (uint64_t)value, memory_order_relaxed);
}

void metric_move(struct metric *metric, int64_t by)
{
    atomic_fetch_add_explicit(&metric->value, (uint64_t)by, memory_order_relaxed);
}

void metric_observe(struct metric *metric, double value)
{
    size_t bucket = 0;
    while (bucket < metric->bound_count && value > metric->bounds[bucket]) {
        bucket++;
    }
    atomic_fetch_add_explicit(&metric->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&metric->value, 1, memory_order_relaxed);
    uint64_t old = atomic_load_explicit(&metric->sum_bits, memory_order_relaxed);
    uint64_t new;
    do {
        double sum;
        memcpy(&sum, &old, sizeof(sum));
        sum += value;
        memcpy(&new, &sum, sizeof(new));
    } while (!atomic_compare_exchange_weak_explicit(&metric->sum_bits, &old, new,
                                                    memory_order_relaxed, memory_order_relaxed));
}

uint64_t metric_value(const struct metric *metric)
{
    return atomic_load_explicit(&metric->value, memory_order_relaxed);
}

/* ── Printing ────────────────────────────────────────────────────────────────────────────── */

static void put_number(struct buf *buf, double value)
{
    if (isnan(value) || isinf(value)) {
        buf_append_str(buf, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
    } else if (value == floor(value) && fabs(value) < 1e15) {
        buf_printf(buf, "%.0f", value);
    } else {
        buf_printf(buf, "%.10g", value);
    }
}

static void put_name(struct buf *buf, const struct metric *metric, const char *suffix,
                     const char *more)
{
    bool both = metric->labels[0] != 0 && more != NULL;
    buf_append_str(buf, metric->name);
    buf_append_str(buf, suffix);
    if (metric->labels[0] != 0 || more != NULL) {
        buf_printf(buf, "{%s%s%s}", metric->labels, both ? "," : "", more != NULL ? more : "");
    }
    buf_append_byte(buf, ' ');
}

static void put_histogram(struct buf *buf, const struct metric *metric)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= metric->bound_count; i++) {
        struct buf bound = {0};
        buf_append_str(&bound, "le=\"");
        put_number(&bound, i < metric->bound_count ? metric->bounds[i] : INFINITY);
        buf_append_str(&bound, "\"");
        count += atomic_load_explicit(&metric->buckets[i], memory_order_relaxed);
        put_name(buf, metric, "_bucket", buf_str(&bound));
        buf_printf(buf, "%" PRIu64 "\n", count);
        buf_deinit(&bound);
    }
    uint64_t bits = atomic_load_explicit(&metric->sum_bits, memory_order_relaxed);
    double sum;
    memcpy(&sum, &bits, sizeof(sum));
    put_name(buf, metric, "_sum", NULL);
    put_number(buf, sum);
    buf_append_byte(buf, '\n');
    put_name(buf, metric, "_count", NULL);
    buf_printf(buf, "%" PRIu64 "\n", count);
}

static void put_metric(struct buf *buf, const struct metric *metric)
{
    if (metric->kind == METRIC_HISTOGRAM) {
        put_histogram(buf, metric);
        return;
    }
    put_name(buf, metric, "", NULL);
    if (metric->read != NULL) {
        put_number(buf, metric->read(metric->context));
    } else if (metric->kind == METRIC_GAUGE) {
        buf_printf(buf, "%" PRId64, (int64_t)metric_value(metric));
    } else {
        buf_printf(buf, "%" PRIu64, metric_value(metric));
    }
    buf_append_byte(buf, '\n');
}

static int compare(const void *left, const void *right)
{
    const struct metric *a = *(struct metric *const *)left;
    const struct metric *b = *(struct metric *const *)right;
    int order = strcmp(a->name, b->name);
    return order != 0 ? order : strcmp(a->labels, b->labels);
}

void metrics_text(struct buf *buf)
{
    pthread_mutex_lock(&lock);
    if (metric_count > 0) {
        qsort(metrics, metric_count, sizeof(struct metric *), compare);
    }
    for (size_t i = 0; i < metric_count; i++) {
        const struct metric *metric = metrics[i];
        if (i == 0 || strcmp(metrics[i - 1]->name, metric->name) != 0) {
            buf_printf(buf, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help,
                       metric->name, kind_names[metric->kind]);
        }
        put_metric(buf, metric);
    }
    pthread_mutex_unlock(&lock);
}
