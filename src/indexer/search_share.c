/* Tested by replication_test.c and tests/cluster/test_replication.py. */
#include "indexer/search_share.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/vec.h"

enum part { UNDECIDED = 0, KEPT, LEFT_OUT };

struct origin_part {
    struct series_origin origin;
    enum part part;
};

struct search_share {
    struct query_source source;
    struct storage *storage;
    struct uuid node;
    VEC(struct origin_part) origins;    /* whom the plan names */
    VEC(struct uuid) asked;             /* the other indexers that are asked */
    bool only;                          /* nothing but what is named */
    atomic_uchar parts[UINT16_MAX + 1]; /* by number of the origin here; any thread */
};

struct share_cursor {
    struct query_cursor cursor;
    struct search_share *share;
    struct query_cursor *inner;
    VEC(struct entry) entries;
};

/* ---- the request ---- */

static int take_origin(struct search_share *share, json_t *row)
{
    const char *node = "";
    const char *incarnation = "";
    int keep = 0;
    struct origin_part part = {0};
    if (json_unpack(row, "{s:s, s:s, s:b}", "node", &node, "incarnation", &incarnation, "keep",
                    &keep) != 0 ||
        !uuid_parse(span_of_str(node), &part.origin.node) || strlen(incarnation) != 16) {
        return err_set(ERR_INVALID, "search request: share: an origin is not of its form");
    }
    char *end;
    part.origin.incarnation = strtoull(incarnation, &end, 16);
    part.part = keep != 0 ? KEPT : LEFT_OUT;
    vec_push(&share->origins, part);
    return *end == '\0' ? 0 : err_set(ERR_INVALID, "search request: share: no incarnation");
}

static int take_share(struct search_share *share, const json_t *json)
{
    size_t i;
    json_t *row;
    int rc = 0;
    share->only = json_is_true(json_object_get(json, "only"));
    json_array_foreach(json_object_get(json, "origins"), i, row)
    {
        rc = rc < 0 ? rc : take_origin(share, row);
    }
    json_array_foreach(json_object_get(json, "asked"), i, row)
    {
        struct uuid node;
        const char *text = json_string_value(row);
        if (text == NULL || !uuid_parse(span_of_str(text), &node)) {
            return err_set(ERR_INVALID, "search request: share: no id of an indexer");
        }
        if (!uuid_equal(node, share->node)) {
            vec_push(&share->asked, node);
        }
    }
    return rc;
}

/* An origin that began after the plan was made is returned by its own node, if that is asked. */
static enum part decide(const struct search_share *share, uint16_t number)
{
    struct series_origin origin;
    if (!series_origins_get(storage_origins(share->storage), number, &origin)) {
        return share->only ? LEFT_OUT
                           : KEPT; /* from before there were origins: it was never forwarded */
    }
    for (size_t i = 0; i < share->origins.count; i++) {
        const struct origin_part *part = &share->origins.items[i];
        if (part->origin.incarnation == origin.incarnation &&
            uuid_equal(part->origin.node, origin.node)) {
            return part->part;
        }
    }
    for (size_t i = 0; i < share->asked.count; i++) {
        if (uuid_equal(share->asked.items[i], origin.node)) {
            return LEFT_OUT;
        }
    }
    return share->only ? LEFT_OUT : KEPT;
}

/* ---- the source ---- */

static struct search_share *share_of(struct query_source *source)
{
    return CONTAINER_OF(source, struct search_share, source);
}

static int share_tags(struct query_source *source,
                      int (*each)(void *context, const char *name, uint16_t tag), void *context)
{
    return query_source_tags(storage_source(share_of(source)->storage), each, context);
}

static const struct query_source_methods share_methods;

static int share_open(struct query_source *source, const struct query_scan *scan,
                      struct query_cursor **ret_cursor)
{
    struct share_cursor *cursor = MEM_NEW(struct share_cursor);
    cursor->cursor.methods = &share_methods;
    cursor->share = share_of(source);
    int rc = query_source_open(storage_source(cursor->share->storage), scan, &cursor->inner);
    if (rc < 0) {
        mem_free(cursor);
        return rc;
    }
    *ret_cursor = &cursor->cursor;
    return 0;
}

