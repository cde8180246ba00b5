/* Tested by consumer3x_test.c and tests/cluster/test_warp10_3x.py. */
#include "indexer/apply3x.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/time.h"
#include "indexer/datalog2x.h"
#include "warp10/encoder.h"
#include "warp10/feed3x_record.h"

#define ARENA_BYTES_MAX ((size_t)64 << 20)
#define SLACK_NS TIME_MS_NS /* records of one millisecond have times of that millisecond */

struct lane {
    struct datalog_origin origin;
    uint64_t position, last; /* of its last record, and the time */
};

struct creator {
    char *id;
    struct uuid node;
    VEC(struct lane) lanes;
    int64_t ms; /* of the record taken last, and the how-manieth it was of that millisecond */
    uint64_t same;
    uint64_t behind;      /* records that the log has and the offset does not */
    uint64_t behind_last; /* time of the last of them */
};

struct apply3x {
    struct apply3x_options options;
    struct datalog_origin own;
    char own_id[UUID_TEXT_BYTES];
    struct uuid via;
    struct map creators;
    struct arena *arena; /* of one record */
    VEC(struct element) elements;
    struct buf key, payload;
    const struct offset3x *offset; /* where it was resumed; NULL: nothing is passed over */
    bool has_news;
};

/* Stands for this node and this source in the node part of origins. */
static struct uuid via_of(struct uuid node, const char *source)
{
    struct uuid via = node;
    uint64_t hash = hash64(span_of_str(source));
    for (size_t i = 0; i < sizeof(hash); i++) {
        via.bytes[i] ^= (uint8_t)(hash >> (8 * i));
    }
    return via;
}

struct apply3x *apply3x_new(const struct apply3x_options *options)
{
    struct apply3x *apply = MEM_NEW(struct apply3x);
    apply->options = *options;
    apply->own = datalog_origin(storage_log(options->storage));
    (void)uuid_text(apply->own.node, apply->own_id);
    apply->via = via_of(apply->own.node, options->source);
    apply->arena = arena_new(ARENA_BYTES_MAX);
    return apply;
}

static void drop_creators(struct apply3x *apply)
{
    size_t cursor = 0;
    struct span key;
    void *value;
    while (map_next(&apply->creators, &cursor, &key, &value)) {
        struct creator *creator = value;
        vec_deinit(&creator->lanes);
        mem_free(creator->id);
        mem_free(creator);
    }
    map_clear(&apply->creators);
}

void apply3x_free(struct apply3x **apply)
{
    if (*apply == NULL) {
        return;
    }
    drop_creators(*apply);
    map_deinit(&(*apply)->creators);
    arena_free(&(*apply)->arena);
    vec_deinit(&(*apply)->elements);
    buf_deinit(&(*apply)->key);
    buf_deinit(&(*apply)->payload);
    mem_free(*apply);
    *apply = NULL;
}

/* ── What the log has ────────────────────────────────────────────────────────────────────── */

struct held {
    uint64_t records, last;
};

/* All origins of a node part, in every life of our log. */
static struct held held_of(struct apply3x *apply, struct uuid node)
{
    struct held held = {0};
    struct buf rows = {0};
    size_t count = datalog_origin_positions(storage_log(apply->options.storage), &rows);
    for (size_t i = 0; i < count; i++) {
        struct datalog_origin_position row;
        memcpy(&row, rows.data + i * sizeof(row), sizeof(row));
        if (uuid_equal(row.origin.node, node)) {
            held.records += row.position;
            held.last = MAX(held.last, row.time);
        }
    }
    buf_deinit(&rows);
    return held;
}

static struct uuid node_of(const struct apply3x *apply, struct span id)
{
    return datalog2x_node(datalog2x_id_hash(id), apply->via);
}

