#include "base/channel.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "base/mem.h"

struct channel {
    pthread_mutex_t lock;
    pthread_cond_t not_empty;
    pthread_cond_t not_full;
    size_t first;
    size_t count;
    size_t items_max;
    bool closed;
    void *items[];
};

struct channel *channel_new(size_t items_max)
{
    CHECK(items_max > 0);
    struct channel *channel = mem_alloc(sizeof(*channel) + items_max * sizeof(void *));
    channel->items_max = items_max;
    pthread_mutex_init(&channel->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&channel->not_empty, &monotonic);
    pthread_cond_init(&channel->not_full, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return channel;
}

void channel_free(struct channel **channel)
{
    if (*channel != NULL) {
        pthread_cond_destroy(&(*channel)->not_empty);
        pthread_cond_destroy(&(*channel)->not_full);
        pthread_mutex_destroy(&(*channel)->lock);
        mem_free(*channel);
        *channel = NULL;
    }
}

static int push_locked(struct channel *channel, void *item, bool wait)
{
    while (wait && !channel->closed && channel->count == channel->items_max) {
        pthread_cond_wait(&channel->not_full, &channel->lock);
    }
    if (channel->closed) {
        return CHANNEL_CLOSED;
    }
    if (channel->count == channel->items_max) {
        return CHANNEL_FULL;
    }
    channel->items[(channel->first + channel->count) % channel->items_max] = item;
    channel->count++;
    pthread_cond_signal(&channel->not_empty);
    return 0;
}

int channel_push(struct channel *channel, void *item)
{
    pthread_mutex_lock(&channel->lock);
    int rc = push_locked(channel, item, true);
    pthread_mutex_unlock(&channel->lock);
    return rc;
}

int channel_try_push(struct channel *channel, void *item)
{
    pthread_mutex_lock(&channel->lock);
    int rc = push_locked(channel, item, false);
    pthread_mutex_unlock(&channel->lock);
    return rc;
}

static struct timespec deadline_in(int64_t timeout_ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += timeout_ms / 1000;
    at.tv_nsec += timeout_ms % 1000 * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

static int wait_not_empty(struct channel *channel, int64_t timeout_ms)
{
    struct timespec deadline = deadline_in(timeout_ms < 0 ? 0 : timeout_ms);
    while (channel->count == 0) {
        if (channel->closed) {
            return CHANNEL_CLOSED;
        }
        if (timeout_ms < 0) {
            pthread_cond_wait(&channel->not_empty, &channel->lock);
        } else if (pthread_cond_timedwait(&channel->not_empty, &channel->lock, &deadline) ==
                       ETIMEDOUT &&
                   channel->count == 0) {
            return channel->closed ? CHANNEL_CLOSED : CHANNEL_TIMEOUT;
        }
    }
    return 0;
}

int channel_pop_many(struct channel *channel, int64_t timeout_ms, void **ret_items,
                     size_t items_max, size_t *ret_count)
{
    pthread_mutex_lock(&channel->lock);
    int rc = wait_not_empty(channel, timeout_ms);
    if (rc == 0) {
        size_t count = MIN(channel->count, items_max);
        for (size_t i = 0; i < count; i++) {
            ret_items[i] = channel->items[(channel->first + i) % channel->items_max];
        }
        channel->first = (channel->first + count) % channel->items_max;
        channel->count -= count;
        *ret_count = count;
        pthread_cond_broadcast(&channel->not_full);
    }
    pthread_mutex_unlock(&channel->lock);
    return rc;
}

int channel_pop(struct channel *channel, int64_t timeout_ms, void **ret_item)
{
    size_t count;
    return channel_pop_many(channel, timeout_ms, ret_item, 1, &count);
}

void channel_close(struct channel *channel)
{
    pthread_mutex_lock(&channel->lock);
    channel->closed = true;
    pthread_cond_broadcast(&channel->not_empty);
    pthread_cond_broadcast(&channel->not_full);
    pthread_mutex_unlock(&channel->lock);
}

size_t channel_count(struct channel *channel)
{
    pthread_mutex_lock(&channel->lock);
    size_t count = channel->count;
    pthread_mutex_unlock(&channel->lock);
    return count;
}
