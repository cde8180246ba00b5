/*
 * Unpacked blocks that searches left for the next ones: dashboards and people ask about the same
 * hours again and again, and unpacking is most of what an answer costs.
 *
 * A block is kept when it is missed for the second time within a while, so that one long scan
 * neither pushes out what is asked for often nor costs memory. When it is full, one that has not
 * been asked for lately makes room, chosen by chance: of a set that is a little larger than the
 * cache a part stays, where always taking the oldest would keep nothing.
 *
 * Any number of threads. What was given stays good when the cache lets go of it.
 */
#ifndef WELL_CACHE_H
#define WELL_CACHE_H

#include "well/block.h"

struct block_cache;

/* A block: of one opening of a segment's file, since a file may be replaced under its name. */
struct block_key {
    uint64_t segment;
    uint64_t block;
};

struct block_cache_stats {
    uint64_t hits;
    uint64_t misses;
    size_t blocks;
    size_t bytes;
};

/* Keeps at most so many bytes; what readers still hold of others comes on top. 0: none. */
struct block_cache *block_cache_new(size_t bytes_max);
void block_cache_free(struct block_cache **cache);

/* A reference of the caller's; NULL: it is not there. */
struct block_content *block_cache_get(struct block_cache *cache, struct block_key key);

/* After a miss: keeps the content, with a reference of its own, or does not. */
void block_cache_offer(struct block_cache *cache, struct block_key key,
                       struct block_content *content);

struct block_cache_stats block_cache_stats(struct block_cache *cache);

#endif
