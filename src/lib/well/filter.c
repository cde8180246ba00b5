#include "well/filter.h"

#include <endian.h>
#include <inttypes.h>
#include <math.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/wire.h"

#define TOKEN_BYTES_MIN 3
#define TOKEN_BYTES_MAX 64
#define TABLE_PLACES_MIN ((size_t)4096)
#define BITS_PER_TOKEN 12
#define BITS_PER_TOKEN_MIN 2
#define WORD_WEIGHT 3 /* words are looked for more often than numbers */
#define PROBES_MAX 8  /* 0.3 % of the blocks that do not have a word seem to */
#define ROWS_MIN 64
#define ROWS_MAX (FILTER_TOKENS_MAX * BITS_PER_TOKEN)
#define PIECE_DATA (FILTER_PIECE_BYTES - 4)

/* ---- tokens ---- */

/* 1 for letters and digits. */
static const uint8_t in_token[256] = {
    ['0'] = 1, ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1, ['5'] = 1, ['6'] = 1, ['7'] = 1,
    ['8'] = 1, ['9'] = 1, ['A'] = 1, ['B'] = 1, ['C'] = 1, ['D'] = 1, ['E'] = 1, ['F'] = 1,
    ['G'] = 1, ['H'] = 1, ['I'] = 1, ['J'] = 1, ['K'] = 1, ['L'] = 1, ['M'] = 1, ['N'] = 1,
    ['O'] = 1, ['P'] = 1, ['Q'] = 1, ['R'] = 1, ['S'] = 1, ['T'] = 1, ['U'] = 1, ['V'] = 1,
    ['W'] = 1, ['X'] = 1, ['Y'] = 1, ['Z'] = 1, ['a'] = 1, ['b'] = 1, ['c'] = 1, ['d'] = 1,
    ['e'] = 1, ['f'] = 1, ['g'] = 1, ['h'] = 1, ['i'] = 1, ['j'] = 1, ['k'] = 1, ['l'] = 1,
    ['m'] = 1, ['n'] = 1, ['o'] = 1, ['p'] = 1, ['q'] = 1, ['r'] = 1, ['s'] = 1, ['t'] = 1,
    ['u'] = 1, ['v'] = 1, ['w'] = 1, ['x'] = 1, ['y'] = 1, ['z'] = 1,
};

#define SMALL UINT64_C(0x2020202020202020)
#define LETTER UINT64_C(0x4040404040404040) /* digits have none of these bits */
#define HASH_OF_NUMBER 2u                   /* of digits only */
#define HASH_FLAGS 3u

static uint64_t mix(uint64_t value)
{
    value *= UINT64_C(0x9E3779B97F4A7C15);
    return value ^ value >> 32;
}

/* The 1 to 8 bytes from `at` on, of which `readable` may be touched. */
static inline uint64_t load(const uint8_t *at, size_t bytes, size_t readable)
{
    uint64_t word = 0;
    if (readable >= 8) {
        memcpy(&word, at, 8);
    } else {
        memcpy(&word, at, bytes);
    }
    return le64toh(word) & UINT64_MAX >> (64 - 8 * bytes);
}

/* Letters are made small by a bit that digits have anyhow. Never 0; says what it is of. */
static inline uint64_t hash_of(const uint8_t *token, size_t bytes, const uint8_t *end)
{
    uint64_t hash = bytes;
    uint64_t all = 0;
    for (; bytes > 8; token += 8, bytes -= 8) {
        uint64_t some = load(token, 8, 8);
        all |= some;
        hash = mix(hash ^ (some | SMALL));
    }
    uint64_t last = load(token, bytes, (size_t)(end - token));
    all |= last;
    hash = mix(mix(hash ^ (last | SMALL >> (64 - 8 * bytes))));
    return (hash & ~(uint64_t)HASH_FLAGS) | 1 | ((all & LETTER) == 0 ? HASH_OF_NUMBER : 0);
}

static bool is_of_number(uint64_t hash)
{
    return (hash & HASH_OF_NUMBER) != 0;
}

/* The hash of the next token of `*rest`; false at the end. */
static inline bool next_token(struct span *rest, uint64_t *ret_hash)
{
    const uint8_t *at = rest->data;
    const uint8_t *end = at + rest->bytes;
    while (at < end) {
        while (at < end && in_token[*at] == 0) {
            at++;
        }
        const uint8_t *token = at;
        while (at < end && in_token[*at] != 0) {
            at++;
        }
        size_t bytes = (size_t)(at - token);
        if (bytes >= TOKEN_BYTES_MIN && bytes <= TOKEN_BYTES_MAX) {
            *ret_hash = hash_of(token, bytes, end);
            *rest = span_of(at, (size_t)(end - at));
            return true;
        }
    }
    return false;
}

