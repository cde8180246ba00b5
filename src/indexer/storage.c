#include "indexer/storage.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "datalog/cursor.h"
#include "indexer/storage_internal.h"
#include "well/cache.h"

void storage_report(struct storage *storage, const char *format, ...)
{
    if (storage->report == NULL) {
        return;
    }
    struct buf text = {0};
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    storage->report(storage->report_context, buf_str(&text));
    buf_deinit(&text);
}

struct span storage_name_of(void *context, uint16_t tag)
{
    return series_tags_name(context, tag);
}

static bool slot_has_exact(const struct storage_slot *slot, struct span name)
{
    for (size_t i = 0; i < slot->tags.count; i++) {
        if (span_equal_str(name, slot->tags.items[i])) {
            return true;
        }
    }
    return false;
}

static const char *slot_glob(const struct storage_slot *slot, struct span name)
{
    for (size_t i = 0; i < slot->tags.count; i++) {
        struct span pattern = span_of_str(slot->tags.items[i]);
        if (text_is_glob(pattern) && text_glob(pattern, name)) {
            return slot->tags.items[i];
        }
    }
    return NULL;
}

/* Exact names beat globs; of several globs the first one counts, and somebody is told. */
size_t storage_find_route(struct storage *storage, struct span name)
{
    for (size_t i = 0; i < storage->slots.count; i++) {
        if (slot_has_exact(&storage->slots.items[i], name)) {
            return i;
        }
    }
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < storage->slots.count; i++) {
        const char *glob = slot_glob(&storage->slots.items[i], name);
        if (glob != NULL && found != SIZE_MAX) {
            storage_report(storage,
                           "tag %.*s is matched by wells %s and %s (by \"%s\"); it goes to %s",
                           SPAN_ARG(name), storage->slots.items[found].name,
                           storage->slots.items[i].name, glob, storage->slots.items[found].name);
        } else if (glob != NULL) {
            found = i;
        }
    }
    return found == SIZE_MAX ? storage->default_slot : found;
}

size_t storage_route(struct storage *storage, uint16_t tag)
{
    uint32_t route = atomic_load_explicit(&storage->routes[tag], memory_order_relaxed);
    if (route > 0) {
        return route - 1;
    }
    struct span name = series_tags_name(storage->tags, tag);
    if (name.bytes == 0) {
        return storage->default_slot;
    }
    size_t slot = storage_find_route(storage, name);
    atomic_store_explicit(&storage->routes[tag], (uint32_t)slot + 1, memory_order_relaxed);
    return slot;
}

int storage_tags_put(struct storage *storage, const struct span *names, size_t count,
                     uint16_t *ret_tags)
{
    int rc = series_tags_put_many(storage->tags, names, count, ret_tags);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        (void)storage_route(storage, ret_tags[i]);
    }
    return rc;
}

int storage_tag(struct storage *storage, struct span name, uint16_t *ret_tag)
{
    return storage_tags_put(storage, &name, 1, ret_tag);
}

struct series_tags *storage_tags(struct storage *storage)
{
    return storage->tags;
}

struct well **storage_wells_of(struct storage *storage, struct storage_names names,
                               size_t *ret_count)
{
    struct well **wells = mem_alloc_array(storage->slots.count, sizeof(*wells));
    *ret_count = 0;
    for (size_t i = 0; i < storage->slots.count; i++) {
        bool is_one = names.count == 0;
        for (size_t k = 0; k < names.count; k++) {
            is_one = is_one || strcmp(names.items[k], storage->slots.items[i].name) == 0;
        }
        if (is_one) {
            wells[(*ret_count)++] = storage->slots.items[i].well;
        }
    }
    return wells;
}

int storage_scan_of(struct storage *storage, struct storage_names names,
                    const struct well_scan *scan, struct well_cursor **ret_cursor)
{
    size_t count;
    struct well **wells = storage_wells_of(storage, names, &count);
    int rc = well_cursor_open(wells, count, scan, ret_cursor);
    mem_free(wells);
    return rc;
}

