#include "series/symbols.h"

#include "base/hash.h"

#define TABLE_SLOTS_MIN 64
#define POSTINGS_CHUNK_ITEMS_MAX 1022

struct postings_chunk {
    uint32_t next;
    uint16_t capacity;
    uint16_t used; /* only who adds looks at it */
    uint32_t items[];
};

void heap_init(struct heap *heap)
{
    heap->chunks = mem_alloc_array(HEAP_CHUNKS, sizeof(uint8_t *));
    heap->end = 64; /* so that no ref is 0 or a symbol_kind */
}

void heap_deinit(struct heap *heap)
{
    for (size_t i = 0; i < HEAP_CHUNKS && heap->chunks[i] != NULL; i++) {
        mem_free(heap->chunks[i]);
    }
    mem_free(heap->chunks);
    *heap = (struct heap){0};
}

bool heap_is_full(const struct heap *heap)
{
    return heap->end >> HEAP_CHUNK_BITS >= HEAP_CHUNKS - 64;
}

uint32_t heap_alloc(struct heap *heap, size_t bytes)
{
    uint64_t need = ((uint64_t)bytes + 7) & ~UINT64_C(7);
    CHECK(need <= HEAP_CHUNK_BYTES / 2);
    if ((heap->end & (HEAP_CHUNK_BYTES - 1)) + need > HEAP_CHUNK_BYTES) {
        heap->end = (heap->end | (HEAP_CHUNK_BYTES - 1)) + 1;
    }
    uint64_t index = heap->end >> HEAP_CHUNK_BITS;
    CHECK(index < HEAP_CHUNKS);
    if (heap->chunks[index] == NULL) {
        __atomic_store_n(&heap->chunks[index], mem_alloc(HEAP_CHUNK_BYTES), __ATOMIC_RELEASE);
    }
    uint32_t ref = (uint32_t)(heap->end >> 3);
    heap->end += need;
    return ref;
}

void postings_add(struct heap *heap, struct postings *postings, uint32_t item)
{
    if (postings->count == 0) {
        postings->item = item;
    } else {
        struct postings_chunk *last = postings->last == 0 ? NULL : heap_at(heap, postings->last);
        if (last == NULL || last->used == last->capacity) {
            uint32_t capacity =
                last == NULL ? 2 : MIN(2U * last->capacity + 2, POSTINGS_CHUNK_ITEMS_MAX);
            uint32_t ref =
                heap_alloc(heap, sizeof(struct postings_chunk) + capacity * sizeof(uint32_t));
            *(last == NULL ? &postings->first : &last->next) = ref;
            postings->last = ref;
            last = heap_at(heap, ref);
            last->capacity = (uint16_t)capacity;
        }
        last->items[last->used++] = item;
    }
    __atomic_store_n(&postings->count, postings->count + 1, __ATOMIC_RELEASE);
}

uint32_t postings_count(const struct postings *postings)
{
    return __atomic_load_n(&postings->count, __ATOMIC_ACQUIRE);
}

void postings_get(const struct heap *heap, const struct postings *postings, numbers_vec *out)
{
    uint32_t left = postings_count(postings);
    if (left == 0) {
        return;
    }
    if (out->count + left > out->capacity) {
        out->capacity = MAX(out->count + left, out->capacity * 2);
        out->items = mem_realloc(out->items, out->capacity * sizeof(uint32_t));
    }
    out->items[out->count++] = postings->item;
    left--;
    for (uint32_t ref = left > 0 ? postings->first : 0; left > 0;) {
        const struct postings_chunk *chunk = heap_at(heap, ref);
        uint32_t count = MIN(left, chunk->capacity);
        memcpy(out->items + out->count, chunk->items, count * sizeof(uint32_t));
        out->count += count;
        left -= count;
        ref = left > 0 ? chunk->next : 0;
    }
}

static struct table *table_of(uint32_t slots)
{
    struct table *table = MEM_NEW(struct table);
    table->slots = mem_alloc_array(slots, sizeof(uint64_t));
    table->mask = slots - 1;
    return table;
}