void filter_hashes(struct buf *buf, struct span word)
{
    uint64_t hash;
    while (next_token(&word, &hash)) {
        wire_put_u64(buf, hash);
    }
}

/* ---- collecting ---- */

static inline void put(uint64_t *table, size_t places, uint64_t hash, size_t *count)
{
    size_t place = (size_t)(hash >> 32) & (places - 1);
    while (table[place] != 0 && table[place] != hash) {
        place = (place + 1) & (places - 1);
    }
    if (table[place] == 0) {
        table[place] = hash;
        ++*count;
    }
}

static void grow(struct filter_writer *writer)
{
    size_t places = MAX(writer->places * 2, TABLE_PLACES_MIN);
    uint64_t *table = mem_alloc_array(places, sizeof(*table));
    size_t count = 0;
    for (size_t i = 0; i < writer->places; i++) {
        if (writer->table[i] != 0) {
            put(table, places, writer->table[i], &count);
        }
    }
    mem_free(writer->table);
    writer->table = table;
    writer->places = places;
}

void filter_add(struct filter_writer *writer, struct span text)
{
    uint64_t hash;
    while (!writer->overflow && next_token(&text, &hash)) {
        if (writer->count * 2 >= writer->places) {
            grow(writer);
        }
        put(writer->table, writer->places, hash, &writer->count);
        writer->overflow = writer->count > FILTER_TOKENS_MAX;
    }
}

/* A block with too many tokens leaves the one hash 0 instead. */
void filter_end_block(struct filter_writer *writer)
{
    if (writer->overflow) {
        vec_push(&writer->hashes, 0);
    }
    for (size_t i = 0; i < writer->places && writer->count > 0; i++) {
        if (writer->table[i] != 0 && !writer->overflow) {
            vec_push(&writer->hashes, writer->table[i]);
        }
        writer->table[i] = 0;
    }
    vec_push(&writer->ends, (uint32_t)writer->hashes.count);
    writer->count = 0;
    writer->overflow = false;
}

bool filter_is_full(const struct filter_writer *writer)
{
    return writer->ends.count >= FILTER_BLOCKS_MAX ||
           writer->hashes.count > FILTER_GROUP_TOKENS_MAX;
}

void filter_deinit(struct filter_writer *writer)
{
    mem_free(writer->table);
    vec_deinit(&writer->hashes);
    vec_deinit(&writer->ends);
    *writer = (struct filter_writer){0};
}

/* ---- rows ---- */

static uint32_t row_of(uint64_t hash, unsigned probe, uint32_t rows)
{
    uint64_t step = (hash >> 33) | 1;
    return (uint32_t)((uint64_t)(uint32_t)((hash >> 2) + probe * step) * rows >> 32);
}

static unsigned probes_of(const struct filter_group *group, uint64_t hash)
{
    return is_of_number(hash) ? group->number_probes : group->word_probes;
}

/* The probes of which fewest blocks pass. Where there is little room it is mostly numbers that
 * want it, and words can have many probes all the same. */
static void choose_probes(const struct filter_writer *writer, struct filter_group *group)
{
    double numbers = 0;
    for (size_t i = 0; i < writer->hashes.count; i++) {
        numbers += is_of_number(writer->hashes.items[i]) ? 1 : 0;
    }
    double bits = (double)group->rows * group->blocks;
    double words = (double)writer->hashes.count - numbers;
    double least = INFINITY;
    for (unsigned word = 1; word <= PROBES_MAX; word++) {
        for (unsigned number = 1; number <= word; number++) {
            double filled = 1 - exp(-(word * words + number * numbers) / bits);
            double wrong = WORD_WEIGHT * pow(filled, word) + pow(filled, number);
            if (wrong < least) {
                least = wrong;
                group->word_probes = (uint8_t)word;
                group->number_probes = (uint8_t)number;
            }
        }
    }
}

/* Enough for the block with the most tokens, unless that is an exception among the others, or as
 * many as `bytes_max` has room for. */
static void choose_rows(const struct filter_writer *writer, uint64_t bytes_max,
                        struct filter_group *group)
{
    uint32_t most = 0;
    uint32_t begin = 0;
    for (size_t i = 0; i < writer->ends.count; i++) {
        most = MAX(most, writer->ends.items[i] - begin);
        begin = writer->ends.items[i];
    }
    uint32_t mean = begin / group->blocks;
    uint32_t tokens = MAX(MIN(most, 2 * mean + 1), 1u);
    uint64_t room = bytes_max * 8 / group->blocks;
    uint64_t rows = MIN((uint64_t)tokens * BITS_PER_TOKEN, room);
    rows = MAX(rows, (uint64_t)tokens * BITS_PER_TOKEN_MIN);
    group->rows = (uint32_t)MAX(rows, (uint64_t)ROWS_MIN);
}

