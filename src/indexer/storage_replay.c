/*
 * The replay of the log when storage is opened: what wells had not flushed, what the catalogue's
 * checkpoint and the tombstones' file do not have. Tested by storage_test.c.
 */
#include <inttypes.h>

#include "base/mem.h"
#include "datalog/parts.h"
#include "indexer/storage_internal.h"
#include "well/points_record.h"

uint64_t storage_slot_flushed(const struct storage_slot *slot)
{
    uint64_t flushed = well_flushed(slot->well);
    return MAX(flushed, slot->flushed);
}

static struct storage_slot *slot_named(struct storage *storage, struct span name)
{
    for (size_t i = 0; i < storage->slots.count; i++) {
        if (span_equal_str(name, storage->slots.items[i].name)) {
            return &storage->slots.items[i];
        }
    }
    return NULL;
}

/* The catalogue learns the names it lost from the record. */
static void restore_names(struct storage *storage, struct entries *entries)
{
    uint16_t tag;
    struct span name;
    struct entries walk = *entries;
    while (entries_next_tag(&walk, &tag, &name)) {
        if (name.bytes > 0 && series_tags_restore(storage->tags, name, tag) < 0) {
            storage->damage++;
            storage_report(storage, "replay: %s", err_text());
        }
    }
}

/* A record that is replayed, and whether its part is one of points. */
struct replay {
    uint64_t *flushed; /* by slot */
    bool has_dropped;
    const struct datalog_record *record;
    struct stamp stamp;
};

static int apply_copy(struct storage *storage, struct well *well, struct span run,
                      const struct replay *replay)
{
    struct buf copy = {0};
    uint64_t position = replay->record->position;
    buf_append(&copy, run);
    int rc = replay->record->type == DATALOG_POINTS
                 ? well_apply_points(well, &copy, position, replay->stamp)
                 : well_apply(well, &copy, position, replay->stamp);
    if (rc == 0 && well_sealed(well) > 0 && well_flush(well) < 0) {
        storage_report(storage, "replay: %s", err_text()); /* it stays in memory */
    }
    return rc;
}

/* The entries of a run that go to a slot now. */
static void pick_entries(struct storage *storage, struct span run, size_t slot, struct buf *own)
{
    VEC(struct entry) entries = {0};
    struct entries walk;
    struct entry entry;
    CHECK(entries_open(&walk, run) == 0); /* it was looked at before */
    while (entries_next(&walk, &entry)) {
        if (storage_route(storage, entry.tag) == slot) {
            vec_push(&entries, entry);
        }
    }
    if (entries.count > 0) {
        entries_encode(own, entries.items, entries.count, storage_name_of, storage->tags);
    }
    vec_deinit(&entries);
}

/* The points of a record that go to a slot; SIZE_MAX: to any, of series that have a name. */
static void pick_points(struct storage *storage, struct span payload, size_t slot, struct buf *own)
{
    VEC(struct element) elements = {0};
    struct points_record record;
    struct points_part part;
    CHECK(points_record_open(&record, payload) == 0); /* it was looked at before */
    while (points_record_next(&record, &part)) {
        size_t route = storage_route_series(storage, part.series);
        if (route == SIZE_MAX || (slot != SIZE_MAX && route != slot)) {
            continue;
        }
        if (own->bytes == 0) {
            points_record_begin(own);
        }
        vec_clear(&elements);
        for (size_t i = 0; i < part.count; i++) {
            vec_push(&elements, points_part_element(&part, i));
        }
        points_record_put(own, 0, part.series, elements.items, elements.count);
    }
    vec_deinit(&elements);
}

/* A part of a well that the config has no more, and nobody knows where it was: what it has goes
 * where its tags go now. */
static int apply_orphan(struct storage *storage, struct span payload, const struct replay *replay)
{
    int rc = 0;
    for (size_t slot = 0; rc == 0 && slot < storage->slots.count; slot++) {
        struct buf run = {0};
        if (replay->record->type == DATALOG_POINTS) {
            pick_points(storage, payload, slot, &run);
        } else {
            pick_entries(storage, payload, slot, &run);
        }
        if (run.bytes > 0) {
            rc = apply_copy(storage, storage->slots.items[slot].well, buf_span(&run), replay);
        }
        buf_deinit(&run);
    }
    return rc;
}

