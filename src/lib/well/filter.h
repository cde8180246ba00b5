/*
 * Token filters: which blocks of a segment may have a word, and which certainly have not. Pure.
 *
 * A token is a run of ASCII letters and digits, letters made small, of 3 to 64 bytes. Each block
 * has a Bloom filter of its tokens. Those of up to FILTER_BLOCKS_MAX neighbours, a group, are of
 * one size and stand turned: row i has bit i of each of them. So a search reads a few rows,
 * whatever the filters' size, to know it of all blocks of the group. docs/formats/segment.md.
 */
#ifndef WELL_FILTER_H
#define WELL_FILTER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"

#define FILTER_BLOCKS_MAX 512
#define FILTER_TOKENS_MAX 262144        /* a block with more may have any word */
#define FILTER_GROUP_TOKENS_MAX 1000000 /* a group with more ends with the block */
#define FILTER_PIECE_BYTES 256          /* is read as a whole, its checksum included */

/* Collects the tokens of blocks, one block after the other. Zero-initialised is empty. */
struct filter_writer {
    uint64_t *table; /* of the block that is being made: its tokens' hashes; 0: free */
    size_t places;
    size_t count;
    bool overflow;
    VEC(uint64_t) hashes; /* of the blocks before, block by block */
    VEC(uint32_t) ends;   /* of each of these blocks in `hashes` */
};

/* Where a group stands in its file. */
struct filter_group {
    uint64_t offset;
    uint32_t first; /* number of its first block in the segment */
    uint32_t blocks;
    uint32_t rows;
    uint8_t word_probes; /* of a token with a letter */
    uint8_t number_probes;
    bool damaged; /* found so by some reader; atomic */
};

/* Reads `count` bytes of the file at `offset`. */
typedef int (*filter_read)(void *context, uint64_t offset, uint8_t *bytes, size_t count);

void filter_add(struct filter_writer *writer, struct span text);
void filter_end_block(struct filter_writer *writer);
bool filter_is_full(const struct filter_writer *writer);

/* Appends the group, which will stand at `offset` of its file, to `buf`; empties the writer.
 * There must be a block. It has about `bytes_max` bytes at most, but never less than 2 bits per
 * token. Sets all of *ret_group but `first`. */
void filter_end_group(struct filter_writer *writer, uint64_t bytes_max, uint64_t offset,
                      struct buf *buf, struct filter_group *ret_group);
/* Empties the writer: the group has no filter, that is no rows and no bytes. Else as above. */
void filter_skip_group(struct filter_writer *writer, uint64_t offset,
                       struct filter_group *ret_group);
void filter_deinit(struct filter_writer *writer);

/* The filters of some blocks of a group, [from, to) counted in it, to stand in another file: the
 * group's rows with these blocks alone. The caller frees *ret_bits. A fault: ERR_CORRUPT, or that
 * of `read`. */
MUST_CHECK int filter_cut(const struct filter_group *group, uint32_t from, uint32_t to,
                          filter_read read, void *context, uint8_t **ret_bits);

/* Appends what was cut of `group`, which will stand at `offset`. Sets all of *ret_group but
 * `first`. */
void filter_put(const struct filter_group *group, uint32_t blocks, const uint8_t *bits,
                uint64_t offset, struct buf *buf, struct filter_group *ret_group);

/* Hashes of the tokens that stand whole in every text in which `word` stands with no letter or
 * digit beside it. Appends them, 8 bytes each. */
void filter_hashes(struct buf *buf, struct span word);

/* Bytes the group takes in its file; 0: it has no valid form. */
uint64_t filter_group_bytes(const struct filter_group *group);

/* Which blocks of a group may have what is looked for. */
struct filter_blocks {
    uint64_t bits[FILTER_BLOCKS_MAX / 64];
};

/* Keeps in *blocks those that may have all of the hashes. A fault, of which nothing is to be
 * concluded: ERR_CORRUPT, or that of `read`. */
MUST_CHECK int filter_find(const struct filter_group *group, struct span hashes, filter_read read,
                           void *context, struct filter_blocks *blocks);

static inline bool filter_blocks_has(const struct filter_blocks *blocks, size_t block)
{
    return (blocks->bits[block / 64] >> block % 64 & 1) != 0;
}

#endif
