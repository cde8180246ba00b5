/* The catalogue's file as bytes: docs/formats/catalogue.md. Pure. Internal to the library. */
#ifndef SERIES_CATALOGUE_FILE_H
#define SERIES_CATALOGUE_FILE_H

#include "base/buf.h"
#include "base/err.h"

#define CATALOGUE_HEADER_BYTES 64
#define CATALOGUE_BLOCK_HEADER_BYTES 16
#define CATALOGUE_BLOCK_BYTES 65536                     /* a block is closed when it has these */
#define CATALOGUE_BLOCK_BYTES_MAX (UINT32_C(256) << 20) /* attributes of one series can be many */

enum catalogue_block_kind {
    BLOCK_SERIES = 1,     /* per series: u32 number, key with its length */
    BLOCK_ATTRIBUTES = 2, /* per series: u32 number, attributes */
    BLOCK_LIFE = 3,       /* per series: u32 number, u64 touched, u64 died */
    BLOCK_DELETES = 4,    /* per delete: stamp, u8 flags, selector with its length */
    BLOCK_FORGOTTEN = 5,  /* per series: u32 number */
    BLOCK_ORPHANS = 6,    /* per series: key with its length, attributes */
    BLOCK_COMMIT = 7,     /* u64 position, u64 next number, u64 offset of its first block */
};

void catalogue_header_write(struct buf *buf, uint64_t generation);
MUST_CHECK int catalogue_header_read(struct span bytes, uint64_t generation);

/* Begin at the end of `buf`, put the contents, end: `offset` is where the block will be. */
size_t catalogue_block_begin(struct buf *buf, enum catalogue_block_kind kind);
void catalogue_block_end(struct buf *buf, size_t begin, uint64_t generation, uint64_t offset);

/* The block at `offset` of the file's content; false: none that is whole and sound. */
bool catalogue_block_read(struct span content, uint64_t generation, size_t offset,
                          uint32_t *ret_kind, struct span *ret_payload);

/* The next sound block from `offset` on; false: none. */
bool catalogue_block_find(struct span content, uint64_t generation, size_t offset,
                          size_t *ret_offset);

#endif
