#include "warp10/siphash.h"

#include <stdlib.h>

#include "base/mem.h"

static uint64_t load_big(const uint8_t *at)
{
    uint64_t word = 0;
    for (size_t i = 0; i < 8; i++) {
        word = word << 8 | at[i];
    }
    return word;
}

struct siphash_key siphash_key_of(const uint8_t bytes[SIPHASH_KEY_BYTES])
{
    return (struct siphash_key){load_big(bytes), load_big(bytes + 8)};
}

static uint64_t rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

struct sip {
    uint64_t v0, v1, v2, v3;
    uint64_t word;
    uint64_t bytes;
};

static void rounds(struct sip *s, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        s->v0 += s->v1;
        s->v1 = rotate(s->v1, 13) ^ s->v0;
        s->v0 = rotate(s->v0, 32);
        s->v2 += s->v3;
        s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 += s->v3;
        s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v2 += s->v1;
        s->v1 = rotate(s->v1, 17) ^ s->v2;
        s->v2 = rotate(s->v2, 32);
    }
}

static void begin(struct sip *s, struct siphash_key key)
{
    *s = (struct sip){.v0 = key.k0 ^ UINT64_C(0x736f6d6570736575),
                      .v1 = key.k1 ^ UINT64_C(0x646f72616e646f6d),
                      .v2 = key.k0 ^ UINT64_C(0x6c7967656e657261),
                      .v3 = key.k1 ^ UINT64_C(0x7465646279746573)};
}

static void add_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    rounds(s, 2);
    s->v0 ^= word;
}

static void add_byte(struct sip *s, uint8_t byte)
{
    s->word |= (uint64_t)byte << (8 * (s->bytes % 8));
    if (++s->bytes % 8 == 0) {
        add_word(s, s->word);
        s->word = 0;
    }
}

static uint64_t finish(struct sip *s)
{
    add_word(s, s->word | s->bytes << 56);
    s->v2 ^= 0xff;
    rounds(s, 4);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

uint64_t siphash(struct siphash_key key, struct span data)
{
    struct sip s;
    begin(&s, key);
    for (size_t i = 0; i < data.bytes; i++) {
        add_byte(&s, data.data[i]);
    }
    return finish(&s);
}

uint64_t siphash_mirrored(struct siphash_key key, struct span data)
{
    struct sip s;
    begin(&s, key);
    for (size_t i = 0; i < data.bytes; i++) {
        add_byte(&s, data.data[i]);
    }
    for (size_t i = data.bytes; i > 0; i--) {
        add_byte(&s, data.data[i - 1]);
    }
    return finish(&s);
}

struct label_hash {
    int64_t name, value; /* signed: that is how they are sorted */
};

static int by_hash(const void *a, const void *b)
{
    const struct label_hash *left = a;
    const struct label_hash *right = b;
    if (left->name != right->name) {
        return left->name < right->name ? -1 : 1;
    }
    return (left->value > right->value) - (left->value < right->value);
}

static void store_big(uint8_t *at, uint64_t word)
{
    for (unsigned i = 0; i < 8; i++) {
        at[i] = (uint8_t)(word >> (56 - 8 * i));
    }
}

uint64_t siphash_labels(struct siphash_key key, const struct siphash_label *labels, size_t count)
{
    struct label_hash *hashes = mem_alloc_array(count + 1, sizeof(*hashes));
    uint8_t *bytes = mem_alloc_array(count + 1, 16);
    for (size_t i = 0; i < count; i++) {
        hashes[i].name = (int64_t)siphash_mirrored(key, labels[i].name);
        hashes[i].value = (int64_t)siphash_mirrored(key, labels[i].value);
    }
    qsort(hashes, count, sizeof(*hashes), by_hash);
    for (size_t i = 0; i < count; i++) {
        store_big(bytes + 16 * i, (uint64_t)hashes[i].name);
        store_big(bytes + 16 * i + 8, (uint64_t)hashes[i].value);
    }
    uint64_t id = siphash_mirrored(key, span_of(bytes, 16 * count));
    mem_free(hashes);
    mem_free(bytes);
    return id;
}
