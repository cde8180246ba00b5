/*
 * Blocks of points: elements of some series, sorted by series, then time, as bytes and as
 * columns. docs/formats/segment.md.
 *
 * Within a block the elements of one series and type stand together, a run; runs are coded each
 * by itself, so that one series is read without unpacking the others. Sequences that are the
 * same in several runs (the times of one scrape) are stored once. Every bit of a double comes
 * back. Pure. One thread per coder.
 */
#ifndef WELL_POINTS_BLOCK_H
#define WELL_POINTS_BLOCK_H

#include "base/buf.h"
#include "base/err.h"
#include "series/element.h"

#define POINTS_BLOCK_HEADER_BYTES 96
#define POINTS_BLOCK_ELEMENTS_MAX 65536
#define POINTS_BLOCK_TEXT_BYTES_TARGET ((size_t)1024 * 1024) /* of text and bytes values */

/* What a block's header says. */
struct points_block_header {
    uint32_t bytes; /* of the whole block */
    uint32_t elements;
    uint32_t runs;
    uint32_t first_series;
    uint32_t last_series;
    int64_t first_ns;     /* of the oldest element */
    int64_t last_ns;      /* of the newest one */
    uint64_t first_stamp; /* times of the oldest and newest write: a delete whose stamp is older */
    uint64_t last_stamp;  /* than the first covers nothing here */
    uint32_t index_bytes; /* stored: which runs there are, stamps, shared sequences */
    uint32_t numbers_bytes; /* stored: values */
    uint32_t text_bytes;    /* stored */
    uint32_t text_raw_bytes;
    uint32_t shared; /* sequences that runs share */
    uint32_t stamps; /* different ones */
};

/* Collects elements and writes them as one block. */
struct points_block_writer;

struct points_block_writer *points_block_writer_new(int zstd_level);
void points_block_writer_free(struct points_block_writer **writer);

/* Copies. Neither the series nor, within one, the time goes back. Several elements of one series
 * and time are kept in the order in which they come. */
void points_block_writer_add(struct points_block_writer *writer, uint32_t series,
                             const struct element *element);
size_t points_block_writer_count(const struct points_block_writer *writer);
bool points_block_writer_is_full(const struct points_block_writer *writer);

/* Appends the block, which will stand at `offset` of its file, to `buf`; empties the writer. */
void points_block_writer_finish(struct points_block_writer *writer, uint64_t offset,
                                struct buf *buf, struct points_block_header *ret_header);

/* Whether these bytes, the first of a block of either kind, begin a block of points. */
bool points_block_is(struct span bytes);

/* From the first POINTS_BLOCK_HEADER_BYTES bytes; ERR_CORRUPT when they can be none. */
MUST_CHECK int points_block_header_read(struct span bytes, struct points_block_header *ret_header);

/* Header, checksum; `bytes` has the whole block, which stands at `offset`. */
MUST_CHECK int points_block_check(struct span bytes, uint64_t offset,
                                  struct points_block_header *ret_header);

/* A value by the type of its run: f64 of ELEMENT_F64, `text` of ELEMENT_TEXT and ELEMENT_BYTES
 * (a piece of points_block.text), else i64 (ELEMENT_BOOL: 0 or 1). */
union points_value {
    int64_t i64;
    double f64;
    struct {
        uint32_t offset;
        uint32_t bytes;
    } text;
};

/* Elements [first, first + count) of the columns. A series whose values are of several types, or
 * of which some have a place, has several runs, one behind the other. */
struct points_run {
    uint32_t series;
    uint32_t first;
    uint32_t count;
    uint8_t type; /* enum element_type */
    uint8_t has;  /* enum element_has: of every element of the run */
};

/* What was read, as columns of `count` elements. Zero-initialised is empty and valid; the memory
 * is used again by the next read. */
struct points_block {
    size_t count;
    size_t runs_count;
    struct points_run *runs; /* by series */
    int64_t *times;
    union points_value *values;
    uint16_t *stamp_of;         /* index into stamps */
    struct location *locations; /* only where a run has them; NULL when none has */
    int64_t *elevations;        /* the same */
    struct stamp *stamps;       /* by time; all of the block's, whether read or not */
    size_t stamps_count;
    struct span text;

    struct points_block_memory *memory; /* behind all of the above */
};

struct points_block_reader; /* the zstd context */

struct points_block_reader *points_block_reader_new(void);
void points_block_reader_free(struct points_block_reader **reader);

#define POINTS_BLOCK_SKIPPED 1

/* The whole block, or only the runs of `series` (sorted, count > 0): POINTS_BLOCK_SKIPPED when it
 * has none of them. ERR_CORRUPT says what is damaged; the checksum is always verified. */
MUST_CHECK int points_block_read(struct points_block_reader *reader, struct span bytes,
                                 uint64_t offset, const uint32_t *series, size_t series_count,
                                 struct points_block *block);
void points_block_deinit(struct points_block *block);

/* One element, for who does not work on columns: `index` is one of run->first + [0, count). */
struct element points_block_element(const struct points_block *block, const struct points_run *run,
                                    size_t index);

#endif
