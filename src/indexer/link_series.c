/* Tested by replication_test.c. */
#include "indexer/link_series.h"

#include <inttypes.h>

#include "base/mem.h"
#include "datalog/parts.h"
#include "well/points_record.h"

#define TAGS ((size_t)UINT16_MAX + 1)
#define SERIES_NUMBER_MAX (UINT32_C(1) << 28)

/* ---- telling ---- */

void link_told_deinit(struct link_told *told)
{
    vec_deinit(&told->bits);
    *told = (struct link_told){0};
}

/* True the first time. */
static bool tell_first(struct link_told *told, uint32_t number)
{
    while (told->bits.count <= number / 64) {
        vec_push(&told->bits, 0);
    }
    uint64_t bit = UINT64_C(1) << number % 64;
    bool first = (told->bits.items[number / 64] & bit) == 0;
    told->bits.items[number / 64] |= bit;
    return first;
}

static int tell_payload(struct link_told *told, struct series_catalogue *catalogue,
                        struct span payload, struct buf *definitions)
{
    struct points_record points;
    struct points_part part;
    struct buf key = {0};
    int rc = points_record_open(&points, payload);
    while (rc == 0 && points_record_next(&points, &part)) {
        if (!tell_first(told, part.series)) {
            continue;
        }
        buf_clear(&key);
        if (!series_catalogue_key(catalogue, part.series, &key)) {
            rc = err_set(ERR_CORRUPT, "points of series %" PRIu32 ", which has no name",
                         part.series);
            break;
        }
        if (definitions->bytes == 0) {
            series_definitions_begin(definitions);
        }
        struct series_definition definition = {part.series, buf_span(&key)};
        series_definitions_put(definitions, &definition);
    }
    buf_deinit(&key);
    return rc;
}

int link_tell_series(struct link_told *told, struct series_catalogue *catalogue,
                     const struct datalog_record *record, struct buf *definitions)
{
    if (record->type != DATALOG_POINTS) {
        return 0;
    }
    struct datalog_parts parts = datalog_parts_of(record);
    struct span well;
    struct span payload;
    int rc;
    while ((rc = datalog_parts_next(&parts, &well, &payload)) == 0) {
        rc = tell_payload(told, catalogue, payload, definitions);
        if (rc < 0) {
            return err_wrap(rc, "record %" PRIu64, record->position);
        }
    }
    return rc < 0 ? rc : 0;
}

/* ---- hearing ---- */

void link_heard_deinit(struct link_heard *heard)
{
    vec_deinit(&heard->numbers);
    vec_deinit(&heard->entries);
    vec_deinit(&heard->elements);
    vec_deinit(&heard->points);
    mem_free(heard->tags);
    mem_free(heard->named);
}

int link_hear_series(struct link_heard *heard, struct storage *storage, struct span definitions)
{
    struct series_definitions walk;
    struct series_definition theirs;
    int rc = series_definitions_open(&walk, definitions);
    while (rc >= 0 && series_definitions_next(&walk, &theirs)) {
        if (theirs.number == SERIES_NONE || theirs.number > SERIES_NUMBER_MAX) {
            return err_set(ERR_PROTOCOL, "number %" PRIu32 " of a series", theirs.number);
        }
        while (heard->numbers.count <= theirs.number) {
            vec_push(&heard->numbers, SERIES_NONE);
        }
        rc = series_catalogue_put(storage_catalogue(storage), theirs.key,
                                  &heard->numbers.items[theirs.number]);
    }
    return rc < 0 ? rc : 0;
}

static void define_payload(const struct link_heard *heard, struct storage *storage,
                           struct span payload, struct buf *definitions)
{
    struct points_record points;
    struct points_part part;
    struct buf key = {0};
    if (points_record_open(&points, payload) < 0) {
        return;
    }
    while (points_record_next(&points, &part)) {
        buf_clear(&key);
        if (part.series < heard->numbers.count &&
            heard->numbers.items[part.series] != SERIES_NONE &&
            series_catalogue_key(storage_catalogue(storage), heard->numbers.items[part.series],
                                 &key)) {
            if (definitions->bytes == 0) {
                series_definitions_begin(definitions);
            }
            struct series_definition definition = {part.series, buf_span(&key)};
            series_definitions_put(definitions, &definition);
        }
    }
    buf_deinit(&key);
}

void link_heard_define(const struct link_heard *heard, struct storage *storage,
                       const struct datalog_record *record, struct buf *definitions)
{
    struct datalog_parts parts = datalog_parts_of(record);
    struct span well;
    struct span payload;
    while (record->type == DATALOG_POINTS && datalog_parts_next(&parts, &well, &payload) == 0) {
        define_payload(heard, storage, payload, definitions);
    }
}

