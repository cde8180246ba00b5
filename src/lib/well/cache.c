#include "well/cache.h"

#include <pthread.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"

#define MISSED_MIN 1024
#define BLOCK_BYTES_USUAL ((size_t)1 << 20)

struct kept {
    struct block_key key;
    struct block_content *content;
    size_t bytes;
    size_t place; /* among items */
    bool asked;   /* for, since room was looked for here */
};

struct block_cache {
    pthread_mutex_t lock;
    size_t bytes_max;
    size_t bytes;
    struct map by_key; /* struct kept */
    VEC(struct kept *) items;
    uint64_t *missed; /* hashes of keys, each in the one place it can have; 0: none */
    size_t missed_mask;
    uint64_t random;
    uint64_t hits;
    uint64_t misses;
};

/* Blocks that were missed are remembered for about as many misses as the cache has room for. */
static size_t missed_count(size_t bytes_max)
{
    size_t count = MISSED_MIN;
    while (count < bytes_max / BLOCK_BYTES_USUAL) {
        count *= 2;
    }
    return count;
}

struct block_cache *block_cache_new(size_t bytes_max)
{
    struct block_cache *cache = MEM_NEW(struct block_cache);
    cache->bytes_max = bytes_max;
    cache->missed_mask = missed_count(bytes_max) - 1;
    cache->missed = mem_alloc_array(cache->missed_mask + 1, sizeof(*cache->missed));
    cache->random = 1;
    pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

static struct span key_span(const struct block_key *key)
{
    return span_of(key, sizeof(*key));
}

static void let_go(struct block_cache *cache, struct kept *kept)
{
    cache->bytes -= kept->bytes;
    (void)map_remove(&cache->by_key, key_span(&kept->key));
    vec_remove_swap(&cache->items, kept->place);
    if (kept->place < cache->items.count) {
        cache->items.items[kept->place]->place = kept->place;
    }
    block_content_unref(&kept->content);
    mem_free(kept);
}

void block_cache_free(struct block_cache **place)
{
    struct block_cache *cache = *place;
    *place = NULL;
    if (cache == NULL) {
        return;
    }
    while (cache->items.count > 0) {
        let_go(cache, cache->items.items[cache->items.count - 1]);
    }
    map_deinit(&cache->by_key);
    vec_deinit(&cache->items);
    mem_free(cache->missed);
    pthread_mutex_destroy(&cache->lock);
    mem_free(cache);
}

struct block_content *block_cache_get(struct block_cache *cache, struct block_key key)
{
    struct block_content *content = NULL;
    CHECK(pthread_mutex_lock(&cache->lock) == 0);
    struct kept *kept = map_get(&cache->by_key, key_span(&key));
    if (kept != NULL) {
        kept->asked = true;
        content = block_content_ref(kept->content);
        cache->hits++;
    } else {
        cache->misses++;
    }
    CHECK(pthread_mutex_unlock(&cache->lock) == 0);
    return content;
}

/* Whether it was missed before; it is from now on. */
static bool note_missed(struct block_cache *cache, struct block_key key)
{
    uint64_t hash = hash64(key_span(&key)) | 1;
    uint64_t *place = &cache->missed[(hash >> 1) & cache->missed_mask];
    bool before = *place == hash;
    *place = hash;
    return before;
}

static uint64_t random_below(struct block_cache *cache, uint64_t bound)
{
    cache->random ^= cache->random << 13;
    cache->random ^= cache->random >> 7;
    cache->random ^= cache->random << 17;
    return cache->random % bound;
}

/* Ends since each one that is spared is not spared twice. */
static void make_room(struct block_cache *cache, size_t bytes)
{
    while (cache->bytes + bytes > cache->bytes_max) {
        struct kept *kept = cache->items.items[random_below(cache, cache->items.count)];
        if (kept->asked) {
            kept->asked = false;
        } else {
            let_go(cache, kept);
        }
    }
}

static void keep(struct block_cache *cache, struct block_key key, struct block_content *content,
                 size_t bytes)
{
    make_room(cache, bytes);
    struct kept *kept = MEM_NEW(struct kept);
    *kept = (struct kept){
        .key = key,
        .content = block_content_ref(content),
        .bytes = bytes,
        .place = cache->items.count,
    };
    vec_push(&cache->items, kept);
    (void)map_put(&cache->by_key, key_span(&key), kept);
    cache->bytes += bytes;
}

void block_cache_offer(struct block_cache *cache, struct block_key key,
                       struct block_content *content)
{
    size_t bytes = block_content_bytes(content);
    CHECK(pthread_mutex_lock(&cache->lock) == 0);
    if (note_missed(cache, key) && bytes <= cache->bytes_max &&
        map_get(&cache->by_key, key_span(&key)) == NULL) {
        keep(cache, key, content, bytes);
    }
    CHECK(pthread_mutex_unlock(&cache->lock) == 0);
}

struct block_cache_stats block_cache_stats(struct block_cache *cache)
{
    CHECK(pthread_mutex_lock(&cache->lock) == 0);
    struct block_cache_stats stats = {
        .hits = cache->hits,
        .misses = cache->misses,
        .blocks = cache->items.count,
        .bytes = cache->bytes,
    };
    CHECK(pthread_mutex_unlock(&cache->lock) == 0);
    return stats;
}
