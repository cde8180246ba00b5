/*
 * What the catalogue is made of: memory that never moves, posting lists, hash tables, and symbols
 * (each class, label name and label value once). Internal to the library.
 *
 * One thread changes them at a time; any number read meanwhile without a lock. Things are only
 * ever added: a reader sees them before or after, never half. A `ref` names a thing in a heap: its
 * offset in units of 8 bytes, never 0.
 */
#ifndef SERIES_SYMBOLS_H
#define SERIES_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/vec.h"

#define HEAP_CHUNK_BITS 20
#define HEAP_CHUNK_BYTES (UINT32_C(1) << HEAP_CHUNK_BITS)
#define HEAP_CHUNKS 32768 /* 32 GiB */

struct heap {
    uint8_t **chunks; /* HEAP_CHUNKS; atomic */
    uint64_t end;     /* bytes given, with what was wasted at the ends of chunks */
};

void heap_init(struct heap *heap);
void heap_deinit(struct heap *heap);
bool heap_is_full(const struct heap *heap);

/* Zeroed; `bytes` is far below HEAP_CHUNK_BYTES. */
uint32_t heap_alloc(struct heap *heap, size_t bytes);

static inline void *heap_at(const struct heap *heap, uint32_t ref)
{
    uint8_t *chunk = __atomic_load_n(&heap->chunks[ref >> (HEAP_CHUNK_BITS - 3)], __ATOMIC_ACQUIRE);
    return chunk + ((size_t)ref << 3 & (HEAP_CHUNK_BYTES - 1));
}

/* A list that grows at its end: the first item here, the others in chunks of growing size. */
struct postings {
    uint32_t count; /* atomic; what it covers does not change any more */
    uint32_t item;
    uint32_t first; /* chunk */
    uint32_t last;
};

void postings_add(struct heap *heap, struct postings *postings, uint32_t item);
uint32_t postings_count(const struct postings *postings);

typedef VEC(uint32_t) numbers_vec;

/* Appends the items to `out`. */
void postings_get(const struct heap *heap, const struct postings *postings, numbers_vec *out);

/* Hash values and refs, open addressing. Old tables stay until the end, since readers may be in
 * them: as much memory again as the newest at most. */
struct table {
    uint64_t *slots; /* hash in the upper half, ref in the lower; atomic */
    uint32_t mask;
    uint32_t used;
    struct table *older;
};

struct table *table_new(void);
void table_free(struct table **table);
size_t table_bytes(const struct table *table); /* with the older ones */

/* `*table` is replaced when it is full. */
void table_add(struct table **table, uint32_t hash, uint32_t ref);
void table_remove(struct table *table, uint32_t hash, uint32_t ref);

#define TABLE_GRAVE UINT32_MAX

/* The next ref with this hash; 0 at the end. Begin with `*at` = hash. */
static inline uint32_t table_next(const struct table *table, uint32_t hash, uint32_t *at)
{
    for (;;) {
        uint64_t slot = __atomic_load_n(&table->slots[*at & table->mask], __ATOMIC_ACQUIRE);
        (*at)++;
        if (slot == 0) {
            return 0;
        }
        if ((uint32_t)(slot >> 32) == hash && (uint32_t)slot != TABLE_GRAVE) {
            return (uint32_t)slot;
        }
    }
}

enum symbol_kind {
    SYMBOL_CLASS = 1,     /* postings: numbers of its series */
    SYMBOL_NAME = 2,      /* of a label; postings: refs of its values */
    SYMBOL_ATTRIBUTE = 3, /* name of an attribute; postings: numbers that have or had it */
    /* A value's kind is the ref of its name; postings: numbers of its series. */
};

struct symbol {
    uint32_t kind;
    uint32_t bytes;
    struct postings postings;
    uint8_t text[];
};

struct symbols {
    struct heap heap;
    struct table *table;     /* atomic */
    struct postings classes; /* refs of all classes */
    uint64_t values;         /* how many */
};

void symbols_init(struct symbols *symbols);
void symbols_deinit(struct symbols *symbols);

static inline struct symbol *symbol_at(const struct symbols *symbols, uint32_t ref)
{
    return heap_at(&symbols->heap, ref);
}

static inline struct span symbol_text(const struct symbol *symbol)
{
    return (struct span){symbol->text, symbol->bytes};
}

/* 0: no such. */
uint32_t symbols_find(const struct symbols *symbols, uint32_t kind, struct span text);
uint32_t symbols_put(struct symbols *symbols, uint32_t kind, struct span text);

#endif
