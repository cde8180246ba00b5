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
    to->scratch_bytes += more->scratch_bytes;
}

/* The length of a range as a number that cannot overflow. */
static uint64_t range_ns(int64_t start_ns, int64_t end_ns)
{
    return end_ns > start_ns ? (uint64_t)end_ns - (uint64_t)start_ns : 0;
}

static int64_t floor_div(int64_t value, int64_t by)
{
    return value / by - (value % by < 0 ? 1 : 0);
}

/* Each a multiple of the one before, and most divide what people draw: quarters of an hour, hours,
 * days. */
int64_t query_histogram_wider_s(int64_t width_s)
{
    static const int64_t widths_s[] = {1, 2, 10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 86400};
    for (size_t i = 0; i + 1 < ARRAY_COUNT(widths_s); i++) {
        if (widths_s[i] == width_s) {
            return widths_s[i + 1];
        }
    }
    return width_s * 2;
}

static struct query_bucket *bucket_at(const struct query_histogram *histogram, int64_t number)
{
    return &histogram->buckets[(uint64_t)number % QUERY_HISTOGRAM_BUCKETS_MAX];
}

void query_histogram_init(struct query_histogram *histogram, int64_t start_ns, int64_t end_ns)
{
    *histogram = (struct query_histogram){.start_ns = start_ns, .end_ns = end_ns, .width_s = 1};
}

void query_histogram_deinit(struct query_histogram *histogram)
{
    mem_free(histogram->buckets);
    histogram->buckets = NULL;
}

/* Room for the bucket of this second, if all that are there are of this width. */
static bool fits(const struct query_histogram *histogram, int64_t width_s, int64_t second)
{
    int64_t number = floor_div(second, width_s);
    int64_t first = floor_div(histogram->first * histogram->width_s, width_s);
    int64_t last = floor_div(histogram->last * histogram->width_s, width_s);
    return MAX(last, number) - MIN(first, number) < QUERY_HISTOGRAM_BUCKETS_MAX;
}

static void widen(struct query_histogram *histogram, int64_t width_s)
{
    struct query_histogram wide = *histogram;
    wide.width_s = width_s;
    wide.first = floor_div(histogram->first * histogram->width_s, width_s);
    wide.last = floor_div(histogram->last * histogram->width_s, width_s);
    wide.buckets = mem_alloc_array(QUERY_HISTOGRAM_BUCKETS_MAX, sizeof(*wide.buckets));
    for (int64_t n = histogram->first; n <= histogram->last; n++) {
        const struct query_bucket *from = bucket_at(histogram, n);
        struct query_bucket *to = bucket_at(&wide, floor_div(n * histogram->width_s, width_s));
        to->count += from->count;
        to->bytes += from->bytes;
    }
    query_histogram_deinit(histogram);
    *histogram = wide;
}

void query_histogram_add(struct query_histogram *histogram, int64_t time_ns, uint64_t bytes)
{
    if (time_ns < histogram->start_ns || time_ns >= histogram->end_ns) {
        return;
    }
    int64_t second = floor_div(time_ns, TIME_S_NS);
    if (histogram->buckets == NULL) {
        histogram->buckets =
            mem_alloc_array(QUERY_HISTOGRAM_BUCKETS_MAX, sizeof(*histogram->buckets));
        histogram->first = histogram->last = second; /* the first width is a second */
    }
    int64_t number = floor_div(second, histogram->width_s);
    if (number < histogram->first || number > histogram->last) {
        int64_t width_s = histogram->width_s;
        while (!fits(histogram, width_s, second)) {
            width_s = query_histogram_wider_s(width_s);
        }
        if (width_s != histogram->width_s) {
            widen(histogram, width_s);
        }
        number = floor_div(second, width_s);
        histogram->first = MIN(histogram->first, number);
        histogram->last = MAX(histogram->last, number);
    }
    struct query_bucket *bucket = bucket_at(histogram, number);
    bucket->count++;
    bucket->bytes += bytes;
}

void query_histogram_fold(const struct query_histogram *histogram, int64_t start_ns, int64_t end_ns,
                          size_t count, struct query_bucket *ret_buckets)
{
    for (size_t i = 0; i < count; i++) {
        ret_buckets[i] = (struct query_bucket){0};
    }
    uint64_t range = range_ns(start_ns, end_ns);
    __extension__ typedef __int128 wide;
    for (int64_t n = histogram->first; histogram->buckets != NULL && n <= histogram->last; n++) {
        wide begin = (wide)n * histogram->width_s * TIME_S_NS;
        int64_t at = (int64_t)MAX(begin, (wide)histogram->start_ns);
        if (at < start_ns || at >= end_ns) {
            continue;
        }
        size_t index = (size_t)((wide)range_ns(start_ns, at) * (wide)count / (wide)range);
        ret_buckets[index].count += bucket_at(histogram, n)->count;
        ret_buckets[index].bytes += bucket_at(histogram, n)->bytes;
    }
}
