/*
 * How many series a token may have: they are counted when it is first used, then each new one is
 * added; at the limit they are counted again, at most once a second, since some may be gone.
 *
 * How many points a token may write: a bucket per token that fills with its rate and holds at most
 * a second of it. An update may begin while the bucket is not empty, and takes out what it
 * brought, so that one that is too large makes the next ones wait. Tested by warp10_test.c.
 */
#include "base/mem.h"
#include "base/time.h"
#include "indexer/warp10_internal.h"
#include "warp10/scope.h"

struct bucket {
    double points; /* below 0: owed */
    int64_t filled_ns;
};

struct quota {
    uint64_t series;
    int64_t counted_ns;
};

void warp10_rates_init(struct warp10_rates *rates)
{
    pthread_mutex_init(&rates->lock, NULL);
}

static void free_all(struct map *map)
{
    size_t cursor = 0;
    struct span id;
    void *item;
    while (map_next(map, &cursor, &id, &item)) {
        mem_free(item);
    }
    map_deinit(map);
}

void warp10_rates_deinit(struct warp10_rates *rates)
{
    free_all(&rates->buckets);
    free_all(&rates->quotas);
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

/* ── Series ──────────────────────────────────────────────────────────────────────────────── */

/* Those that live and have the labels of the token. */
static int count_series(struct storage *storage, const struct token *token, uint64_t *ret_count)
{
    struct buf text = {0};
    struct series_selector *selector = NULL;
    struct series_numbers numbers = {0};
    int rc = scope_selector(&text, token, SPAN_LIT("~.*{}"));
    rc = rc < 0
             ? rc
             : series_selector_parse(buf_span(&text), SERIES_SELECTOR_LABELS_ONLY, &selector, NULL);
    rc = rc < 0 ? rc : series_catalogue_select(storage_catalogue(storage), selector, 0, &numbers);
    *ret_count = numbers.count;
    series_numbers_deinit(&numbers);
    series_selector_free(&selector);
    buf_deinit(&text);
    return rc;
}

/* Under the lock. */
static int add_series(struct warp10_rates *rates, struct storage *storage,
                      const struct token *token, int64_t now_ns)
{
    struct quota *quota = map_get(&rates->quotas, token->id);
    bool fresh = quota == NULL;
    if (fresh) {
        quota = MEM_NEW(struct quota);
        (void)map_put(&rates->quotas, token->id, quota);
    }
    bool full = quota->series >= token->series_max;
    if (fresh || (full && now_ns - quota->counted_ns > TIME_S_NS)) {
        int rc = count_series(storage, token, &quota->series);
        if (rc < 0) {
            return rc;
        }
        quota->counted_ns = now_ns;
        full = quota->series >= token->series_max;
    }
    quota->series += !full;
    return full ? ERR_TIMEOUT : 0;
}

int warp10_rates_add_series(struct warp10_rates *rates, struct storage *storage,
                            const struct token *token, int64_t now_ns, struct span key)
{
    struct buf name = {0};
    pthread_mutex_lock(&rates->lock);
    int rc = add_series(rates, storage, token, now_ns);
    pthread_mutex_unlock(&rates->lock);
    if (rc == ERR_TIMEOUT) {
        series_key_text(&name, key);
        rc = err_set(rc,
                     "Geo Time Series %.*s would exceed your Monthly Active Data Streams limit "
                     "(%llu).",
                     SPAN_ARG(span_first(buf_span(&name), 256)),
                     (unsigned long long)token->series_max);
    }
    buf_deinit(&name);
    return rc;
}
