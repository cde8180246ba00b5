/*
 * Entries as they become durable, read out of the datalog: what follows a search.
 * Tested by tests/cluster/test_follow.py.
 */
#include "base/mem.h"
#include "datalog/parts.h"
#include "indexer/storage_internal.h"

struct follow_cursor {
    struct query_cursor cursor;
    struct storage *storage;
    struct datalog_reader *reader;
    uint64_t skipped;
    VEC(struct entry) entries; /* of one record, which they borrow from */
};

static struct follow_cursor *cursor_of(struct query_cursor *cursor)
{
    return CONTAINER_OF(cursor, struct follow_cursor, cursor);
}

static int take_part(struct follow_cursor *cursor, struct span payload, struct stamp stamp)
{
    struct entries run;
    struct entry entry;
    int rc = entries_open(&run, payload);
    while (rc == 0 && entries_next(&run, &entry)) {
        entry.stamp = stamp;
        vec_push(&cursor->entries, entry);
    }
    return rc;
}

static int take_record(struct follow_cursor *cursor, const struct datalog_record *record)
{
    struct series_origin origin = {record->origin.node, record->origin.incarnation};
    struct stamp stamp = {.time = record->time};
    int rc = series_origins_put(cursor->storage->origins, &origin, &stamp.origin);
    struct datalog_parts parts = datalog_parts_of(record);
    struct span well;
    struct span payload;
    while (rc == 0 && (rc = datalog_parts_next(&parts, &well, &payload)) == 0) {
        rc = take_part(cursor, payload, stamp);
    }
    return MIN(rc, 0);
}

/* One record; what cannot be read, or was trimmed before it was, is counted. */
static int follow_next(struct query_cursor *base, struct query_source_block *ret_block)
{
    struct follow_cursor *cursor = cursor_of(base);
    struct datalog_record record;
    vec_clear(&cursor->entries);
    while (cursor->entries.count == 0) {
        int rc = datalog_read(cursor->reader, &record);
        if (rc == DATALOG_END) {
            return QUERY_SOURCE_NOTHING;
        }
        if (rc == 0 && record.type == DATALOG_UPDATE) {
            rc = take_record(cursor, &record);
        }
        if (rc < 0 && rc != ERR_CORRUPT) {
            return rc;
        }
        cursor->skipped += rc != 0 ? 1 : 0;
    }
    *ret_block = (struct query_source_block){.entries = cursor->entries.items,
                                             .count = cursor->entries.count};
    return 0;
}

static void follow_close(struct query_cursor *base)
{
    struct follow_cursor *cursor = cursor_of(base);
    datalog_reader_close(&cursor->reader);
    vec_deinit(&cursor->entries);
    mem_free(cursor);
}

static uint64_t follow_skipped(const struct query_cursor *base)
{
    return CONTAINER_OF(base, struct follow_cursor, cursor)->skipped;
}

static const struct query_source_methods follow_methods = {
    .next = follow_next,
    .close = follow_close,
    .skipped = follow_skipped,
};

int storage_follow(struct storage *storage, struct query_cursor **ret_cursor)
{
    struct follow_cursor *cursor = MEM_NEW(struct follow_cursor);
    cursor->cursor.methods = &follow_methods;
    cursor->storage = storage;
    int rc = datalog_reader_open(storage->log, datalog_stats(storage->log).end, &cursor->reader);
    if (rc < 0) {
        mem_free(cursor);
        return rc;
    }
    *ret_cursor = &cursor->cursor;
    return 0;
}
