#include "ingest/snappy.h"

#include <pthread.h>
#include <snappy-c.h>

#include "base/err.h"
#include "base/wire.h"

#define HEADER_BYTES 4 /* type, length */
#define CHECKSUM_BYTES 4
#define CHUNK_COMPRESSED 0x00
#define CHUNK_STORED 0x01
#define CHUNK_SKIPPABLE 0x80 /* and above, but for the identifier */
#define CHUNK_IDENTIFIER 0xFF
#define BODY_BYTES_MAX (CHECKSUM_BYTES + 76490) /* the longest snappy block of 64 KiB */
#define POLYNOMIAL 0x82F63B78u

static const uint8_t identifier[10] = {0xFF, 6, 0, 0, 's', 'N', 'a', 'P', 'p', 'Y'};

/* ---- CRC-32C ---- */

static uint32_t crc_table[8][256];

static void crc_table_init(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? POLYNOMIAL : 0);
        }
        crc_table[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++) {
        for (int row = 1; row < 8; row++) {
            uint32_t before = crc_table[row - 1][i];
            crc_table[row][i] = (before >> 8) ^ crc_table[0][before & 0xFF];
        }
    }
}

static uint32_t crc_by_table(uint32_t crc, const uint8_t *at, size_t bytes)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, crc_table_init);
    for (; bytes >= 8; bytes -= 8, at += 8) {
        uint32_t low = crc ^ wire_load_u32(at);
        uint32_t high = wire_load_u32(at + 4);
        crc = crc_table[7][low & 0xFF] ^ crc_table[6][(low >> 8) & 0xFF] ^
              crc_table[5][(low >> 16) & 0xFF] ^ crc_table[4][low >> 24] ^
              crc_table[3][high & 0xFF] ^ crc_table[2][(high >> 8) & 0xFF] ^
              crc_table[1][(high >> 16) & 0xFF] ^ crc_table[0][high >> 24];
    }
    for (; bytes > 0; bytes--, at++) {
        crc = (crc >> 8) ^ crc_table[0][(crc ^ *at) & 0xFF];
    }
    return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc_by_cpu(uint32_t crc, const uint8_t *at,
                                                             size_t bytes)
{
    uint64_t wide = crc;
    for (; bytes >= 8; bytes -= 8, at += 8) {
        wide = __builtin_ia32_crc32di(wide, wire_load_u64(at));
    }
    crc = (uint32_t)wide;
    for (; bytes > 0; bytes--, at++) {
        crc = __builtin_ia32_crc32qi(crc, *at);
    }
    return crc;
}
#endif

uint32_t ingest_crc32c(struct span bytes)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2")) {
        return ~crc_by_cpu(UINT32_MAX, bytes.data, bytes.bytes);
    }
#endif
    return ~crc_by_table(UINT32_MAX, bytes.data, bytes.bytes);
}