/* The well that has the location now: it was given another name. */
static struct storage_slot *slot_at(struct storage *storage, const char *location)
{
    for (size_t i = 0; location != NULL && i < storage->slots.count; i++) {
        const char *other = storage->slots.items[i].location;
        if (other != NULL &&
            span_equal(storage_without_slashes(other), storage_without_slashes(location))) {
            return &storage->slots.items[i];
        }
    }
    return NULL;
}

static int open_dropped(struct storage *storage, struct storage_dropped *dropped)
{
    if (dropped->well != NULL) {
        return 0;
    }
    struct well_options options = storage_well_options(storage, dropped->name, dropped->location);
    int rc = well_open(&options, &dropped->well);
    if (rc < 0) {
        return err_wrap(rc == ERR_CORRUPT ? ERR_IO : rc,
                        "the config has no well %s any more, but the datalog has entries of it",
                        dropped->name);
    }
    uint64_t flushed = well_flushed(dropped->well);
    dropped->flushed = MAX(dropped->flushed, flushed);
    return 0;
}

/* What a well had stays with it, also when the config has dropped it: its records are flushed
 * where it was. The well itself knows best which of them are. */
static int replay_dropped(struct storage *storage, struct span well, struct span payload,
                          struct replay *replay, bool *ret_applied)
{
    struct storage_dropped *dropped = storage_dropped_well(storage, well);
    uint64_t position = replay->record->position;
    int rc = 0;
    if (position >= dropped->flushed && dropped->location != NULL) {
        rc = open_dropped(storage, dropped);
    }
    if (rc < 0 || position < dropped->flushed) {
        return rc;
    }
    replay->has_dropped = *ret_applied = true;
    return dropped->location == NULL ? apply_orphan(storage, payload, replay)
                                     : apply_copy(storage, dropped->well, payload, replay);
}

/* Points of series that nobody defined belong to a submission that failed. */
static bool all_have_names(struct storage *storage, struct points_record record)
{
    struct points_part part;
    while (points_record_next(&record, &part)) {
        if (storage_route_series(storage, part.series) == SIZE_MAX) {
            return false;
        }
    }
    return true;
}

static int look_at_entries(struct storage *storage, struct span payload, uint64_t *ret_count)
{
    struct entries entries;
    int rc = entries_open(&entries, payload);
    if (rc == 0) {
        restore_names(storage, &entries);
        *ret_count = entries.count;
    }
    return rc;
}

/* `own` is what remains of the payload, if not all of it. */
static int look_at_points(struct storage *storage, struct span *payload, struct buf *own,
                          const struct replay *replay, uint64_t *ret_count)
{
    struct points_record record;
    int rc = points_record_open(&record, *payload);
    if (rc < 0) {
        return rc;
    }
    *ret_count = record.elements;
    if (!all_have_names(storage, record)) {
        pick_points(storage, *payload, SIZE_MAX, own);
        *payload = buf_span(own);
        storage_report(storage, "replay: record %" PRIu64 " has points of series without a name",
                       replay->record->position);
    }
    if (payload->bytes > 0) {
        storage_touch(storage, *payload, replay->stamp);
    }
    return 0;
}

static int replay_part(struct storage *storage, struct span well, struct span payload,
                       struct replay *replay)
{
    struct buf own = {0};
    uint64_t count = 0;
    bool is_points = replay->record->type == DATALOG_POINTS;
    int rc = is_points ? look_at_points(storage, &payload, &own, replay, &count)
                       : look_at_entries(storage, payload, &count);
    struct storage_slot *slot = slot_named(storage, well);
    bool applied = false;
    if (slot == NULL) {
        slot = slot_at(storage, storage_dropped_well(storage, well)->location);
    }
    if (rc < 0 || payload.bytes == 0) {
        /* nothing of it can be used */
    } else if (slot == NULL) {
        rc = replay_dropped(storage, well, payload, replay, &applied);
    } else if (replay->record->position >= replay->flushed[slot - storage->slots.items]) {
        applied = true;
        rc = apply_copy(storage, slot->well, payload, replay);
    }
    buf_deinit(&own);
    if (rc == 0 && applied) {
        *(is_points ? &storage->points_replayed : &storage->entries_replayed) += count;
    }
    return rc;
}