static void set_bit(uint8_t *rows, uint64_t bit)
{
    rows[bit / 8] = (uint8_t)(rows[bit / 8] | 1u << bit % 8);
}

static void fill_rows(const struct filter_writer *writer, const struct filter_group *group,
                      uint8_t *bits)
{
    uint32_t rows = group->rows;
    uint64_t blocks = writer->ends.count;
    uint32_t at = 0;
    for (uint64_t block = 0; block < blocks; block++) {
        for (; at < writer->ends.items[block]; at++) {
            uint64_t hash = writer->hashes.items[at];
            for (uint32_t row = 0; hash == 0 && row < rows; row++) {
                set_bit(bits, row * blocks + block);
            }
            for (unsigned probe = 0; hash != 0 && probe < probes_of(group, hash); probe++) {
                set_bit(bits, row_of(hash, probe, rows) * blocks + block);
            }
        }
    }
}

static uint64_t raw_bytes(const struct filter_group *group)
{
    return ((uint64_t)group->blocks * group->rows + 7) / 8;
}

uint64_t filter_group_bytes(const struct filter_group *group)
{
    if (group->blocks == 0 || group->blocks > FILTER_BLOCKS_MAX || group->rows == 0 ||
        group->rows > ROWS_MAX || group->word_probes == 0 || group->word_probes > PROBES_MAX ||
        group->number_probes == 0 || group->number_probes > PROBES_MAX) {
        return 0;
    }
    return (raw_bytes(group) + PIECE_DATA - 1) / PIECE_DATA * FILTER_PIECE_BYTES;
}

/* `bits` has as many bytes as the group, of which the last ones are not looked at. */
static void put_pieces(const uint8_t *bits, uint64_t bytes, uint64_t offset, struct buf *buf)
{
    for (uint64_t at = 0; at < bytes; at += FILTER_PIECE_BYTES) {
        struct span piece = span_of(bits + at / FILTER_PIECE_BYTES * PIECE_DATA, PIECE_DATA);
        buf_append(buf, piece);
        wire_put_u32(buf, (uint32_t)hash64_seeded(piece, offset + at));
    }
}

void filter_end_group(struct filter_writer *writer, uint64_t bytes_max, uint64_t offset,
                      struct buf *buf, struct filter_group *ret_group)
{
    CHECK(writer->ends.count > 0);
    struct filter_group group = {
        .offset = offset,
        .blocks = (uint32_t)writer->ends.count,
    };
    choose_rows(writer, bytes_max, &group);
    choose_probes(writer, &group);
    uint64_t bytes = filter_group_bytes(&group);
    uint8_t *bits = mem_alloc(bytes);
    fill_rows(writer, &group, bits);
    put_pieces(bits, bytes, offset, buf);
    mem_free(bits);
    vec_clear(&writer->hashes);
    vec_clear(&writer->ends);
    *ret_group = group;
}

void filter_skip_group(struct filter_writer *writer, uint64_t offset,
                       struct filter_group *ret_group)
{
    *ret_group = (struct filter_group){.offset = offset, .blocks = (uint32_t)writer->ends.count};
    vec_clear(&writer->hashes);
    vec_clear(&writer->ends);
}

static int check_piece(const uint8_t *piece, uint64_t offset)
{
    struct span data = span_of(piece, PIECE_DATA);
    return wire_load_u32(piece + PIECE_DATA) == (uint32_t)hash64_seeded(data, offset)
               ? 0
               : err_set(ERR_CORRUPT, "a filter at %" PRIu64 " fails its checksum", offset);
}

/* ---- taking over ---- */

/* Reads all pieces of a group and puts what they hold one after another; 8 bytes may be touched
 * behind it. */
static int read_pieces(const struct filter_group *group, filter_read read, void *context,
                       uint8_t *bits)
{
    uint64_t bytes = filter_group_bytes(group);
    int rc = read(context, group->offset, bits, bytes);
    uint8_t *end = bits;
    for (uint64_t at = 0; rc == 0 && at < bytes; at += FILTER_PIECE_BYTES) {
        rc = check_piece(bits + at, group->offset + at);
        memmove(end, bits + at, PIECE_DATA);
        end += PIECE_DATA;
    }
    return rc;
}

