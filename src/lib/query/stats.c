#include "query/stats.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/time.h"

void query_stage_stats_add(struct query_stage_stats *to, const struct query_stage_stats *more)
{
    to->in_count += more->in_count;
    to->in_bytes += more->in_bytes;
    to->out_count += more->out_count;
    to->out_bytes += more->out_bytes;
    to->duration_ns += more->duration_ns;
    to->failed_count += more->failed_count;
}

/* The length of a range as a number that cannot overflow. */
static uint64_t range_ns(int64_t start_ns, int64_t end_ns)
{
    return end_ns > start_ns ? (uint64_t)end_ns - (uint64_t)start_ns : 0;
}

void query_histogram_init(struct query_histogram *histogram, int64_t start_ns, int64_t end_ns)
{
    uint64_t seconds = range_ns(start_ns, end_ns) / (uint64_t)TIME_S_NS + 1;
    uint64_t width = (seconds + QUERY_HISTOGRAM_BUCKETS_MAX - 1) / QUERY_HISTOGRAM_BUCKETS_MAX;
    histogram->start_ns = start_ns;
    histogram->end_ns = end_ns;
    histogram->width_ns = (int64_t)width * TIME_S_NS;
    histogram->bucket_count = (size_t)((seconds + width - 1) / width);
    histogram->buckets = mem_alloc_array(histogram->bucket_count, sizeof(*histogram->buckets));
}

void query_histogram_deinit(struct query_histogram *histogram)
{
    mem_free(histogram->buckets);
    histogram->buckets = NULL;
    histogram->bucket_count = 0;
}

void query_histogram_add(struct query_histogram *histogram, int64_t time_ns, uint64_t bytes)
{
    if (time_ns < histogram->start_ns || time_ns >= histogram->end_ns) {
        return;
    }
    uint64_t index = range_ns(histogram->start_ns, time_ns) / (uint64_t)histogram->width_ns;
    CHECK(index < histogram->bucket_count);
    histogram->buckets[index].count++;
    histogram->buckets[index].bytes += bytes;
}

void query_histogram_fold(const struct query_histogram *histogram, int64_t start_ns, int64_t end_ns,
                          size_t count, struct query_bucket *ret_buckets)
{
    for (size_t i = 0; i < count; i++) {
        ret_buckets[i] = (struct query_bucket){0};
    }
    uint64_t range = range_ns(start_ns, end_ns);
    for (size_t i = 0; i < histogram->bucket_count && range > 0; i++) {
        int64_t at = (int64_t)((uint64_t)histogram->start_ns + i * (uint64_t)histogram->width_ns);
        if (at < start_ns || at >= end_ns) {
            continue;
        }
        __extension__ typedef unsigned __int128 wide;
        size_t index = (size_t)((wide)range_ns(start_ns, at) * count / range);
        ret_buckets[index].count += histogram->buckets[i].count;
        ret_buckets[index].bytes += histogram->buckets[i].bytes;
    }
}
