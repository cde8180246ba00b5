/*
 * How many points a token may write: a bucket per token that fills with its rate and holds at most
 * a second of it. An update may begin while the bucket is not empty, and takes out what it
 * brought, so that one that is too large makes the next ones wait. Tested by warp10_test.c.
 */
#include "base/mem.h"
#include "base/time.h"
#include "indexer/warp10_internal.h"

struct bucket {
    double points; /* below 0: owed */
    int64_t filled_ns;
};

void warp10_rates_init(struct warp10_rates *rates)
{
    pthread_mutex_init(&rates->lock, NULL);
}

void warp10_rates_deinit(struct warp10_rates *rates)
{
    size_t cursor = 0;
    struct span id;
    void *bucket;
    while (map_next(&rates->buckets, &cursor, &id, &bucket)) {
        mem_free(bucket);
    }
    map_deinit(&rates->buckets);
    pthread_mutex_destroy(&rates->lock);
}

/* Under the lock: the token's bucket as it is now. */
static struct bucket *bucket_of(struct warp10_rates *rates, const struct token *token,
                                int64_t now_ns)
{
    double rate = (double)token->points_per_s;
    struct bucket *bucket = map_get(&rates->buckets, token->id);
    if (bucket == NULL) {
        bucket = MEM_NEW(struct bucket);
        *bucket = (struct bucket){rate, now_ns};
        (void)map_put(&rates->buckets, token->id, bucket);
    }
    double grown = bucket->points + rate * (double)(now_ns - bucket->filled_ns) / TIME_S_NS;
    bucket->points = MIN(grown, rate);
    bucket->filled_ns = now_ns;
    return bucket;
}

bool warp10_rates_allow(struct warp10_rates *rates, const struct token *token, int64_t now_ns)
{
    if (token->points_per_s == 0) {
        return true;
    }
    pthread_mutex_lock(&rates->lock);
    bool allowed = bucket_of(rates, token, now_ns)->points > 0;
    pthread_mutex_unlock(&rates->lock);
    return allowed;
}

void warp10_rates_charge(struct warp10_rates *rates, const struct token *token, int64_t now_ns,
                         uint64_t points)
{
    if (token->points_per_s > 0) {
        pthread_mutex_lock(&rates->lock);
        bucket_of(rates, token, now_ns)->points -= (double)points;
        pthread_mutex_unlock(&rates->lock);
    }
}
