/*
 * Counts of a search: per stage, and of its results by time.
 */
#ifndef QUERY_STATS_H
#define QUERY_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUERY_STAGES_STATS_MAX 64

struct query_stage_stats {
    uint64_t in_count;
    uint64_t in_bytes;
    uint64_t out_count;
    uint64_t out_bytes;
    uint64_t duration_ns;   /* time spent in the stage, summed over the indexers */
    uint64_t failed_count;  /* entries that could not be read as the stage wanted, passed or not */
    uint64_t scratch_bytes; /* written to files, for want of memory */
};

void query_stage_stats_add(struct query_stage_stats *to, const struct query_stage_stats *more);

/* Entries and bytes by time, in buckets of equal, whole-second width: as narrow as what is there
 * permits, not as the range asked for. A day's entries show their minutes also in a search over all
 * time. One thread writes; reading meanwhile needs the caller's lock. */
#define QUERY_HISTOGRAM_BUCKETS_MAX 16384

struct query_bucket {
    uint64_t count;
    uint64_t bytes;
};

struct query_histogram {
    int64_t start_ns;
    int64_t end_ns;
    int64_t width_s;
    int64_t first, last; /* bucket n covers [n, n + 1) widths of Unix time */
    struct query_bucket
        *buckets; /* owned; bucket n is at n modulo their number; NULL: nothing yet */
};

/* The next width: a multiple of this one. */
int64_t query_histogram_wider_s(int64_t width_s);

void query_histogram_init(struct query_histogram *histogram, int64_t start_ns, int64_t end_ns);
void query_histogram_deinit(struct query_histogram *histogram);
void query_histogram_add(struct query_histogram *histogram, int64_t time_ns, uint64_t bytes);

/* Folds [start_ns, end_ns) into `count` equally long buckets; a fine bucket counts where it
 * begins. Bucket i begins at start_ns + i * (end_ns - start_ns) / count. */
void query_histogram_fold(const struct query_histogram *histogram, int64_t start_ns, int64_t end_ns,
                          size_t count, struct query_bucket *ret_buckets);

#endif
