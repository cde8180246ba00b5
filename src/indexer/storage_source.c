/*
 * Storage as the query library sees it: query/source.h over well cursors, and points beside them
 * (search_points.h). Where there are both, blocks are merged by time.
 */
#include "base/mem.h"
#include "indexer/search_points.h"
#include "indexer/storage_internal.h"

struct source_cursor {
    struct query_cursor cursor;
    struct well_cursor *wells;

    /* Points; NULL: the tags are no classes, blocks of the wells go on as they are. */
    struct search_points_cursor *points;
    bool ascending;
    struct query_source_block blocks[2]; /* of wells and points, what is left of them */
    bool ended[2];
    VEC(struct entry) merged;
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
    int rc = series_tags_each(storage_of(source)->tags, visit, &walk);
    struct search_points *points = CONTAINER_OF(source, struct storage_source, source)->points;
    return rc != 0 ? rc : search_points_tags(points, each, context);
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
        .past_bad_places = true,
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
    cursor->ascending = scan->ascending;
    struct search_points *points = CONTAINER_OF(source, struct storage_source, source)->points;
    int rc = storage_scan(storage_of(source), &wells, &cursor->wells);
    rc = rc < 0 ? rc : search_points_open(points, scan, &cursor->points);
    if (rc < 0) {
        well_cursor_close(&cursor->wells);
        mem_free(cursor);
        return rc;
    }
    *ret_cursor = &cursor->cursor;
    return 0;
}

static int next_of_wells(struct source_cursor *cursor, struct query_source_block *ret_block)
{
    struct well_block block;
    int rc = well_cursor_next(cursor->wells, &block);
    if (rc == WELL_END) {
        return QUERY_SOURCE_END;
    }
    if (rc == 0) {
        *ret_block = (struct query_source_block){block.entries, block.count, block.region};
    }
    return rc;
}

/* Fills what is empty. */
static int fill(struct source_cursor *cursor)
{
    for (size_t i = 0; i < 2; i++) {
        struct query_source_block *block = &cursor->blocks[i];
        if (cursor->ended[i] || block->count > 0) {
            continue;
        }
        int rc = i == 0 ? next_of_wells(cursor, block) : search_points_next(cursor->points, block);
        if (rc < 0) {
            return rc;
        }
        cursor->ended[i] = rc == QUERY_SOURCE_END;
        block->count = cursor->ended[i] ? 0 : block->count;
    }
    return 0;
}

static void take(struct source_cursor *cursor, struct query_source_block *block)
{
    vec_push(&cursor->merged, *block->entries);
    block->entries++;
    block->count--;
}

static int source_next(struct query_cursor *base, struct query_source_block *ret_block)
{
    struct source_cursor *cursor = cursor_of(base);
    if (cursor->points == NULL) {
        return next_of_wells(cursor, ret_block);
    }
    int rc = fill(cursor);
    if (rc < 0) {
        return rc;
    }
    struct query_source_block *wells = &cursor->blocks[0];
    struct query_source_block *points = &cursor->blocks[1];
    vec_clear(&cursor->merged);
    while (wells->count > 0 && points->count > 0) { /* until one has to be read on */
        int64_t a = wells->entries->time_ns;
        int64_t b = points->entries->time_ns;
        take(cursor, (cursor->ascending ? a <= b : a >= b) ? wells : points);
    }
    while (wells->count > 0 && cursor->ended[1]) {
        take(cursor, wells);
    }
    while (points->count > 0 && cursor->ended[0]) {
        take(cursor, points);
    }
    *ret_block = (struct query_source_block){cursor->merged.items, cursor->merged.count, SPAN_NONE};
    return cursor->merged.count > 0 ? 0 : QUERY_SOURCE_END;
}

static void source_close(struct query_cursor *cursor)
{
    well_cursor_close(&cursor_of(cursor)->wells);
    search_points_close(&cursor_of(cursor)->points);
    vec_deinit(&cursor_of(cursor)->merged);
    mem_free(cursor_of(cursor));
}

static uint64_t source_skipped(const struct query_cursor *cursor)
{
    const struct source_cursor *own = CONTAINER_OF(cursor, struct source_cursor, cursor);
    return well_cursor_skipped(own->wells) +
           (own->points == NULL ? 0 : search_points_skipped(own->points));
}

static uint64_t source_passed_over(const struct query_cursor *cursor)
{
    return well_cursor_passed_over(CONTAINER_OF(cursor, struct source_cursor, cursor)->wells);
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
    .passed_over = source_passed_over,
    .extents = source_extents,
    .follow = source_follow,
};

void storage_source_init(struct storage *storage)
{
    storage->source =
        (struct storage_source){{&source_methods}, storage, search_points_new(storage)};
}

void storage_source_deinit(struct storage *storage)
{
    search_points_free(&storage->source.points);
}

int storage_each_class(struct storage *storage,
                       int (*each)(void *context, const char *name, uint16_t tag), void *context)
{
    return search_points_tags(storage->source.points, each, context);
}

struct query_source *storage_source(struct storage *storage)
{
    return &storage->source.source;
}