static struct creator *creator_of(struct apply3x *apply, struct span id)
{
    struct creator *creator = map_get(&apply->creators, id);
    if (creator != NULL) {
        return creator;
    }
    creator = MEM_NEW(struct creator);
    creator->id = mem_strndup((const char *)id.data, id.bytes);
    creator->node = node_of(apply, id);
    struct held held = held_of(apply, creator->node);
    creator->ms = (int64_t)(held.last / TIME_MS_NS); /* what follows in that millisecond is later */
    creator->same = held.last % TIME_MS_NS;
    if (apply->offset != NULL) {
        uint64_t noted = offset3x_records(apply->offset, id);
        creator->behind = held.records > noted ? held.records - noted : 0;
        creator->behind_last = held.last;
    }
    apply->has_news |= held.records == 0;
    names3x_put(apply->options.names, id);
    (void)map_put(&apply->creators, id, creator);
    return creator;
}

int apply3x_resume(struct apply3x *apply, const struct offset3x *offset)
{
    drop_creators(apply);
    apply->offset = NULL;
    for (size_t i = 0; i < offset->creators.count; i++) {
        const struct offset3x_creator *noted = &offset->creators.items[i];
        struct uuid node = node_of(apply, span_of_str(noted->id));
        names3x_put(apply->options.names, span_of_str(noted->id));
        if (held_of(apply, node).records < noted->records) {
            return APPLY3X_OLDER;
        }
    }
    if (offset->is_kept) {
        apply->offset = offset;
    }
    return 0;
}

void apply3x_note(struct apply3x *apply, struct offset3x *offset)
{
    size_t cursor = 0;
    struct span id;
    void *value;
    while (map_next(&apply->creators, &cursor, &id, &value)) {
        const struct creator *creator = value;
        uint64_t records = held_of(apply, creator->node).records;
        offset3x_set(offset, id, records - MIN(records, creator->behind));
    }
}

bool apply3x_has_news(struct apply3x *apply)
{
    bool has_news = apply->has_news;
    apply->has_news = false;
    return has_news;
}

static void add_lane(struct apply3x *apply, struct creator *creator)
{
    struct lane lane = {.origin = {.node = creator->node}};
    struct buf rows = {0};
    lane.origin.incarnation = apply->own.incarnation * APPLY3X_LANES_MAX + creator->lanes.count;
    size_t count = datalog_origin_positions(storage_log(apply->options.storage), &rows);
    for (size_t i = 0; i < count; i++) {
        struct datalog_origin_position row;
        memcpy(&row, rows.data + i * sizeof(row), sizeof(row));
        if (uuid_equal(row.origin.node, creator->node) &&
            row.origin.incarnation == lane.origin.incarnation) {
            lane.position = row.position;
            lane.last = row.time == 0 && row.position > 0 ? UINT64_MAX : row.time;
        }
    }
    buf_deinit(&rows);
    vec_push(&creator->lanes, lane);
}

/* The first whose records are all older. When all lanes are newer (a clock that jumps back and
 * forth), the last one takes it as the next it has. */
static struct lane *lane_of(struct apply3x *apply, struct creator *creator, uint64_t *time)
{
    for (size_t i = 0; i < APPLY3X_LANES_MAX; i++) {
        if (i == creator->lanes.count) {
            add_lane(apply, creator);
        }
        if (creator->lanes.items[i].last < *time) {
            return &creator->lanes.items[i];
        }
    }
    struct lane *lane = &creator->lanes.items[APPLY3X_LANES_MAX - 1];
    *time = lane->last + 1;
    return lane;
}

/* ── One record ──────────────────────────────────────────────────────────────────────────── */

struct work {
    struct apply3x *apply;
    const struct feed3x_record *record;
    bool is_aside;
    storage_done done;
    void *context;
};

/* Hands it over in its lane, which is further when it is taken. */
static int submit(struct work *work,
                  int (*give)(struct work *, const struct storage_received *received))
{
    struct apply3x *apply = work->apply;
    struct creator *creator = creator_of(apply, work->record->creator);
    int64_t ms = work->record->created_ms;
    uint64_t same = ms == creator->ms ? creator->same + 1 : 0;
    uint64_t time = (uint64_t)(ms * TIME_MS_NS) + MIN(same, (uint64_t)TIME_MS_NS - 1);
    if (creator->behind > 0 && time < creator->behind_last + SLACK_NS) {
        creator->behind--;
        return APPLY3X_PASSED_OVER;
    }
    creator->behind = 0;
    struct lane *lane = lane_of(apply, creator, &time);
    struct storage_received received = {.origin = lane->origin,
                                        .origin_position = lane->position + 1,
                                        .time = time,
                                        .after = lane->position};
    int rc = give(work, &received);
    if (rc == 0) {
        lane->position++;
        lane->last = time;
        creator->ms = ms;
        creator->same = same;
    }
    return rc;
}