struct table *table_new(void)
{
    return table_of(TABLE_SLOTS_MIN);
}

void table_free(struct table **table)
{
    while (*table != NULL) {
        struct table *older = (*table)->older;
        mem_free((*table)->slots);
        mem_free(*table);
        *table = older;
    }
}

size_t table_bytes(const struct table *table)
{
    size_t bytes = 0;
    for (; table != NULL; table = table->older) {
        bytes += sizeof(*table) + ((size_t)table->mask + 1) * sizeof(uint64_t);
    }
    return bytes;
}

static void insert(struct table *table, uint64_t slot)
{
    uint32_t at = (uint32_t)(slot >> 32);
    while (table->slots[at & table->mask] != 0) {
        at++;
    }
    __atomic_store_n(&table->slots[at & table->mask], slot, __ATOMIC_RELEASE);
    table->used++;
}

static struct table *grown(struct table *table)
{
    struct table *larger = table_of(2 * (table->mask + 1));
    for (uint32_t i = 0; i <= table->mask; i++) {
        if (table->slots[i] != 0 && (uint32_t)table->slots[i] != TABLE_GRAVE) {
            insert(larger, table->slots[i]);
        }
    }
    larger->older = table;
    return larger;
}

void table_add(struct table **table, uint32_t hash, uint32_t ref)
{
    if ((*table)->used >= (*table)->mask / 4 * 3) {
        __atomic_store_n(table, grown(*table), __ATOMIC_RELEASE);
    }
    insert(*table, (uint64_t)hash << 32 | ref);
}

void table_remove(struct table *table, uint32_t hash, uint32_t ref)
{
    uint64_t wanted = (uint64_t)hash << 32 | ref;
    for (uint32_t at = hash; table->slots[at & table->mask] != 0; at++) {
        if (table->slots[at & table->mask] == wanted) {
            __atomic_store_n(&table->slots[at & table->mask], wanted | TABLE_GRAVE,
                             __ATOMIC_RELEASE);
            return;
        }
    }
}

void symbols_init(struct symbols *symbols)
{
    *symbols = (struct symbols){.table = table_new()};
    heap_init(&symbols->heap);
}

void symbols_deinit(struct symbols *symbols)
{
    table_free(&symbols->table);
    heap_deinit(&symbols->heap);
}

static uint32_t hash_of(uint32_t kind, struct span text)
{
    return (uint32_t)hash64_seeded(text, kind);
}

static uint32_t find(const struct symbols *symbols, uint32_t kind, struct span text, uint32_t hash)
{
    const struct table *table = __atomic_load_n(&symbols->table, __ATOMIC_ACQUIRE);
    uint32_t at = hash;
    for (;;) {
        uint32_t ref = table_next(table, hash, &at);
        if (ref == 0) {
            return 0;
        }
        const struct symbol *symbol = symbol_at(symbols, ref);
        if (symbol->kind == kind && span_equal(symbol_text(symbol), text)) {
            return ref;
        }
    }
}

uint32_t symbols_find(const struct symbols *symbols, uint32_t kind, struct span text)
{
    return find(symbols, kind, text, hash_of(kind, text));
}

uint32_t symbols_put(struct symbols *symbols, uint32_t kind, struct span text)
{
    uint32_t hash = hash_of(kind, text);
    uint32_t ref = find(symbols, kind, text, hash);
    if (ref != 0) {
        return ref;
    }
    ref = heap_alloc(&symbols->heap, sizeof(struct symbol) + text.bytes);
    struct symbol *symbol = symbol_at(symbols, ref);
    symbol->kind = kind;
    symbol->bytes = (uint32_t)text.bytes;
    if (text.bytes > 0) {
        memcpy(symbol->text, text.data, text.bytes);
    }
    table_add(&symbols->table, hash, ref);
    if (kind == SYMBOL_CLASS) {
        postings_add(&symbols->heap, &symbols->classes, ref);
    } else if (kind > SYMBOL_ATTRIBUTE) {
        symbols->values++;
        postings_add(&symbols->heap, &symbol_at(symbols, kind)->postings, ref);
    }
    return ref;
}
