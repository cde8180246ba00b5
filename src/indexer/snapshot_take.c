/* Tested by snapshot_test.c. */
#include "indexer/snapshot_take.h"

#include "base/time.h"
#include "replicate/snapshot.h"
#include "service/log.h"

int snapshot_take_begin(struct snapshot_take *take, struct storage *storage,
                        const struct replicate_message *begin)
{
    if (take->on) {
        return err_set(ERR_PROTOCOL, "a snapshot within a snapshot");
    }
    int rc = storage_intake_begin(storage, begin);
    if (rc == STORAGE_INTAKE_BUSY) {
        return err_set(ERR_UNAVAILABLE, "another snapshot is under way");
    }
    take->on = rc == 0;
    take->elements = take->looked_at = take->total = 0;
    if (rc == 0 && begin->horizon_ns > storage_needs(storage).since_ns) {
        char horizon[TIME_TEXT_BYTES];
        log_warn("snapshot-horizon", "the snapshot does not reach back as far as data is kept here",
                 "from", time_text(begin->horizon_ns, horizon), NULL);
    }
    return rc;
}

/* ---- parts ---- */

static int hear_origins(struct snapshot_take *take, struct storage *storage,
                        const struct replicate_part *part)
{
    vec_clear(&take->origins);
    for (size_t i = 0; i < part->origins_count; i++) {
        uint16_t number;
        int rc = storage_origin(storage, replicate_part_origin_at(part, i), &number);
        if (rc < 0) {
            return rc;
        }
        vec_push(&take->origins, number);
    }
    return 0;
}

static struct stamp stamp_at(const struct snapshot_take *take, const struct replicate_part *part,
                             size_t index)
{
    uint16_t origin;
    uint64_t time = replicate_part_stamp_at(part, index, &origin);
    uint16_t ours =
        origin == REPLICATE_NO_ORIGIN ? SERIES_ORIGIN_NONE : take->origins.items[origin];
    return (struct stamp){time, ours};
}

static int take_entries(struct snapshot_take *take, struct storage *storage,
                        struct link_heard *heard, const struct replicate_part *part)
{
    vec_clear(&heard->entries);
    int rc = link_hear_entries(heard, storage, part->payload);
    if (rc == 0 && heard->entries.count != part->count) {
        rc = err_set(ERR_PROTOCOL, "%u stamps of %zu entries", part->count, heard->entries.count);
    }
    for (size_t i = 0; rc == 0 && i < part->count; i++) {
        heard->entries.items[i].stamp = stamp_at(take, part, i);
    }
    return rc < 0 ? rc
                  : storage_intake_entries(storage, heard->entries.items, heard->entries.count);
}

static int take_points(struct snapshot_take *take, struct storage *storage,
                       struct link_heard *heard, const struct replicate_part *part)
{
    vec_clear(&heard->points);
    vec_clear(&heard->elements);
    int rc = link_hear_points(heard, part->payload);
    if (rc == 0 && heard->elements.count != part->count) {
        rc = err_set(ERR_PROTOCOL, "%u stamps of %zu points", part->count, heard->elements.count);
    }
    for (size_t i = 0; rc == 0 && i < part->count; i++) {
        heard->elements.items[i].stamp = stamp_at(take, part, i);
    }
    link_heard_place(heard);
    return rc < 0 ? rc : storage_intake_points(storage, heard->points.items, heard->points.count);
}

static int take_metas(struct snapshot_take *take, struct storage *storage,
                      const struct replicate_part *part)
{
    struct span rest = part->payload;
    struct span metas;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < part->count; i++) {
        rc = replicate_part_next_piece(&rest, &metas);
        rc = rc < 0 ? rc : storage_intake_meta(storage, metas, stamp_at(take, part, i));
    }
    return rc;
}

static int take_deletes(struct snapshot_take *take, struct storage *storage,
                        const struct replicate_part *part)
{
    VEC(struct tombstone *) tombstones = {0};
    struct span rest = part->payload;
    struct span payload;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < part->count; i++) {
        struct series_delete deletion;
        struct tombstone *tombstone = NULL;
        struct stamp stamp = stamp_at(take, part, i);
        rc = replicate_part_next_piece(&rest, &payload);
        rc = rc < 0 ? rc : series_delete_decode(payload, &deletion);
        if (rc == 0 && !storage_intake_is_other(storage, stamp)) {
            rc = tombstone_new(&deletion, 0, stamp, storage_now_ns(storage), &tombstone);
        }
        if (tombstone != NULL) {
            vec_push(&tombstones, tombstone);
        }
    }
    if (rc == 0) {
        rc = storage_intake_deletes(storage, tombstones.items, tombstones.count);
    } else {
        for (size_t i = 0; i < tombstones.count; i++) {
            tombstone_unref(&tombstones.items[i]);
        }
    }
    vec_deinit(&tombstones);
    return rc;
}

static int take_progress(struct snapshot_take *take, const struct replicate_part *part)
{
    struct wire_reader reader = wire_reader_of(part->payload);
    uint64_t looked_at = wire_get_u64(&reader);
    uint64_t total = wire_get_u64(&reader);
    if (wire_finish(&reader) < 0) {
        return err_set(ERR_PROTOCOL, "a malformed part of a snapshot");
    }
    take->looked_at = looked_at;
    take->total = total;
    return 0;
}

int snapshot_take_part(struct snapshot_take *take, struct storage *storage,
                       struct link_heard *heard, struct span body)
{
    struct replicate_part part;
    int rc = take->on ? replicate_part_read(body, &part)
                      : err_set(ERR_PROTOCOL, "a part of no snapshot");
    rc = rc < 0 ? rc : hear_origins(take, storage, &part);
    if (rc < 0) {
        return rc;
    }
    switch (part.kind) {
    case REPLICATE_PART_ENTRIES:
        take->elements += part.count;
        return take_entries(take, storage, heard, &part);
    case REPLICATE_PART_POINTS:
        take->elements += part.count;
        return take_points(take, storage, heard, &part);
    case REPLICATE_PART_METAS:
        return take_metas(take, storage, &part);
    case REPLICATE_PART_DELETES:
        return take_deletes(take, storage, &part);
    case REPLICATE_PART_PROGRESS:
    case REPLICATE_PART_KINDS:
        break;
    }
    return take_progress(take, &part);
}

int snapshot_take_end(struct snapshot_take *take, struct storage *storage)
{
    if (!take->on) {
        return err_set(ERR_PROTOCOL, "the end of no snapshot");
    }
    int rc = storage_intake_end(storage);
    if (rc == 0) {
        take->on = false;
        log_info("snapshot-taken", "a snapshot of another node is here", "elements",
                 LOG_INT(take->elements), NULL);
    }
    return rc;
}

void snapshot_take_deinit(struct snapshot_take *take, struct storage *storage)
{
    if (take->on) {
        storage_intake_drop(storage);
        take->on = false;
    }
    vec_deinit(&take->origins);
}