int link_hear_entries(struct link_heard *heard, struct storage *storage, struct span payload)
{
    if (heard->tags == NULL) {
        heard->tags = mem_alloc_array(TAGS, sizeof(*heard->tags));
        heard->named = mem_alloc_array(TAGS, sizeof(*heard->named));
    }
    struct entries run;
    uint16_t theirs;
    struct span name;
    struct entry entry;
    int rc = entries_open(&run, payload);
    if (rc < 0) {
        return rc;
    }
    struct entries names = run;
    while (rc == 0 && entries_next_tag(&run, &theirs, &name)) {
        rc = storage_tag(storage, name, &heard->tags[theirs]);
        heard->named[theirs] = true;
    }
    while (rc == 0 && entries_next(&run, &entry)) {
        if (!heard->named[entry.tag]) {
            rc = err_set(ERR_PROTOCOL, "entries of tag %u, which was not named", entry.tag);
            break;
        }
        entry.tag = heard->tags[entry.tag];
        entry.stamp = (struct stamp){0};
        vec_push(&heard->entries, entry);
    }
    while (entries_next_tag(&names, &theirs, &name)) {
        heard->named[theirs] = false; /* in the next run the number may mean something else */
    }
    return rc;
}

int link_hear_points(struct link_heard *heard, struct span payload)
{
    struct points_record points;
    struct points_part part;
    int rc = points_record_open(&points, payload);
    while (rc == 0 && points_record_next(&points, &part)) {
        if (part.series >= heard->numbers.count ||
            heard->numbers.items[part.series] == SERIES_NONE) {
            return err_set(ERR_PROTOCOL, "points of series %" PRIu32 ", which was not named",
                           part.series);
        }
        struct storage_points mine = {.series = heard->numbers.items[part.series],
                                      .count = part.count};
        for (uint32_t i = 0; i < part.count; i++) {
            vec_push(&heard->elements, points_part_element(&part, i));
        }
        vec_push(&heard->points, mine);
    }
    return rc;
}

void link_heard_place(struct link_heard *heard)
{
    struct element *elements = heard->elements.items;
    for (size_t i = 0; i < heard->points.count; i++) {
        heard->points.items[i].elements = elements;
        elements += heard->points.items[i].count;
    }
}

/* All parts of an UPDATE or POINTS record: it becomes one here, whatever wells there are. */
static int take_parts(struct link_heard *heard, struct storage *storage,
                      const struct datalog_record *record)
{
    struct datalog_parts parts = datalog_parts_of(record);
    struct span well;
    struct span payload;
    int rc;
    vec_clear(&heard->entries);
    vec_clear(&heard->elements);
    vec_clear(&heard->points);
    while ((rc = datalog_parts_next(&parts, &well, &payload)) == 0) {
        rc = record->type == DATALOG_UPDATE ? link_hear_entries(heard, storage, payload)
                                            : link_hear_points(heard, payload);
        if (rc < 0) {
            break;
        }
    }
    link_heard_place(heard);
    return rc < 0 ? rc : 0;
}

static int submit_parts(struct link_heard *heard, struct storage *storage,
                        const struct datalog_record *record,
                        const struct storage_received *received, storage_done done, void *context)
{
    int rc = take_parts(heard, storage, record);
    if (rc < 0) {
        return rc;
    }
    if (heard->entries.count > 0) {
        return storage_submit_received(storage, heard->entries.items, heard->entries.count,
                                       received, done, context);
    }
    if (heard->points.count > 0) {
        return storage_submit_points(storage, heard->points.items, heard->points.count, received,
                                     done, context);
    }
    return err_set(ERR_PROTOCOL, "a record with nothing in it");
}

int link_submit(struct link_heard *heard, struct storage *storage,
                const struct datalog_record *record, uint64_t after, storage_done done,
                void *context)
{
    struct storage_received received = {
        .origin = record->origin,
        .origin_position = record->origin_position,
        .time = record->time,
        .after = after,
    };
    struct series_delete deletion;
    int rc;
    switch (record->type) {
    case DATALOG_UPDATE:
    case DATALOG_POINTS:
        return submit_parts(heard, storage, record, &received, done, context);
    case DATALOG_META:
        return storage_submit_meta(storage, record->payload, &received, done, context);
    case DATALOG_DELETE:
        rc = series_delete_decode(record->payload, &deletion);
        return rc < 0 ? rc : storage_submit_delete(storage, &deletion, &received, done, context);
    case DATALOG_SERIES:
        return storage_submit_series(storage, record->payload, &received, done, context);
    }
    return err_set(ERR_UNSUPPORTED, "a record of type %d", record->type);
}
