/* Tested by snapshot_test.c. */
#include "indexer/snapshot_give.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/time.h"
#include "well/points.h"
#include "well/points_record.h"

#define PART_BYTES ((size_t)1 << 20) /* a part is closed at this size */
#define LOOK_BATCHES 32              /* read at once, if the target lacks nothing of them */
#define SERIES_AT_ONCE 512           /* of one cursor */
#define NUMBERS_AT_ONCE 16384        /* whose attributes are looked at */

enum phase { DELETES, ENTRIES, POINTS, METAS, OVER };

/* Which stamps of an origin the target lacks: above low, up to high. */
struct limits {
    bool known;
    bool none;
    uint64_t low;
    uint64_t high;
    struct datalog_origin origin;
};

struct piece {
    struct stamp stamp;
    size_t at;
    size_t bytes;
};

struct snapshot_give {
    struct storage *storage;
    struct replicate_places theirs;
    struct replicate_places places;
    struct replicate_places doubt;
    struct link_filter *filter;
    struct replicate_places sent, sent_doubt; /* the two, as the filter lets pass */
    struct buf passed;
    struct replicate_needs needs;
    int64_t horizon_ns;
    int64_t start_ns;      /* nothing older is looked at */
    struct limits *limits; /* by number of origin */

    enum phase phase;
    VEC(struct piece) deletes; /* all of them; pieces of */
    struct buf deletes_text;
    size_t next_delete;
    VEC(uint16_t) tags; /* that are still to come, from the end */
    struct well_cursor *entries;
    uint32_t next_series; /* also of the attributes */
    struct well_points_cursor *points;

    struct replicate_part_writer part;
    VEC(struct entry) chosen;
    VEC(struct element) elements;
    struct snapshot_progress progress;
};

/* ---- what is lacking ---- */

/* A place of an old log may have no time. */
static uint64_t time_of(struct replicate_place place, uint64_t unknown)
{
    return place.position > 0 && place.time == 0 ? unknown : place.time;
}

static const struct limits *limits_of(struct snapshot_give *give, uint16_t number)
{
    struct limits *limits = &give->limits[number];
    struct series_origin origin;
    if (limits->known) {
        return limits;
    }
    limits->known = true;
    if (!series_origins_get(storage_origins(give->storage), number, &origin)) {
        limits->none = true;
        return limits;
    }
    struct datalog_origin here = {origin.node, origin.incarnation};
    limits->origin = replicate_origin_through(here, link_filter_id(give->filter));
    limits->low = time_of(replicate_places_of(&give->theirs, limits->origin), 0);
    uint64_t held = time_of(replicate_places_of(&give->places, here), UINT64_MAX);
    limits->high = MAX(held, replicate_places_of(&give->doubt, here).time);
    return limits;
}

static bool is_missing(const struct snapshot_give *give, int64_t time_ns)
{
    return time_ns >= give->needs.missing_ns && time_ns < give->needs.missing_end_ns;
}

static bool lacks(struct snapshot_give *give, int64_t time_ns, struct stamp stamp)
{
    const struct limits *limits = limits_of(give, stamp.origin);
    bool missing = is_missing(give, time_ns);
    if (limits->none) {
        return missing || time_ns >= give->needs.since_ns;
    }
    return stamp.time <= limits->high &&
           (missing || (stamp.time > limits->low && time_ns >= give->needs.since_ns));
}

static uint16_t origin_of(struct snapshot_give *give, uint16_t number)
{
    const struct limits *limits = limits_of(give, number);
    return limits->none ? REPLICATE_NO_ORIGIN : replicate_part_origin(&give->part, limits->origin);
}

static void put_stamp(struct snapshot_give *give, struct stamp stamp)
{
    replicate_part_stamp(&give->part, origin_of(give, stamp.origin), stamp.time);
}

/* ---- deletes ---- */

static int collect_delete(void *context, const struct series_delete *deletion, struct stamp stamp)
{
    struct snapshot_give *give = context;
    const struct limits *limits = limits_of(give, stamp.origin);
    if (!limits->none && stamp.time > limits->low) {
        struct piece piece = {.stamp = stamp, .at = give->deletes_text.bytes};
        series_delete_encode(&give->deletes_text, deletion);
        piece.bytes = give->deletes_text.bytes - piece.at;
        vec_push(&give->deletes, piece);
    }
    return 0;
}

