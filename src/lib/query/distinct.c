#include "query/distinct.h"

#include <math.h>

#include "base/hash.h"
#include "base/mem.h"

#define INDEX_BITS 14
#define CAPACITY_MIN 16
#define EXACT 0 /* forms, as bytes */
#define SKETCH 1

_Static_assert(DISTINCT_REGISTERS == 1 << INDEX_BITS, "an index for each register");
_Static_assert(DISTINCT_EXACT_MAX > 5 * DISTINCT_REGISTERS, "no bias to correct");

void distinct_deinit(struct distinct *distinct)
{
    mem_free(distinct->set);
    mem_free(distinct->registers);
    *distinct = (struct distinct){0};
}

size_t distinct_bytes(const struct distinct *distinct)
{
    return distinct->registers != NULL ? DISTINCT_REGISTERS
                                       : distinct->capacity * sizeof(struct distinct_hash);
}

static bool is_free(const struct distinct_hash *slot)
{
    return slot->low == 0 && slot->high == 0;
}

static struct distinct_hash *find(const struct distinct *distinct, struct distinct_hash hash)
{
    uint32_t i = (uint32_t)hash.low & (distinct->capacity - 1);
    while (!is_free(&distinct->set[i]) &&
           (distinct->set[i].low != hash.low || distinct->set[i].high != hash.high)) {
        i = (i + 1) & (distinct->capacity - 1);
    }
    return &distinct->set[i];
}

static void grow(struct distinct *distinct)
{
    struct distinct before = *distinct;
    distinct->capacity = MAX(before.capacity * 2, (uint32_t)CAPACITY_MIN);
    distinct->set = mem_alloc_array(distinct->capacity, sizeof(*distinct->set));
    for (uint32_t i = 0; i < before.capacity; i++) {
        if (!is_free(&before.set[i])) {
            *find(distinct, before.set[i]) = before.set[i];
        }
    }
    mem_free(before.set);
}

static void note(struct distinct *distinct, uint64_t hash)
{
    uint8_t *place = &distinct->registers[hash >> (64 - INDEX_BITS)];
    uint64_t rest = hash << INDEX_BITS;
    uint8_t zeros = rest == 0 ? 64 - INDEX_BITS : (uint8_t)__builtin_clzll(rest);
    *place = MAX(*place, (uint8_t)(zeros + 1));
}

static void become_sketch(struct distinct *distinct)
{
    distinct->registers = mem_alloc(DISTINCT_REGISTERS);
    for (uint32_t i = 0; i < distinct->capacity; i++) {
        if (!is_free(&distinct->set[i])) {
            note(distinct, distinct->set[i].high);
        }
    }
    mem_free(distinct->set);
    distinct->set = NULL;
    distinct->capacity = distinct->count = 0;
}

static void add_hash(struct distinct *distinct, struct distinct_hash hash)
{
    hash.low += is_free(&hash) ? 1 : 0;
    if (distinct->registers != NULL) {
        note(distinct, hash.high);
        return;
    }
    if ((distinct->count + 1) * 4 > distinct->capacity * 3) {
        grow(distinct);
    }
    struct distinct_hash *slot = find(distinct, hash);
    distinct->count += is_free(slot) ? 1 : 0;
    *slot = hash;
    if (distinct->count > DISTINCT_EXACT_MAX) {
        become_sketch(distinct);
    }
}

void distinct_add(struct distinct *distinct, struct span value)
{
    struct distinct_hash hash;
    hash128(value, &hash.low, &hash.high);
    add_hash(distinct, hash);
}

bool distinct_is_estimate(const struct distinct *distinct)
{
    return distinct->registers != NULL;
}

uint64_t distinct_count(const struct distinct *distinct)
{
    if (distinct->registers == NULL) {
        return distinct->count;
    }
    double m = DISTINCT_REGISTERS;
    double sum = 0;
    for (size_t i = 0; i < DISTINCT_REGISTERS; i++) {
        sum += ldexp(1.0, -distinct->registers[i]);
    }
    double estimate = 0.7213 / (1 + 1.079 / m) * m * m / sum;
    return MAX((uint64_t)llround(estimate), (uint64_t)DISTINCT_EXACT_MAX + 1);
}

/* ── As bytes ────────────────────────────────────────────────────────────────────────────── */

void distinct_put(const struct distinct *distinct, struct buf *buf)
{
    wire_put_u8(buf, distinct->registers != NULL ? SKETCH : EXACT);
    if (distinct->registers != NULL) {
        buf_append(buf, span_of(distinct->registers, DISTINCT_REGISTERS));
        return;
    }
    wire_put_u32(buf, distinct->count);
    for (uint32_t i = 0; i < distinct->capacity; i++) {
        if (!is_free(&distinct->set[i])) {
            wire_put_u64(buf, distinct->set[i].low);
            wire_put_u64(buf, distinct->set[i].high);
        }
    }
}

static void take_sketch(struct distinct *distinct, struct wire_reader *reader)
{
    struct span registers = wire_get_raw(reader, DISTINCT_REGISTERS);
    if (registers.bytes != DISTINCT_REGISTERS) {
        return;
    }
    if (distinct->registers == NULL) {
        become_sketch(distinct);
    }
    for (size_t i = 0; i < DISTINCT_REGISTERS; i++) {
        uint8_t value = MIN(registers.data[i], (uint8_t)(64 - INDEX_BITS + 1));
        distinct->registers[i] = MAX(distinct->registers[i], value);
    }
}

void distinct_take(struct distinct *distinct, struct wire_reader *reader)
{
    if (wire_get_u8(reader) == SKETCH) {
        take_sketch(distinct, reader);
        return;
    }
    uint32_t count = wire_get_u32(reader);
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        struct distinct_hash hash = {.low = wire_get_u64(reader)};
        hash.high = wire_get_u64(reader);
        if (!reader->failed) {
            add_hash(distinct, hash);
        }
    }
}
