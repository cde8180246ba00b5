#include "webserver/throttle.h"

#include <pthread.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/time.h"

struct record {
    unsigned failures;
    int64_t last_ns;
};

struct throttle {
    pthread_mutex_t lock;
    unsigned failures_max;
    int64_t window_ns;
    struct map records;
};

struct throttle *throttle_new(unsigned failures_max, int64_t window_ns)
{
    struct throttle *throttle = MEM_NEW(struct throttle);
    pthread_mutex_init(&throttle->lock, NULL);
    throttle->failures_max = failures_max;
    throttle->window_ns = window_ns;
    return throttle;
}

static void forget_all(struct throttle *throttle)
{
    struct span key;
    void *record;
    for (size_t cursor = 0; map_next(&throttle->records, &cursor, &key, &record);) {
        mem_free(record);
    }
    map_clear(&throttle->records);
}

void throttle_free(struct throttle **throttle)
{
    if (*throttle != NULL) {
        forget_all(*throttle);
        map_deinit(&(*throttle)->records);
        pthread_mutex_destroy(&(*throttle)->lock);
        mem_free(*throttle);
        *throttle = NULL;
    }
}

static int64_t wait_after(unsigned failures_over)
{
    int64_t wait_ns = failures_over > 5 ? THROTTLE_WAIT_MAX_NS : TIME_S_NS << failures_over;
    return wait_ns > THROTTLE_WAIT_MAX_NS ? THROTTLE_WAIT_MAX_NS : wait_ns;
}

int64_t throttle_wait_ns(struct throttle *throttle, struct span key, int64_t now_ns)
{
    pthread_mutex_lock(&throttle->lock);
    const struct record *record = map_get(&throttle->records, key);
    int64_t wait_ns = 0;
    if (record != NULL && throttle->failures_max > 0 &&
        record->failures >= throttle->failures_max &&
        now_ns - record->last_ns < throttle->window_ns) {
        int64_t due_ns = record->last_ns + wait_after(record->failures - throttle->failures_max);
        wait_ns = due_ns > now_ns ? due_ns - now_ns : 0;
    }
    pthread_mutex_unlock(&throttle->lock);
    return wait_ns;
}

void throttle_failed(struct throttle *throttle, struct span key, int64_t now_ns)
{
    pthread_mutex_lock(&throttle->lock);
    struct record *record = map_get(&throttle->records, key);
    if (record == NULL) {
        if (throttle->records.count >= THROTTLE_KEYS_MAX) {
            forget_all(throttle);
        }
        record = MEM_NEW(struct record);
        (void)map_put(&throttle->records, key, record);
    } else if (now_ns - record->last_ns >= throttle->window_ns) {
        record->failures = 0;
    }
    record->failures++;
    record->last_ns = now_ns;
    pthread_mutex_unlock(&throttle->lock);
}

void throttle_succeeded(struct throttle *throttle, struct span key)
{
    pthread_mutex_lock(&throttle->lock);
    mem_free(map_remove(&throttle->records, key));
    pthread_mutex_unlock(&throttle->lock);
}
