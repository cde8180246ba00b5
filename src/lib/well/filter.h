/*
 * Token filters: which words may stand in a block's data, and which certainly do not. Pure.
 *
 * A token is a run of ASCII letters and digits, letters made small, of 3 to 64 bytes. The filter
 * is a Bloom filter of the block's tokens: docs/formats/segment.md.
 */
#ifndef WELL_FILTER_H
#define WELL_FILTER_H

#include "base/buf.h"

#define FILTER_TOKENS_MAX 32768 /* a block with more has no filter */

/* Collects the tokens of one block. Zero-initialised is empty. */
struct filter_writer {
    uint64_t *table; /* hashes; 0: free */
    size_t count;
    bool overflow;
};

void filter_add(struct filter_writer *writer, struct span text);

/* Appends the filter, maybe none, to `buf`; empties the writer. Returns its bytes. */
uint32_t filter_finish(struct filter_writer *writer, struct buf *buf);
void filter_deinit(struct filter_writer *writer);

/* Hashes of the tokens that stand whole in every text in which `word` stands with no letter or
 * digit beside it. Appends them, 8 bytes each. */
void filter_hashes(struct buf *buf, struct span word);

/* False: at least one of the hashes is of no token of the block. An empty filter knows nothing. */
bool filter_may_have(struct span filter, struct span hashes);

#endif