/* They come first, so that nothing of what they cover is ever seen. */
static void next_deletes(struct snapshot_give *give)
{
    replicate_part_begin(&give->part, REPLICATE_PART_DELETES);
    while (give->next_delete < give->deletes.count && give->part.payload.bytes < PART_BYTES) {
        const struct piece *piece = &give->deletes.items[give->next_delete++];
        replicate_part_piece(&give->part, origin_of(give, piece->stamp.origin), piece->stamp.time,
                             span_of(give->deletes_text.data + piece->at, piece->bytes));
    }
    if (give->next_delete == give->deletes.count) {
        give->phase = ENTRIES;
    }
}

/* ---- life ---- */

bool snapshot_give_helps(struct storage *storage, const struct replicate_needs *needs)
{
    struct replicate_needs own = storage_needs(storage);
    return needs->missing_ns < needs->missing_end_ns && own.missing_ns >= own.missing_end_ns &&
           storage_horizon(storage) < needs->missing_end_ns;
}

/* From when on it gives everything: not of a time that it lacks itself. */
static int64_t horizon_of(struct storage *storage)
{
    struct replicate_needs own = storage_needs(storage);
    int64_t horizon_ns = storage_horizon(storage);
    return own.missing_ns < own.missing_end_ns ? MAX(horizon_ns, own.missing_end_ns) : horizon_ns;
}

static int take_tag(void *context, uint16_t tag, struct span name)
{
    struct snapshot_give *give = context;
    if (give->filter == NULL || link_filter_tag(give->filter, name)) {
        vec_push(&give->tags, tag);
    }
    return 0;
}

/* Nothing that they do not have anyway: their places do not move by it. */
static void meet_places(struct snapshot_give *give)
{
    size_t kept = 0;
    for (size_t i = 0; i < give->places.all.count; i++) {
        struct replicate_place here = give->places.all.items[i];
        struct replicate_place there = replicate_places_of(&give->theirs, here.origin);
        if (there.position > 0) {
            give->places.all.items[kept++] = there.position < here.position ? there : here;
        }
    }
    give->places.all.count = kept;
    vec_clear(&give->doubt.all);
}

struct snapshot_give *snapshot_give_new(const struct snapshot_give_options *options)
{
    struct snapshot_give *give = MEM_NEW(struct snapshot_give);
    give->storage = options->storage;
    give->needs = options->needs;
    give->limits = mem_alloc_array((size_t)UINT16_MAX + 1, sizeof(*give->limits));
    give->next_series = 1;
    replicate_places_copy(&give->theirs, options->theirs);
    storage_doubt(give->storage, &give->doubt);
    storage_places(give->storage, &give->places);
    storage_settle(give->storage); /* what the places promise can be read now */
    replicate_places_without(&give->places, options->ignored, options->ignored_count);
    replicate_places_without(&give->doubt, options->ignored, options->ignored_count);
    if (options->only_needs) {
        meet_places(give);
    }
    give->filter = options->filter;
    replicate_places_through(&give->sent, &give->places, link_filter_id(give->filter));
    replicate_places_through(&give->sent_doubt, &give->doubt, link_filter_id(give->filter));
    give->horizon_ns = horizon_of(give->storage);
    give->start_ns = give->needs.since_ns;
    if (give->needs.missing_ns < give->needs.missing_end_ns) {
        give->start_ns = MIN(give->start_ns, give->needs.missing_ns);
    }
    (void)!storage_each_delete(give->storage, collect_delete, give);
    (void)!series_tags_each(storage_tags(give->storage), take_tag, give);
    for (size_t i = 0; i < storage_stats(give->storage).wells; i++) {
        struct well_stats stats = storage_well_stats(give->storage, i);
        give->progress.total += stats.entries + stats.points;
    }
    return give;
}

