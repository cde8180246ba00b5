/* Tested by gts_test.c. */
#include "base/hash.h"
#include "warp10/gts_internal.h"

#define SLOTS_FIRST 256
#define MEMORY_BYTES_MAX (64u << 20) /* of raw texts and keys */

void gts_memory_init(struct gts_memory *memory)
{
    memory->capacity = SLOTS_FIRST;
    memory->slots = mem_alloc_array(memory->capacity, sizeof(memory->slots[0]));
    memory->arena = arena_new(MEMORY_BYTES_MAX);
    memory->count = 0;
}

void gts_memory_deinit(struct gts_memory *memory)
{
    mem_free(memory->slots);
    arena_free(&memory->arena);
}

struct gts_known *gts_memory_find(const struct gts_memory *memory, struct span raw, uint64_t hash)
{
    for (size_t i = hash;; i++) {
        struct gts_known *known = memory->slots[i & (memory->capacity - 1)];
        if (known == NULL || (known->raw_hash == hash && span_equal(known->raw, raw))) {
            return known;
        }
    }
}

static void place(struct gts_memory *memory, struct gts_known *known)
{
    size_t i = known->raw_hash;
    while (memory->slots[i & (memory->capacity - 1)] != NULL) {
        i++;
    }
    memory->slots[i & (memory->capacity - 1)] = known;
}

static void grow(struct gts_memory *memory)
{
    struct gts_known **slots = memory->slots;
    size_t capacity = memory->capacity;
    memory->capacity *= 2;
    memory->slots = mem_alloc_array(memory->capacity, sizeof(slots[0]));
    for (size_t i = 0; i < capacity; i++) {
        if (slots[i] != NULL) {
            place(memory, slots[i]);
        }
    }
    mem_free(slots);
}

void gts_memory_forget(struct gts_memory *memory)
{
    memset(memory->slots, 0, memory->capacity * sizeof(memory->slots[0]));
    memory->count = 0;
    memory->forgets++;
    arena_reset(memory->arena);
}

size_t gts_memory_bytes(const struct gts_memory *memory)
{
    return MEMORY_BYTES_MAX - arena_left(memory->arena) +
           memory->capacity * sizeof(memory->slots[0]);
}

struct gts_known *gts_memory_add(struct gts_memory *memory, struct span raw, uint64_t raw_hash,
                                 struct span key, bool *ret_forgotten)
{
    size_t bytes = raw.bytes + key.bytes + sizeof(struct gts_known);
    if (memory->count >= GTS_SERIES_MAX || arena_left(memory->arena) < 2 * bytes + 256) {
        gts_memory_forget(memory);
        *ret_forgotten = true;
    }
    if (memory->count * 2 >= memory->capacity) {
        grow(memory);
    }
    struct gts_known *known = ARENA_NEW(memory->arena, struct gts_known);
    known->raw = arena_span_dup(memory->arena, raw);
    known->raw_hash = raw_hash;
    known->series.key = arena_span_dup(memory->arena, key);
    known->series.hash = hash64(key);
    place(memory, known);
    memory->count++;
    return known;
}