int storage_scan(struct storage *storage, const struct well_scan *scan,
                 struct well_cursor **ret_cursor)
{
    return storage_scan_of(storage, (struct storage_names){0}, scan, ret_cursor);
}

void storage_extents(struct storage *storage, const struct well_scan *scan,
                     void (*each)(void *context, int64_t first_ns, int64_t last_ns, uint64_t bytes),
                     void *context)
{
    size_t count;
    struct well **wells = storage_wells_of(storage, (struct storage_names){0}, &count);
    well_extents(wells, count, scan, each, context);
    mem_free(wells);
}

struct storage_stats storage_stats(struct storage *storage)
{
    struct datalog_stats log = datalog_stats(storage->log);
    struct block_cache_stats cache = block_cache_stats(storage->cache);
    struct storage_stats stats = {
        .entries_accepted = atomic_load(&storage->entries_accepted),
        .bytes_accepted = atomic_load(&storage->bytes_accepted),
        .entries_replayed = storage->entries_replayed,
        .points_accepted = atomic_load(&storage->points_accepted),
        .points_replayed = storage->points_replayed,
        .deletes_accepted = atomic_load(&storage->deletes_accepted),
        .series = series_catalogue_stats(storage->catalogue).series,
        .tombstones = storage_deletes_count(storage),
        .log_first = log.first,
        .log_end = log.end,
        .log_bytes = log.bytes,
        .log_groups = log.groups,
        .log_cursors = log.cursors,
        .log_detached = log.detached,
        .cache_hits = cache.hits,
        .cache_misses = cache.misses,
        .cache_bytes = cache.bytes,
        .corrupt = storage->damage + log.damage.corrupt_records + log.damage.cursor_lines,
        .wells = storage->slots.count,
    };
    for (size_t i = 0; i < storage->slots.count; i++) {
        struct well_stats well = well_stats(storage->slots.items[i].well);
        stats.corrupt += well.corrupt_blocks;
        stats.flushed_bytes += well.flushed_bytes;
        stats.merged_bytes += well.merged_bytes;
        stats.packed_bytes += well.packed_bytes;
        stats.purged_bytes += well.purged_bytes;
        stats.dropped_entries += well.dropped_entries;
        stats.dropped_points += well.dropped_points;
        stats.dropped_bytes += well.dropped_bytes;
        stats.dropped_partitions += well.dropped_partitions;
    }
    if (io_space(storage->io, storage->datalog_dir, &stats.disk_free_bytes, &stats.disk_bytes) <
        0) {
        stats.disk_free_bytes = stats.disk_bytes = 0;
    }
    return stats;
}

int storage_cursors(struct storage *storage,
                    int (*each)(void *context, const struct datalog_cursor_stats *stats),
                    void *context)
{
    return datalog_cursors(storage->log, each, context);
}

const char *storage_well_name(struct storage *storage, size_t index)
{
    CHECK(index < storage->slots.count);
    return storage->slots.items[index].name;
}

struct well_stats storage_well_stats(struct storage *storage, size_t index)
{
    CHECK(index < storage->slots.count);
    return well_stats(storage->slots.items[index].well);
}

struct tag_walk {
    struct storage *storage;
    struct well_tag_stats *counts;
    int (*each)(void *context, uint16_t tag, struct span name, const char *well,
                struct well_tag_stats stats);
    void *context;
};

static int visit_tag(void *context, uint16_t tag, struct span name)
{
    struct tag_walk *walk = context;
    const char *well = walk->storage->slots.items[storage_route(walk->storage, tag)].name;
    return walk->each(walk->context, tag, name, well, walk->counts[tag]);
}

int storage_each_tag(struct storage *storage,
                     int (*each)(void *context, uint16_t tag, struct span name, const char *well,
                                 struct well_tag_stats stats),
                     void *context)
{
    struct tag_walk walk = {storage, mem_alloc_array(UINT16_MAX + 1, sizeof(*walk.counts)), each,
                            context};
    for (size_t i = 0; i < storage->slots.count; i++) {
        well_count_tags(storage->slots.items[i].well, walk.counts);
    }
    int rc = series_tags_each(storage->tags, visit_tag, &walk);
    mem_free(walk.counts);
    return rc;
}