static int replay_parts(struct storage *storage, struct replay *replay)
{
    struct datalog_parts parts = datalog_parts_of(replay->record);
    struct span well;
    struct span payload;
    int rc;
    while ((rc = datalog_parts_next(&parts, &well, &payload)) == 0) {
        rc = replay_part(storage, well, payload, replay);
        if (rc < 0) {
            return rc;
        }
    }
    return MIN(rc, 0);
}

static int replay_record(struct storage *storage, const struct datalog_record *record,
                         struct replay *replay)
{
    struct series_origin origin = {record->origin.node, record->origin.incarnation};
    replay->record = record;
    replay->stamp.time = record->time;
    int rc = series_origins_put(storage->origins, &origin, &replay->stamp.origin);
    if (rc < 0) {
        return rc;
    }
    switch (record->type) {
    case DATALOG_UPDATE:
    case DATALOG_POINTS:
        return replay_parts(storage, replay);
    case DATALOG_SERIES:
        return series_catalogue_apply_series(storage->catalogue, record->payload);
    case DATALOG_META:
        storage_apply_meta(storage, record->payload, replay->stamp);
        return 0;
    case DATALOG_DELETE:
        storage_apply_delete(storage, record->payload, record->position, replay->stamp);
        return 0;
    }
    return 0;
}

static int replay_log(struct storage *storage, struct replay *replay)
{
    struct datalog_reader *reader;
    int rc = datalog_reader_open(storage->log, datalog_first(storage->log), &reader);
    while (rc >= 0) {
        struct datalog_record record;
        rc = datalog_read(reader, &record);
        if (rc == DATALOG_END) {
            rc = 0;
            break;
        }
        if (rc == 0) {
            rc = replay_record(storage, &record, replay);
            bool damaged = rc == ERR_CORRUPT || rc == ERR_CONFLICT;
            storage->damage += damaged ? 1 : 0; /* the log counts its own */
            rc = damaged ? ERR_CORRUPT : rc;
        }
        if (rc == ERR_CORRUPT) {
            storage_report(storage, "replay: %s", err_text());
            rc = 0;
        }
    }
    datalog_reader_close(&reader);
    return rc;
}

static int flush_dropped(struct storage *storage)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < storage->dropped.count; i++) {
        struct well *well = storage->dropped.items[i].well;
        if (well != NULL) {
            well_seal(well);
            rc = well_flush(well);
        }
    }
    return rc;
}

/* What dropped wells had not flushed is flushed now, before the log is trimmed, and must not be
 * met again. */
static int settle_dropped(struct storage *storage)
{
    int rc = flush_dropped(storage);
    if (rc == 0) {
        rc = storage_flush(storage);
    }
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; i < storage->dropped.count; i++) {
        well_close(&storage->dropped.items[i].well);
        storage->dropped.items[i].flushed = datalog_end(storage->log);
    }
    return storage_flushed_write(storage);
}

int storage_replay(struct storage *storage)
{
    struct replay about = {
        .flushed = mem_alloc_array(storage->slots.count, sizeof(uint64_t)),
    };
    for (size_t i = 0; i < storage->slots.count; i++) {
        about.flushed[i] = storage_slot_flushed(&storage->slots.items[i]);
    }
    int rc = replay_log(storage, &about);
    mem_free(about.flushed);
    atomic_store(&storage->applied_end, datalog_end(storage->log));
    return rc == 0 && about.has_dropped ? settle_dropped(storage) : rc;
}
