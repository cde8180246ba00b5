/*
 * What an element is, as a number that is the same on every node: its tag or series, time, value
 * and stamp, whatever numbers a node has for them and wherever it lies.
 */
#ifndef INDEXER_ELEMENT_HASH_H
#define INDEXER_ELEMENT_HASH_H

#include "indexer/storage.h"

/* 64 bits under the seed. */
uint64_t entry_hash(struct storage *storage, const struct entry *entry, uint64_t seed);

/* `key` is that of its series. */
uint64_t point_hash(struct storage *storage, struct span key, const struct element *element,
                    uint64_t seed);

/* A change of attributes as a META payload, which names the series. */
uint64_t meta_hash(struct storage *storage, struct span metas, struct stamp stamp, uint64_t seed);

#endif