static bool is_left_out(struct search_share *share, const struct entry *entry)
{
    atomic_uchar *place = &share->parts[entry->stamp.origin];
    unsigned char part = atomic_load_explicit(place, memory_order_relaxed);
    if (part == UNDECIDED) {
        part = (unsigned char)decide(share, entry->stamp.origin);
        atomic_store_explicit(place, part, memory_order_relaxed);
    }
    return part == LEFT_OUT;
}

/* The block as it is up to the first entry that is left out, copies of what is kept from there. */
static void filter(struct share_cursor *cursor, struct query_source_block *block)
{
    size_t first = 0;
    while (first < block->count && !is_left_out(cursor->share, &block->entries[first])) {
        first++;
    }
    if (first == block->count) {
        return;
    }
    vec_clear(&cursor->entries);
    for (size_t i = 0; i < block->count; i++) {
        if (i < first || !is_left_out(cursor->share, &block->entries[i])) {
            vec_push(&cursor->entries, block->entries[i]);
        }
    }
    block->entries = cursor->entries.items;
    block->count = cursor->entries.count;
}

static int share_next(struct query_cursor *base, struct query_source_block *ret_block)
{
    struct share_cursor *cursor = CONTAINER_OF(base, struct share_cursor, cursor);
    int rc;
    do {
        rc = query_source_next(cursor->inner, ret_block);
        if (rc == 0) {
            filter(cursor, ret_block);
        }
    } while (rc == 0 && ret_block->count == 0);
    return rc;
}

static void share_close(struct query_cursor *base)
{
    struct share_cursor *cursor = CONTAINER_OF(base, struct share_cursor, cursor);
    query_source_close(&cursor->inner);
    vec_deinit(&cursor->entries);
    mem_free(cursor);
}

static uint64_t share_skipped(const struct query_cursor *base)
{
    return query_source_skipped(CONTAINER_OF(base, struct share_cursor, cursor)->inner);
}

static uint64_t share_passed_over(const struct query_cursor *base)
{
    return query_source_passed_over(CONTAINER_OF(base, struct share_cursor, cursor)->inner);
}

static void share_extents(struct query_source *source, const struct query_scan *scan,
                          void (*each)(void *context, struct query_extent extent), void *context)
{
    query_source_extents(storage_source(share_of(source)->storage), scan, each, context);
}

static int share_follow(struct query_source *source, struct query_cursor **ret_cursor)
{
    struct share_cursor *cursor = MEM_NEW(struct share_cursor);
    cursor->cursor.methods = &share_methods;
    cursor->share = share_of(source);
    int rc = query_source_follow(storage_source(cursor->share->storage), &cursor->inner);
    if (rc < 0) {
        mem_free(cursor);
        return rc;
    }
    *ret_cursor = &cursor->cursor;
    return 0;
}

static const struct query_source_methods share_methods = {
    .tags = share_tags,
    .open = share_open,
    .next = share_next,
    .close = share_close,
    .skipped = share_skipped,
    .passed_over = share_passed_over,
    .extents = share_extents,
    .follow = share_follow,
};

/* ---- life ---- */

int search_share_of_request(struct span request, struct storage *storage, struct uuid node,
                            struct search_share **ret_share)
{
    *ret_share = NULL;
    json_t *json = json_loadb((const char *)request.data, request.bytes, 0, NULL);
    const json_t *wanted = json_object_get(json, "share");
    int rc = 0;
    if (json_is_object(wanted)) {
        struct search_share *share = MEM_NEW(struct search_share);
        share->source.methods = &share_methods;
        share->storage = storage;
        share->node = node;
        rc = take_share(share, wanted);
        if (rc < 0) {
            search_share_free(&share);
        }
        *ret_share = share;
    }
    json_decref(json);
    return rc;
}

struct query_source *search_share_source(struct search_share *share)
{
    return &share->source;
}

void search_share_free(struct search_share **place)
{
    struct search_share *share = *place;
    *place = NULL;
    if (share != NULL) {
        vec_deinit(&share->origins);
        vec_deinit(&share->asked);
        mem_free(share);
    }
}