/* Fills elements; what cannot be is left out. */
static int read_points(struct work *work)
{
    struct apply3x *apply = work->apply;
    struct decoder decoder = decoder_of(work->record->points, work->record->base);
    struct element element;
    int64_t time;
    size_t bytes = 0;
    int rc;
    vec_clear(&apply->elements);
    while ((rc = decoder_next(&decoder, &time, &element)) == 0) {
        if (!warp10_time_to_ns(apply->options.unit, time, &element.time_ns)) {
            (void)err_set(ERR_INVALID, "a point at %lld, which is out of range", (long long)time);
            work->is_aside = true;
            continue;
        }
        bytes += sizeof(element) + (element.type >= ELEMENT_TEXT ? element.value.bytes.bytes : 0);
        if (bytes > APPLY3X_BYTES_MAX) {
            return err_set(ERR_TOO_LARGE, "points of more than %zu MiB", APPLY3X_BYTES_MAX >> 20);
        }
        vec_push(&apply->elements, element);
    }
    if (rc < 0) {
        work->is_aside = true; /* what came before is good */
    }
    return 0;
}

static int give_points(struct work *work, const struct storage_received *received)
{
    struct apply3x *apply = work->apply;
    struct storage_points points = {.series = SERIES_NONE,
                                    .key = buf_span(&apply->key),
                                    .elements = apply->elements.items,
                                    .count = apply->elements.count};
    return storage_submit_points(apply->options.storage, &points, 1, received, work->done,
                                 work->context);
}

static int give_meta(struct work *work, const struct storage_received *received)
{
    struct apply3x *apply = work->apply;
    return storage_submit_meta(apply->options.storage, buf_span(&apply->payload), received,
                               work->done, work->context);
}

static int take_points(struct work *work)
{
    int rc = read_points(work);
    if (rc == 0 && work->apply->elements.count == 0) {
        return work->is_aside ? ERR_INVALID : APPLY3X_PASSED_OVER;
    }
    return rc < 0 ? rc : submit(work, give_points);
}

static int take_attributes(struct work *work)
{
    struct apply3x *apply = work->apply;
    const struct feed3x_pairs *pairs = &work->record->attributes;
    if (pairs->count == 0 && !span_equal_str(work->record->source, FEED3X_SOURCE_UPDATED)) {
        return APPLY3X_PASSED_OVER;
    }
    struct series_attribute *attributes =
        arena_alloc_array(apply->arena, pairs->count + 1, sizeof(*attributes));
    for (size_t i = 0; i < pairs->count; i++) {
        attributes[i] =
            (struct series_attribute){pairs->items[i].name, pairs->items[i].value, false};
    }
    buf_clear(&apply->payload);
    series_metas_begin(&apply->payload);
    int rc =
        series_metas_put(&apply->payload, buf_span(&apply->key), true, attributes, pairs->count);
    return rc < 0 ? rc : submit(work, give_meta);
}

/* Units to nanoseconds: all that lies within the unit, up to the ends of time. */
static int64_t first_ns(enum warp10_unit unit, int64_t time)
{
    int64_t ns;
    return warp10_time_to_ns(unit, time, &ns) ? ns : time < 0 ? INT64_MIN : INT64_MAX;
}

static int64_t last_ns(enum warp10_unit unit, int64_t time)
{
    int64_t ns = first_ns(unit, time);
    return ns > INT64_MAX - warp10_unit_ns(unit) || ns == INT64_MIN ? ns
                                                                    : ns + warp10_unit_ns(unit) - 1;
}

