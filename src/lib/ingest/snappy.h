/*
 * The Snappy framing format: a stream identifier, then chunks of at most 64 KiB with a masked
 * CRC-32C. Reader and writer are two halves that know nothing of each other; zero-initialised is
 * a fresh stream. One thread each.
 */
#ifndef INGEST_SNAPPY_H
#define INGEST_SNAPPY_H

#include "base/buf.h"
#include "base/check.h"
#include "base/span.h"

#define INGEST_SNAPPY_CHUNK_BYTES 65536

struct ingest_snappy_reader {
    struct buf chunk; /* the beginning of a chunk that is not whole yet */
    size_t skip;      /* bytes of a skippable chunk still to come */
    bool identified;
};

struct ingest_snappy_writer {
    bool identified;
};

/* Appends to `plain` what the bytes say. ERR_PROTOCOL: bad type, length, checksum or block; what
 * came before it has been appended. */
MUST_CHECK int ingest_snappy_read(struct ingest_snappy_reader *reader, struct span bytes,
                                  struct buf *plain);
/* Whether the bytes so far end with a whole chunk. */
bool ingest_snappy_at_boundary(const struct ingest_snappy_reader *reader);
void ingest_snappy_reader_deinit(struct ingest_snappy_reader *reader);

/* Appends the chunks of `plain`, each compressed where that makes it smaller. */
void ingest_snappy_write(struct ingest_snappy_writer *writer, struct span plain, struct buf *out);

/* CRC-32C (Castagnoli) of the bytes, and its masked form. */
uint32_t ingest_crc32c(struct span bytes);
uint32_t ingest_crc32c_masked(struct span bytes);

#endif
