/*
 * Storage as the query library sees it: query/source.h over well cursors.
 */
#include "base/mem.h"
#include "indexer/storage_internal.h"

struct source_cursor {
    struct query_cursor cursor;
    struct well_cursor *wells;
};

struct walk {
    int (*each)(void *context, const char *name, uint16_t tag);
    void *context;
};

static struct storage *storage_of(struct query_source *source)
{
    return CONTAINER_OF(source, struct storage_source, source)->storage;
}

static struct source_cursor *cursor_of(struct query_cursor *cursor)
{
    return CONTAINER_OF(cursor, struct source_cursor, cursor);
}

static int visit(void *context, uint16_t tag, struct span name)
{
    struct walk *walk = context;
    return walk->each(walk->context, (const char *)name.data, tag);
}

static int source_tags(struct query_source *source,
                       int (*each)(void *context, const char *name, uint16_t tag), void *context)
{
    struct walk walk = {each, context};
    return series_tags_each(storage_of(source)->tags, visit, &walk);
}

static const struct query_source_methods source_methods;

static struct well_scan scan_of(const struct query_scan *scan)
{
    static const uint16_t none;
    return (struct well_scan){
        .start_ns = scan->start_ns,
        .end_ns = scan->end_ns,
        .tags = scan->tags != NULL ? scan->tags : &none,
        .tags_count = scan->tags != NULL ? scan->tag_count : 0,
        .descending = !scan->ascending,
        .words = scan->words,
        .words_count = scan->words != NULL ? scan->word_count : 0,
    };
}

static int source_open(struct query_source *source, const struct query_scan *scan,
                       struct query_cursor **ret_cursor)
{
    struct well_scan wells = scan_of(scan);
    struct source_cursor *cursor = MEM_NEW(struct source_cursor);
    cursor->cursor.methods = &source_methods;
    int rc = storage_scan(storage_of(source), &wells, &cursor->wells);
    if (rc < 0) {
        mem_free(cursor);
        return rc;
    }
    *ret_cursor = &cursor->cursor;
    return 0;
}

static int source_next(struct query_cursor *cursor, struct query_source_block *ret_block)
{
    struct well_block block;
    int rc = well_cursor_next(cursor_of(cursor)->wells, &block);
    if (rc == WELL_END) {
        return QUERY_SOURCE_END;
    }
    if (rc == 0) {
        *ret_block = (struct query_source_block){block.entries, block.count, block.region};
    }
    return rc;
}

static void source_close(struct query_cursor *cursor)
{
    well_cursor_close(&cursor_of(cursor)->wells);
    mem_free(cursor_of(cursor));
}

static uint64_t source_skipped(const struct query_cursor *cursor)
{
    return well_cursor_skipped(CONTAINER_OF(cursor, struct source_cursor, cursor)->wells);
}

struct extents {
    void (*each)(void *context, struct query_extent extent);
    void *context;
};

static void give_extent(void *context, int64_t first_ns, int64_t last_ns, uint64_t bytes)
{
    const struct extents *extents = context;
    extents->each(extents->context, (struct query_extent){first_ns, last_ns, bytes});
}

static void source_extents(struct query_source *source, const struct query_scan *scan,
                           void (*each)(void *context, struct query_extent extent), void *context)
{
    struct well_scan wells = scan_of(scan);
    struct extents extents = {each, context};
    storage_extents(storage_of(source), &wells, give_extent, &extents);
}

static int source_follow(struct query_source *source, struct query_cursor **ret_cursor)
{
    return storage_follow(storage_of(source), ret_cursor);
}

static const struct query_source_methods source_methods = {
    .tags = source_tags,
    .open = source_open,
    .next = source_next,
    .close = source_close,
    .skipped = source_skipped,
    .extents = source_extents,
    .follow = source_follow,
};

void storage_source_init(struct storage *storage)
{
    storage->source = (struct storage_source){{&source_methods}, storage};
}

struct query_source *storage_source(struct storage *storage)
{
    return &storage->source.source;
}