static int give_delete(struct work *work, const struct storage_received *received)
{
    struct apply3x *apply = work->apply;
    const struct feed3x_record *record = work->record;
    bool whole = record->type == FEED3X_UNREGISTER;
    enum warp10_unit unit = apply->options.unit;
    struct series_delete deletion = {
        .flags = SERIES_DELETE_EXACT | (whole ? SERIES_DELETE_WHOLE : 0),
        .start_ns = whole ? INT64_MIN : first_ns(unit, record->start),
        .end_ns = whole ? INT64_MAX : last_ns(unit, record->end),
        .selector = buf_span(&apply->payload),
    };
    return storage_submit_delete(apply->options.storage, &deletion, received, work->done,
                                 work->context);
}

static int take_delete(struct work *work)
{
    struct apply3x *apply = work->apply;
    if (work->record->type == FEED3X_DELETE && work->record->start > work->record->end) {
        return APPLY3X_PASSED_OVER;
    }
    buf_clear(&apply->payload);
    series_selector_print_exact(&apply->payload, buf_span(&apply->key));
    return submit(work, give_delete);
}

/* ── What is for us ──────────────────────────────────────────────────────────────────────── */

static bool is_ours(const struct apply3x *apply, const struct feed3x_record *record)
{
    const struct apply3x_options *options = &apply->options;
    for (size_t i = 0; i < options->excluded_count; i++) {
        if (span_equal(options->excluded[i], record->creator)) {
            return false;
        }
    }
    return record->type != FEED3X_KVSTORE && !span_equal(options->consumer, record->creator) &&
           !span_equal_str(record->creator, apply->own_id);
}

static bool is_in_shard(struct apply3x *apply, const struct feed3x_record *record)
{
    const struct apply3x_options *options = &apply->options;
    uint64_t class_id = record->class_id;
    uint64_t labels_id = record->labels_id;
    if (options->shard_count > 0 && options->has_keys) {
        size_t count = record->labels.count;
        struct siphash_label *labels = arena_alloc_array(apply->arena, count + 1, sizeof(*labels));
        for (size_t i = 0; i < count; i++) {
            labels[i] =
                (struct siphash_label){record->labels.items[i].name, record->labels.items[i].value};
        }
        class_id = siphash_mirrored(options->class_key, record->class);
        labels_id = siphash_labels(options->labels_key, labels, count);
    }
    return feed3x_is_wanted(options->shards, options->shard_count, options->shard_shift, class_id,
                            labels_id);
}

static int check_id(struct span id)
{
    if (id.bytes > FEED3X_ID_BYTES_MAX || span_find_byte(id, 0) >= 0) {
        return err_set(ERR_INVALID, "who made it has an id of %zu bytes that cannot be", id.bytes);
    }
    return 0;
}

static int take(struct work *work)
{
    struct apply3x *apply = work->apply;
    const struct feed3x_record *record = work->record;
    if (record->created_ms > INT64_MAX / TIME_MS_NS - 1) {
        return err_set(ERR_INVALID, "it was made at %lld ms, which is out of range",
                       (long long)record->created_ms);
    }
    int rc = check_id(record->creator);
    if (rc < 0 || !is_ours(apply, record) || !is_in_shard(apply, record)) {
        return rc < 0 ? rc : APPLY3X_PASSED_OVER;
    }
    buf_clear(&apply->key);
    rc = series_key_make(&apply->key, record->class, record->labels.items, record->labels.count);
    if (rc < 0) {
        return rc;
    }
    switch (record->type) {
    case FEED3X_UPDATE:
        return take_points(work);
    case FEED3X_REGISTER:
        return take_attributes(work);
    case FEED3X_DELETE:
    case FEED3X_UNREGISTER:
        return take_delete(work);
    case FEED3X_KVSTORE:
        break;
    }
    return APPLY3X_PASSED_OVER;
}

int apply3x_take(struct apply3x *apply, struct span bytes, bool *ret_aside, storage_done done,
                 void *context)
{
    struct feed3x_record record;
    struct work work = {.apply = apply, .record = &record, .done = done, .context = context};
    arena_reset(apply->arena);
    int rc = feed3x_record_read(apply->arena, bytes, &record);
    rc = rc < 0 ? rc : take(&work);
    *ret_aside = work.is_aside;
    return rc;
}