void snapshot_give_free(struct snapshot_give **place)
{
    struct snapshot_give *give = *place;
    *place = NULL;
    if (give == NULL) {
        return;
    }
    well_cursor_close(&give->entries);
    well_points_cursor_close(&give->points);
    replicate_places_deinit(&give->theirs);
    replicate_places_deinit(&give->places);
    replicate_places_deinit(&give->doubt);
    replicate_places_deinit(&give->sent);
    replicate_places_deinit(&give->sent_doubt);
    buf_deinit(&give->passed);
    replicate_part_deinit(&give->part);
    vec_deinit(&give->deletes);
    buf_deinit(&give->deletes_text);
    vec_deinit(&give->tags);
    vec_deinit(&give->chosen);
    vec_deinit(&give->elements);
    mem_free(give->limits);
    mem_free(give);
}

const struct replicate_places *snapshot_give_places(const struct snapshot_give *give)
{
    return &give->places;
}

void snapshot_give_begin(const struct snapshot_give *give, struct replicate_message *message)
{
    message->type = REPLICATE_SNAPSHOT_BEGIN;
    message->horizon_ns = give->horizon_ns;
    message->needs = give->needs;
    message->places = give->sent;
    message->doubt = give->sent_doubt;
}

struct snapshot_progress snapshot_give_progress(const struct snapshot_give *give)
{
    return give->progress;
}

/* ---- entries ---- */

static struct span name_of(void *context, uint16_t tag)
{
    return series_tags_name(context, tag);
}

static int open_entries(struct snapshot_give *give)
{
    uint16_t tag = give->tags.items[--give->tags.count];
    struct well_scan scan = {
        .start_ns = give->start_ns,
        .end_ns = TIME_MAX_NS,
        .tags = &tag,
        .tags_count = 1,
    };
    return storage_scan_of(give->storage, link_filter_wells(give->filter), &scan, &give->entries);
}

static void put_entries(struct snapshot_give *give, const struct well_block *block)
{
    vec_clear(&give->chosen);
    for (size_t i = 0; i < block->count; i++) {
        if (lacks(give, block->entries[i].time_ns, block->entries[i].stamp)) {
            vec_push(&give->chosen, block->entries[i]);
            put_stamp(give, block->entries[i].stamp);
        }
    }
    if (give->chosen.count > 0) {
        entries_encode(&give->part.payload, give->chosen.items, give->chosen.count, name_of,
                       storage_tags(give->storage));
    }
    give->progress.looked_at += block->count;
    give->progress.given += give->chosen.count;
}

/* One block that has something, if there is one among the next few. */
static int next_entries(struct snapshot_give *give)
{
    replicate_part_begin(&give->part, REPLICATE_PART_ENTRIES);
    for (int i = 0; i < LOOK_BATCHES && give->part.count == 0; i++) {
        if (give->entries == NULL && give->tags.count == 0) {
            give->phase = POINTS;
            return 0;
        }
        int rc = give->entries == NULL ? open_entries(give) : 0;
        struct well_block block;
        rc = rc < 0 ? rc : well_cursor_next(give->entries, &block);
        if (rc == WELL_END) {
            well_cursor_close(&give->entries);
        } else if (rc < 0) {
            return rc;
        } else {
            put_entries(give, &block);
        }
    }
    return 0;
}

/* ---- points ---- */

static int open_points(struct snapshot_give *give)
{
    uint32_t end = series_catalogue_numbers_end(storage_catalogue(give->storage));
    uint32_t numbers[SERIES_AT_ONCE];
    size_t count = 0;
    while (count < SERIES_AT_ONCE && give->next_series < end) {
        uint32_t number = give->next_series++;
        if (give->filter == NULL ||
            link_filter_series(give->filter, storage_catalogue(give->storage), number)) {
            numbers[count++] = number;
        }
    }
    struct well_fetch fetch = {
        .series = numbers,
        .series_count = count,
        .start_ns = give->start_ns,
        .end_ns = INT64_MAX,
        .ascending = true,
        .stamps = true,
        .count_max = UINT64_MAX,
    };
    return count == 0 ? WELL_END
                      : storage_fetch_of(give->storage, link_filter_wells(give->filter), &fetch,
                                         &give->points);
}