/* 1 to 64 bits from bit `from` on; up to 8 bytes behind them are touched. */
static uint64_t bits_at(const uint8_t *bits, uint64_t from, unsigned count)
{
    const uint8_t *at = bits + from / 8;
    unsigned shift = from % 8;
    uint64_t value = wire_load_u64(at) >> shift;
    value |= shift == 0 ? 0 : (uint64_t)at[8] << (64 - shift);
    return value & UINT64_MAX >> (64 - count);
}

/* The lowest `count` bits of `value`, at bit `to`, where nothing but zeros is. */
static void put_bits(uint8_t *bits, uint64_t to, uint64_t value)
{
    uint8_t *at = bits + to / 8;
    unsigned shift = to % 8;
    wire_store_u64(at, wire_load_u64(at) | value << shift);
    if (shift > 0) {
        at[8] = (uint8_t)(at[8] | value >> (64 - shift));
    }
}

int filter_cut(const struct filter_group *group, uint32_t from, uint32_t to, filter_read read,
               void *context, uint8_t **ret_bits)
{
    uint64_t kept = to - from;
    uint8_t *whole = mem_alloc(filter_group_bytes(group) + 8);
    uint8_t *bits = mem_alloc(kept * group->rows / 8 + FILTER_PIECE_BYTES);
    int rc = read_pieces(group, read, context, whole);
    for (uint64_t row = 0; rc == 0 && row < group->rows; row++) {
        for (uint64_t i = 0; i < kept; i += 64) {
            unsigned count = (unsigned)MIN(kept - i, (uint64_t)64);
            put_bits(bits, row * kept + i, bits_at(whole, row * group->blocks + from + i, count));
        }
    }
    mem_free(whole);
    if (rc < 0) {
        mem_free(bits);
        return rc;
    }
    *ret_bits = bits;
    return 0;
}

void filter_put(const struct filter_group *group, uint32_t blocks, const uint8_t *bits,
                uint64_t offset, struct buf *buf, struct filter_group *ret_group)
{
    *ret_group = (struct filter_group){
        .offset = offset,
        .blocks = blocks,
        .rows = group->rows,
        .word_probes = group->word_probes,
        .number_probes = group->number_probes,
    };
    put_pieces(bits, filter_group_bytes(ret_group), offset, buf);
}

/* ---- reading ---- */

/* The pieces, one or two, in which a row stands. */
static int read_row(const struct filter_group *group, uint64_t bit, filter_read read, void *context,
                    uint8_t row[FILTER_BLOCKS_MAX / 8 + 8])
{
    uint64_t from = bit / 8;
    uint64_t to = (bit + group->blocks + 7) / 8;
    while (from < to) {
        uint8_t piece[FILTER_PIECE_BYTES];
        uint64_t offset = group->offset + from / PIECE_DATA * FILTER_PIECE_BYTES;
        int rc = read(context, offset, piece, sizeof(piece));
        if (rc < 0) {
            return rc;
        }
        rc = check_piece(piece, offset);
        if (rc < 0) {
            return rc;
        }
        size_t at = (size_t)(from % PIECE_DATA);
        size_t bytes = (size_t)MIN(to - from, (uint64_t)(PIECE_DATA - at));
        memcpy(row, piece + at, bytes);
        row += bytes;
        from += bytes;
    }
    return 0;
}

/* Keeps the blocks that have a bit in the row, which begins at `shift` bits. */
static bool keep(const struct filter_group *group, const uint8_t *row, unsigned shift,
                 struct filter_blocks *blocks)
{
    uint64_t any = 0;
    for (size_t i = 0; i * 64 < group->blocks; i++) {
        uint64_t low = wire_load_u64(row + 8 * i) >> shift;
        uint64_t high = shift == 0 ? 0 : (uint64_t)row[8 * i + 8] << (64 - shift);
        blocks->bits[i] &= low | high;
        any |= blocks->bits[i];
    }
    return any != 0;
}

int filter_find(const struct filter_group *group, struct span hashes, filter_read read,
                void *context, struct filter_blocks *blocks)
{
    bool any = true;
    for (; any && hashes.bytes >= 8; hashes = span_from(hashes, 8)) {
        uint64_t hash = wire_load_u64(hashes.data);
        for (unsigned probe = 0; any && probe < probes_of(group, hash); probe++) {
            uint8_t row[FILTER_BLOCKS_MAX / 8 + 16] = {0};
            uint64_t bit = (uint64_t)row_of(hash, probe, group->rows) * group->blocks;
            int rc = read_row(group, bit, read, context, row);
            if (rc < 0) {
                return rc;
            }
            any = keep(group, row, (unsigned)(bit % 8), blocks);
        }
    }
    return 0;
}