uint32_t ingest_crc32c_masked(struct span bytes)
{
    uint32_t crc = ingest_crc32c(bytes);
    return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

/* ---- reading ---- */

static int take_block(struct span block, struct buf *plain)
{
    size_t bytes;
    if (snappy_uncompressed_length((const char *)block.data, block.bytes, &bytes) != SNAPPY_OK ||
        bytes > INGEST_SNAPPY_CHUNK_BYTES) {
        return err_set(ERR_PROTOCOL, "snappy: a block without a sensible length");
    }
    uint8_t *at = buf_reserve(plain, bytes + 1);
    if (snappy_uncompress((const char *)block.data, block.bytes, (char *)at, &bytes) != SNAPPY_OK) {
        return err_set(ERR_PROTOCOL, "snappy: a block that cannot be decompressed");
    }
    plain->bytes += bytes;
    return 0;
}

/* A whole compressed or stored chunk, checksum first. */
static int take_data(uint8_t type, struct span body, struct buf *plain)
{
    uint32_t checksum = wire_load_u32(body.data);
    struct span payload = span_from(body, CHECKSUM_BYTES);
    size_t before = plain->bytes;
    if (type == CHUNK_COMPRESSED) {
        int rc = take_block(payload, plain);
        if (rc < 0) {
            return rc;
        }
    } else {
        buf_append(plain, payload);
    }
    if (ingest_crc32c_masked(span_from(buf_span(plain), before)) != checksum) {
        plain->bytes = before;
        return err_set(ERR_PROTOCOL, "snappy: a chunk fails its checksum");
    }
    return 0;
}

static int check_header(const struct ingest_snappy_reader *reader, uint8_t type, size_t length)
{
    if (!reader->identified && type != CHUNK_IDENTIFIER) {
        return err_set(ERR_PROTOCOL, "snappy: the stream does not begin with its identifier");
    }
    if (type == CHUNK_IDENTIFIER) {
        return length == 6 ? 0 : err_set(ERR_PROTOCOL, "snappy: a wrong stream identifier");
    }
    if (type >= CHUNK_SKIPPABLE) {
        return 0;
    }
    if (type > CHUNK_STORED) {
        return err_set(ERR_PROTOCOL, "snappy: unknown chunk type 0x%02x", type);
    }
    size_t length_max =
        type == CHUNK_STORED ? CHECKSUM_BYTES + INGEST_SNAPPY_CHUNK_BYTES : BODY_BYTES_MAX;
    if (length < CHECKSUM_BYTES || length > length_max) {
        return err_set(ERR_PROTOCOL, "snappy: a chunk of %zu bytes", length);
    }
    return 0;
}

/* Adds to the unfinished chunk until it has `bytes` bytes; false when there are too few. */
static bool gather(struct ingest_snappy_reader *reader, struct span *rest, size_t bytes)
{
    if (reader->chunk.bytes < bytes) {
        struct span piece = span_first(*rest, bytes - reader->chunk.bytes);
        buf_append(&reader->chunk, piece);
        *rest = span_from(*rest, piece.bytes);
    }
    return reader->chunk.bytes >= bytes;
}

/* One chunk, or as much of it as is there. */
static int step(struct ingest_snappy_reader *reader, struct span *rest, struct buf *plain)
{
    if (!gather(reader, rest, HEADER_BYTES)) {
        return 0;
    }
    uint32_t word = wire_load_u32(reader->chunk.data);
    uint8_t type = (uint8_t)word;
    size_t length = word >> 8;
    int rc = check_header(reader, type, length);
    if (rc < 0) {
        return rc;
    }
    if (type >= CHUNK_SKIPPABLE && type != CHUNK_IDENTIFIER) {
        reader->skip = length;
        buf_clear(&reader->chunk);
        return 0;
    }
    if (!gather(reader, rest, HEADER_BYTES + length)) {
        return 0;
    }
    if (type != CHUNK_IDENTIFIER) {
        rc = take_data(type, span_from(buf_span(&reader->chunk), HEADER_BYTES), plain);
    } else if (memcmp(reader->chunk.data, identifier, sizeof(identifier)) != 0) {
        rc = err_set(ERR_PROTOCOL, "snappy: a wrong stream identifier");
    }
    reader->identified = true;
    buf_clear(&reader->chunk);
    return rc;
}

int ingest_snappy_read(struct ingest_snappy_reader *reader, struct span bytes, struct buf *plain)
{
    while (bytes.bytes > 0) {
        if (reader->skip > 0) {
            size_t skipped = MIN(reader->skip, bytes.bytes);
            reader->skip -= skipped;
            bytes = span_from(bytes, skipped);
            continue;
        }
        int rc = step(reader, &bytes, plain);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

bool ingest_snappy_at_boundary(const struct ingest_snappy_reader *reader)
{
    return reader->chunk.bytes == 0 && reader->skip == 0;
}

void ingest_snappy_reader_deinit(struct ingest_snappy_reader *reader)
{
    buf_deinit(&reader->chunk);
}

/* ---- writing ---- */

static void write_chunk(struct span plain, struct buf *out)
{
    size_t bytes = snappy_max_compressed_length(plain.bytes);
    uint8_t *at = buf_reserve(out, HEADER_BYTES + CHECKSUM_BYTES + bytes);
    uint8_t *body = at + HEADER_BYTES + CHECKSUM_BYTES;
    uint8_t type = CHUNK_COMPRESSED;
    CHECK(snappy_compress((const char *)plain.data, plain.bytes, (char *)body, &bytes) ==
          SNAPPY_OK);
    if (bytes >= plain.bytes) {
        type = CHUNK_STORED;
        bytes = plain.bytes;
        memcpy(body, plain.data, bytes);
    }
    wire_store_u32(at, (uint32_t)(bytes + CHECKSUM_BYTES) << 8 | type);
    wire_store_u32(at + HEADER_BYTES, ingest_crc32c_masked(plain));
    out->bytes += HEADER_BYTES + CHECKSUM_BYTES + bytes;
}

void ingest_snappy_write(struct ingest_snappy_writer *writer, struct span plain, struct buf *out)
{
    if (!writer->identified && plain.bytes > 0) {
        buf_append(out, span_of(identifier, sizeof(identifier)));
        writer->identified = true;
    }
    while (plain.bytes > 0) {
        struct span piece = span_first(plain, INGEST_SNAPPY_CHUNK_BYTES);
        write_chunk(piece, out);
        plain = span_from(plain, piece.bytes);
    }
}
