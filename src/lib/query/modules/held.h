/*
 * Entries that a stage holds back, as bytes, and the blocks in which they go on.
 */
#ifndef QUERY_MODULES_HELD_H
#define QUERY_MODULES_HELD_H

#include "base/vec.h"
#include "query/module.h"

/* Appends the entry with all its values: i64 time, u16 tag, 16 bytes of source, u32 bytes of data,
 * data, enumerated values. */
void held_put(const struct query_block *block, size_t index, struct buf *buf);

/* Zero-initialised is empty and valid. */
struct held_block {
    VEC(struct entry) entries; /* data and values: offsets, until they are given */
    VEC(uint32_t) picks;
    struct buf bytes;
};

void held_block_deinit(struct held_block *held);
void held_block_clear(struct held_block *held);
void held_block_add(struct held_block *held, struct span entry); /* copies what held_put() put */
bool held_block_is_full(const struct held_block *held);

/* All that were added, valid until the next clear. False: there are none. */
bool held_block_give(struct held_block *held, struct query_block *block);

#endif
