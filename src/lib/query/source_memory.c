/* Tested by pipeline_test.c. */
#include "query/source_memory.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/vec.h"
#include "query/tags.h"

#define BLOCK_BYTES (UINT64_C(64) << 20)

struct stored {
    struct entry entry; /* owns data and enumerated */
    size_t order;       /* of arrival: entries of equal time keep it */
};

struct query_source_memory {
    struct query_source source;
    size_t block_entries;
    bool region;
    struct query_tags tags;
    VEC(struct stored) stored;
};

struct cursor {
    struct query_cursor cursor;
    struct query_source_memory *memory;
    bool ascending;
    VEC(struct stored *) matching;
    size_t next;
    VEC(struct entry) block;
    struct buf region;
};

static const struct query_source_methods methods;

struct query_source_memory *query_source_memory_new(size_t block_entries, bool region)
{
    CHECK(block_entries > 0);
    struct query_source_memory *memory = MEM_NEW(struct query_source_memory);
    memory->source.methods = &methods;
    memory->block_entries = block_entries;
    memory->region = region;
    return memory;
}

void query_source_memory_free(struct query_source_memory **memory)
{
    if (*memory == NULL) {
        return;
    }
    for (size_t i = 0; i < (*memory)->stored.count; i++) {
        struct entry *entry = &(*memory)->stored.items[i].entry;
        mem_free((void *)(uintptr_t)entry->data.data);
        mem_free((void *)(uintptr_t)entry->enumerated.data);
    }
    vec_deinit(&(*memory)->stored);
    query_tags_deinit(&(*memory)->tags);
    mem_free(*memory);
    *memory = NULL;
}

static struct span copy(struct span span)
{
    return span.bytes == 0 ? SPAN_NONE : span_of(mem_dup(span.data, span.bytes), span.bytes);
}

void query_source_memory_add(struct query_source_memory *memory, const char *tag,
                             const struct entry *entry)
{
    struct stored stored = {.entry = *entry, .order = memory->stored.count};
    stored.entry.tag = (uint16_t)query_tags_number(&memory->tags, span_of_str(tag));
    stored.entry.data = copy(entry->data);
    stored.entry.enumerated = copy(entry->enumerated);
    vec_push(&memory->stored, stored);
}

struct query_source *query_source_memory_source(struct query_source_memory *memory)
{
    return &memory->source;
}

static int tags(struct query_source *source,
                int (*each)(void *context, const char *name, uint16_t tag), void *context)
{
    struct query_source_memory *memory = CONTAINER_OF(source, struct query_source_memory, source);
    int rc = 0;
    for (size_t i = 0; i < memory->tags.names.count && rc == 0; i++) {
        rc = each(context, memory->tags.names.items[i], (uint16_t)i);
    }
    return rc;
}

static int oldest_first(const void *a, const void *b)
{
    const struct stored *x = *(struct stored *const *)a;
    const struct stored *y = *(struct stored *const *)b;
    if (x->entry.time_ns != y->entry.time_ns) {
        return x->entry.time_ns < y->entry.time_ns ? -1 : 1;
    }
    return x->order < y->order ? -1 : 1;
}

static bool wanted(const struct query_scan *scan, const struct entry *entry)
{
    if (entry->time_ns < scan->start_ns || entry->time_ns >= scan->end_ns) {
        return false;
    }
    for (size_t i = 0; i < scan->tag_count; i++) {
        if (scan->tags[i] == entry->tag) {
            return true;
        }
    }
    return false;
}

static int open_cursor(struct query_source *source, const struct query_scan *scan,
                       struct query_cursor **ret_cursor)
{
    struct query_source_memory *memory = CONTAINER_OF(source, struct query_source_memory, source);
    struct cursor *cursor = MEM_NEW(struct cursor);
    cursor->cursor.methods = &methods;
    cursor->memory = memory;
    cursor->ascending = scan->ascending;
    for (size_t i = 0; i < memory->stored.count; i++) {
        if (wanted(scan, &memory->stored.items[i].entry)) {
            vec_push(&cursor->matching, &memory->stored.items[i]);
        }
    }
    if (cursor->matching.count > 0) {
        qsort(cursor->matching.items, cursor->matching.count, sizeof(struct stored *),
              oldest_first);
    }
    *ret_cursor = &cursor->cursor;
    return 0;
}

/* Moves the data of the block into one piece, each entry's behind the one before. */
static struct span lay_out(struct cursor *cursor)
{
    buf_clear(&cursor->region);
    for (size_t i = 0; i < cursor->block.count; i++) {
        buf_append(&cursor->region, cursor->block.items[i].data);
    }
    size_t at = 0;
    for (size_t i = 0; i < cursor->block.count; i++) {
        struct span *data = &cursor->block.items[i].data;
        *data = span_first(span_from(buf_span(&cursor->region), at), data->bytes);
        at += data->bytes;
    }
    return buf_span(&cursor->region);
}

static int next(struct query_cursor *pointer, struct query_source_block *ret_block)
{
    struct cursor *cursor = CONTAINER_OF(pointer, struct cursor, cursor);
    size_t count = cursor->matching.count;
    if (cursor->next == count) {
        return QUERY_SOURCE_END;
    }
    vec_clear(&cursor->block);
    while (cursor->next < count && cursor->block.count < cursor->memory->block_entries) {
        size_t index = cursor->ascending ? cursor->next : count - 1 - cursor->next;
        vec_push(&cursor->block, cursor->matching.items[index]->entry);
        cursor->next++;
    }
    ret_block->entries = cursor->block.items;
    ret_block->count = cursor->block.count;
    if (cursor->memory->region) {
        ret_block->region = lay_out(cursor);
    }
    return 0;
}

static void close_cursor(struct query_cursor *pointer)
{
    struct cursor *cursor = CONTAINER_OF(pointer, struct cursor, cursor);
    vec_deinit(&cursor->matching);
    vec_deinit(&cursor->block);
    buf_deinit(&cursor->region);
    mem_free(cursor);
}

/* As if every block were large: so that searches in tests are cut wherever they can be. */
static void extents(struct query_source *source, const struct query_scan *scan,
                    void (*each)(void *context, struct query_extent extent), void *context)
{
    struct query_cursor *base = NULL;
    int rc = open_cursor(source, scan, &base);
    CHECK(rc == 0);
    const struct cursor *cursor = CONTAINER_OF(base, struct cursor, cursor);
    size_t block = cursor->memory->block_entries;
    for (size_t i = 0; i < cursor->matching.count; i += block) {
        size_t last = MIN(i + block, cursor->matching.count) - 1;
        each(context,
             (struct query_extent){cursor->matching.items[i]->entry.time_ns,
                                   cursor->matching.items[last]->entry.time_ns, BLOCK_BYTES});
    }
    close_cursor(base);
}

static const struct query_source_methods methods = {
    .tags = tags,
    .open = open_cursor,
    .next = next,
    .close = close_cursor,
    .extents = extents,
};
