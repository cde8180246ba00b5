#include "well/filter.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/wire.h"

#define TOKEN_BYTES_MIN 3
#define TOKEN_BYTES_MAX 64
#define TABLE_PLACES ((size_t)2 * FILTER_TOKENS_MAX)
#define PROBES 4

static const uint8_t folded[256] = {
    ['0'] = '0', ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4', ['5'] = '5', ['6'] = '6',
    ['7'] = '7', ['8'] = '8', ['9'] = '9', ['A'] = 'a', ['B'] = 'b', ['C'] = 'c', ['D'] = 'd',
    ['E'] = 'e', ['F'] = 'f', ['G'] = 'g', ['H'] = 'h', ['I'] = 'i', ['J'] = 'j', ['K'] = 'k',
    ['L'] = 'l', ['M'] = 'm', ['N'] = 'n', ['O'] = 'o', ['P'] = 'p', ['Q'] = 'q', ['R'] = 'r',
    ['S'] = 's', ['T'] = 't', ['U'] = 'u', ['V'] = 'v', ['W'] = 'w', ['X'] = 'x', ['Y'] = 'y',
    ['Z'] = 'z', ['a'] = 'a', ['b'] = 'b', ['c'] = 'c', ['d'] = 'd', ['e'] = 'e', ['f'] = 'f',
    ['g'] = 'g', ['h'] = 'h', ['i'] = 'i', ['j'] = 'j', ['k'] = 'k', ['l'] = 'l', ['m'] = 'm',
    ['n'] = 'n', ['o'] = 'o', ['p'] = 'p', ['q'] = 'q', ['r'] = 'r', ['s'] = 's', ['t'] = 't',
    ['u'] = 'u', ['v'] = 'v', ['w'] = 'w', ['x'] = 'x', ['y'] = 'y', ['z'] = 'z',
};

/* The hash of the next token of `*rest`, never 0; false at the end. */
static bool next_token(struct span *rest, uint64_t *ret_hash)
{
    size_t at = 0;
    while (at < rest->bytes) {
        uint8_t token[TOKEN_BYTES_MAX];
        size_t bytes = 0;
        while (at < rest->bytes && folded[rest->data[at]] == 0) {
            at++;
        }
        for (; at < rest->bytes && folded[rest->data[at]] != 0; at++, bytes++) {
            if (bytes < TOKEN_BYTES_MAX) {
                token[bytes] = folded[rest->data[at]];
            }
        }
        if (bytes >= TOKEN_BYTES_MIN && bytes <= TOKEN_BYTES_MAX) {
            *ret_hash = hash64_seeded(span_of(token, bytes), 0) | 1;
            *rest = span_from(*rest, at);
            return true;
        }
    }
    return false;
}

static void add_hash(struct filter_writer *writer, uint64_t hash)
{
    size_t place = (size_t)(hash >> 20) % TABLE_PLACES;
    while (writer->table[place] != 0 && writer->table[place] != hash) {
        place = (place + 1) % TABLE_PLACES;
    }
    if (writer->table[place] == 0) {
        writer->table[place] = hash;
        writer->count++;
    }
}

void filter_add(struct filter_writer *writer, struct span text)
{
    uint64_t hash;
    if (writer->table == NULL) {
        writer->table = mem_alloc_array(TABLE_PLACES, sizeof(*writer->table));
    }
    while (!writer->overflow && next_token(&text, &hash)) {
        add_hash(writer, hash);
        writer->overflow = writer->count >= FILTER_TOKENS_MAX;
    }
}

/* The bit of the filter's `bits` that probe number `probe` looks at. */
static uint64_t bit_of(uint64_t hash, unsigned probe, uint64_t bits)
{
    uint64_t step = (hash >> 33) | 1;
    return (uint32_t)(hash + probe * step) * bits >> 32;
}

uint32_t filter_finish(struct filter_writer *writer, struct buf *buf)
{
    uint32_t bytes = writer->overflow ? 0 : (uint32_t)(writer->count + 7) / 8 * 8;
    uint8_t *filter = bytes > 0 ? buf_reserve(buf, bytes) : NULL;
    if (bytes > 0) {
        memset(filter, 0, bytes);
        buf->bytes += bytes;
    }
    for (size_t i = 0; writer->count > 0 && i < TABLE_PLACES; i++) {
        uint64_t hash = writer->table[i];
        for (unsigned probe = 0; bytes > 0 && hash != 0 && probe < PROBES; probe++) {
            uint64_t bit = bit_of(hash, probe, (uint64_t)bytes * 8);
            filter[bit / 8] = (uint8_t)(filter[bit / 8] | 1u << bit % 8);
        }
        writer->table[i] = 0;
    }
    writer->count = 0;
    writer->overflow = false;
    return bytes;
}

void filter_deinit(struct filter_writer *writer)
{
    mem_free(writer->table);
    *writer = (struct filter_writer){0};
}

void filter_hashes(struct buf *buf, struct span word)
{
    uint64_t hash;
    while (next_token(&word, &hash)) {
        wire_put_u64(buf, hash);
    }
}

bool filter_may_have(struct span filter, struct span hashes)
{
    uint64_t bits = (uint64_t)filter.bytes * 8;
    for (; bits > 0 && hashes.bytes >= 8; hashes = span_from(hashes, 8)) {
        uint64_t hash = wire_load_u64(hashes.data);
        for (unsigned probe = 0; probe < PROBES; probe++) {
            uint64_t bit = bit_of(hash, probe, bits);
            if ((filter.data[bit / 8] >> bit % 8 & 1) == 0) {
                return false;
            }
        }
    }
    return true;
}
