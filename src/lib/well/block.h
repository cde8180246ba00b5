/*
 * Blocks of a segment: entries of one tag, sorted by time, as bytes. docs/formats/segment.md.
 *
 * Data that is lines is cut into columns of fields if a trial says that this makes it smaller
 * (well/fields.h). Blocks for long keeping are larger and packed more densely. Pure. One thread per
 * coder.
 */
#ifndef WELL_BLOCK_H
#define WELL_BLOCK_H

#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"
#include "series/entry.h"

#define BLOCK_HEADER_BYTES 64
#define BLOCK_DATA_BYTES_TARGET ((size_t)1024 * 1024)
#define BLOCK_DENSE_BYTES_TARGET ((size_t)4 * 1024 * 1024)
#define BLOCK_DENSE_ZSTD_LEVEL 6 /* from this level on a writer makes the larger ones */
#define BLOCK_ENTRIES_MAX 16384

/* What a block's header says. */
struct block_header {
    uint32_t bytes; /* of the whole block */
    uint32_t entries;
    uint16_t tag;
    uint8_t version; /* 1: without stamps; only read */
    uint8_t packed;  /* which parts are zstd frames */
    int64_t first_ns;
    int64_t last_ns;
    struct {
        uint32_t stored;
        uint32_t raw;
    } parts[3];      /* columns, data, enumerated values */
    uint32_t filter; /* bytes behind the parts, in old files: not looked at */
};

/* Collects entries and writes them as one block. */
struct block_writer;

struct block_writer *block_writer_new(int zstd_level);
void block_writer_free(struct block_writer **writer);

/* Copies. Entries of one block have one tag and do not go back in time. */
void block_writer_add(struct block_writer *writer, const struct entry *entry);
size_t block_writer_count(const struct block_writer *writer);
bool block_writer_is_full(const struct block_writer *writer);

/* Appends the block, which will stand at `offset` of its file, to `buf`; empties the writer. */
void block_writer_finish(struct block_writer *writer, uint64_t offset, struct buf *buf,
                         struct block_header *ret_header);

/* Gives a block its checksum: it will stand at `offset`, maybe after it stood elsewhere. */
void block_seal(uint8_t *block, size_t bytes, uint64_t offset);

/* From the first BLOCK_HEADER_BYTES bytes; ERR_CORRUPT when they can be none. */
MUST_CHECK int block_header_read(struct span bytes, struct block_header *ret_header);

/* Header, checksum; `bytes` has the whole block, which stands at `offset`. */
MUST_CHECK int block_check(struct span bytes, uint64_t offset, struct block_header *ret_header);

/* What a block has when it is unpacked: its lines, and numbers from which entries are made. It is
 * not changed once it is read, so that blocks of any number of threads can share it. */
struct block_content;

struct block_content *block_content_ref(struct block_content *content);
void block_content_unref(struct block_content **content);
size_t block_content_bytes(const struct block_content *content); /* of memory */

/* Entries of one block, and what they borrow from. Zero-initialised is empty and valid; the
 * memory is used again by the next read. The entries are the caller's to change. */
struct block {
    struct entry *entries;
    size_t count;
    size_t capacity;
    struct block_content *content;
};

struct block_reader; /* the zstd context and scratch memory */

/* What readers and blocks leave behind is kept, up to some megabytes, for those made next. */
struct block_reader *block_reader_new(void);
void block_reader_free(struct block_reader **reader);

/* Scratch for the bytes that block_read() is given. */
struct buf *block_reader_raw(struct block_reader *reader);

MUST_CHECK int block_read(struct block_reader *reader, struct span bytes, uint64_t offset,
                          struct block *block);

/* The entries of what another block_read() unpacked; takes a reference of its own. */
MUST_CHECK int block_share(struct block_reader *reader, struct block_content *content,
                           struct block *block);
void block_deinit(struct block *block);

#endif