static void put_points(struct snapshot_give *give, const struct well_points *points)
{
    vec_clear(&give->elements);
    for (size_t i = 0; i < points->count; i++) {
        const struct element *element = &points->elements[i];
        if (lacks(give, element->time_ns, element->stamp)) {
            vec_push(&give->elements, *element);
            put_stamp(give, element->stamp);
        }
    }
    if (give->elements.count > 0) {
        if (give->part.payload.bytes == 0) {
            points_record_begin(&give->part.payload);
        }
        points_record_put(&give->part.payload, 0, points->series, give->elements.items,
                          give->elements.count);
    }
    give->progress.looked_at += points->count;
    give->progress.given += give->elements.count;
}

static int next_points(struct snapshot_give *give, struct link_told *told, struct buf *definitions)
{
    struct well_points points;
    replicate_part_begin(&give->part, REPLICATE_PART_POINTS);
    for (int i = 0; i < LOOK_BATCHES * 16 && give->part.payload.bytes < PART_BYTES; i++) {
        int rc = give->points == NULL ? open_points(give) : 0;
        if (rc == WELL_END) {
            give->phase = METAS;
            give->next_series = 1;
            break;
        }
        rc = rc < 0 ? rc : well_points_cursor_next(give->points, &points);
        if (rc == WELL_END) {
            well_points_cursor_close(&give->points);
        } else if (rc < 0) {
            return rc;
        } else {
            put_points(give, &points);
        }
    }
    struct datalog_record record = {
        .type = DATALOG_POINTS, .well = SPAN_LIT("-"), .payload = buf_span(&give->part.payload)};
    return give->part.count == 0
               ? 0
               : link_tell_series(told, storage_catalogue(give->storage), &record, definitions);
}

/* ---- attributes ---- */

static int put_meta(void *context, struct span metas, struct stamp stamp)
{
    struct snapshot_give *give = context;
    const struct limits *limits = limits_of(give, stamp.origin);
    struct datalog_record record = {.type = DATALOG_META, .payload = metas};
    bool looks = give->needs.missing_ns < give->needs.missing_end_ns; /* attributes have no time */
    if (limits->none || (stamp.time <= limits->low && !looks) || stamp.time > limits->high) {
        return 0;
    }
    int rc = give->filter == NULL
                 ? 0
                 : link_filter_record(give->filter, storage_catalogue(give->storage), &record,
                                      &give->passed, &record);
    if (rc >= 0 && rc != LINK_FILTER_NONE) {
        replicate_part_piece(&give->part, origin_of(give, stamp.origin), stamp.time,
                             record.payload);
    }
    return MIN(rc, 0);
}

static int next_metas(struct snapshot_give *give)
{
    struct series_catalogue *catalogue = storage_catalogue(give->storage);
    uint32_t end = series_catalogue_numbers_end(catalogue);
    int rc = 0;
    replicate_part_begin(&give->part, REPLICATE_PART_METAS);
    for (int i = 0; rc == 0 && i < NUMBERS_AT_ONCE && give->part.payload.bytes < PART_BYTES; i++) {
        if (give->next_series >= end) {
            give->phase = OVER;
            return series_catalogue_orphan_metas(catalogue, put_meta, give);
        }
        rc = series_catalogue_metas(catalogue, give->next_series++, put_meta, give);
    }
    return rc;
}

/* ---- parts ---- */

/* The target knows how far it is, and that somebody is there. */
static void put_progress(struct snapshot_give *give)
{
    replicate_part_begin(&give->part, REPLICATE_PART_PROGRESS);
    wire_put_u64(&give->part.payload, give->progress.looked_at);
    wire_put_u64(&give->part.payload, MAX(give->progress.total, give->progress.looked_at));
}

int snapshot_give_next(struct snapshot_give *give, struct link_told *told, struct buf *definitions,
                       struct buf *body)
{
    int rc = 0;
    switch (give->phase) {
    case DELETES:
        next_deletes(give);
        break;
    case ENTRIES:
        rc = next_entries(give);
        break;
    case POINTS:
        rc = next_points(give, told, definitions);
        break;
    case METAS:
        rc = next_metas(give);
        break;
    case OVER:
        return SNAPSHOT_GIVE_END;
    }
    if (rc < 0) {
        return err_wrap(rc, "a snapshot");
    }
    if (give->part.count == 0) {
        put_progress(give);
    }
    replicate_part_write(&give->part, body);
    return 0;
}
