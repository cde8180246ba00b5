/* Tested by tests/cluster/test_warp10_3x.py. */
#include "indexer/translate3x.h"

#include <inttypes.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/time.h"
#include "datalog/parts.h"
#include "indexer/datalog2x.h"
#include "series/selector.h"
#include "warp10/encoder.h"
#include "warp10/feed3x_record.h"
#include "well/points_record.h"

#define ARENA_BYTES_MAX ((size_t)8 << 20)
#define REF_PREFIX "aquifer-"

/* ── Refs ────────────────────────────────────────────────────────────────────────────────── */

void ref3x_print(struct buf *buf, const struct ref3x *ref)
{
    char node[UUID_TEXT_BYTES];
    buf_printf(buf, REF_PREFIX "%s:%" PRIu64 ".%" PRIu64 "%s:%" PRIu64, uuid_text(ref->node, node),
               ref->position, ref->part, ref->registers ? "r" : "", ref->time);
}

bool ref3x_parse(struct span text, struct ref3x *ret_ref)
{
    struct span rest = text;
    struct span node;
    struct span place;
    struct span position;
    if (!span_starts_with(rest, SPAN_LIT(REF_PREFIX))) {
        return false;
    }
    rest = span_from(rest, strlen(REF_PREFIX));
    if (!span_split(&rest, ':', &node) || !span_split(&rest, ':', &place) ||
        !span_split(&place, '.', &position)) {
        return false;
    }
    ret_ref->registers = span_ends_with(place, SPAN_LIT("r"));
    place.bytes -= ret_ref->registers;
    return uuid_parse(node, &ret_ref->node) && span_to_u64(position, &ret_ref->position) &&
           span_to_u64(place, &ret_ref->part) && span_to_u64(rest, &ret_ref->time);
}

/* ── Which ───────────────────────────────────────────────────────────────────────────────── */

void translate3x_deinit(struct translate3x *translate)
{
    vec_deinit(&translate->excluded);
    vec_deinit(&translate->shards);
    buf_deinit(&translate->told);
    buf_deinit(&translate->encoded);
}

static uint64_t id_hash_of(struct uuid node)
{
    char text[UUID_TEXT_BYTES];
    uint64_t hash;
    return datalog2x_is(node, &hash) ? hash : datalog2x_id_hash(span_of_str(uuid_text(node, text)));
}

bool translate3x_wants(const struct translate3x *translate, const struct datalog_record *record)
{
    if (record->type == DATALOG_UPDATE || record->type == DATALOG_SERIES) {
        return false;
    }
    uint64_t hash = id_hash_of(record->origin.node);
    for (size_t i = 0; i < translate->excluded.count; i++) {
        if (translate->excluded.items[i] == hash) {
            return false;
        }
    }
    return true;
}

/* One bit per series. */
static bool is_told(struct translate3x *translate, uint32_t series)
{
    size_t at = series / 8;
    return at < translate->told.bytes && (translate->told.data[at] >> series % 8 & 1) != 0;
}

static void set_told(struct translate3x *translate, uint32_t series, bool told)
{
    size_t at = series / 8;
    if (at >= translate->told.bytes) {
        size_t more = at + 1 - translate->told.bytes;
        memset(buf_reserve(&translate->told, more), 0, more);
        translate->told.bytes += more;
    }
    uint8_t bit = (uint8_t)(1u << series % 8);
    uint8_t others = (uint8_t)(translate->told.data[at] & ~bit);
    translate->told.data[at] = told ? others | bit : others;
}

/* ── One record ──────────────────────────────────────────────────────────────────────────── */

struct work {
    struct translate3x *translate;
    const struct datalog_record *record;
    struct arena *arena;
    struct buf creator, key;
    uint64_t part, first;
    translate3x_each each;
    void *context;
    uint64_t *missed;
};

/* The series' name, labels and ids. False: nobody knows it any more, or it is of another shard. */
static bool set_series(struct work *work, uint32_t series, struct feed3x_record *record)
{
    const struct translate3x_options *options = work->translate->options;
    arena_reset(work->arena);
    buf_clear(&work->key);
    if (!series_catalogue_key(options->catalogue, series, &work->key)) {
        return false;
    }
    struct series_key_reader reader = series_key_open(buf_span(&work->key));
    size_t count = 0;
    record->class = reader.class;
    record->labels.items =
        arena_alloc_array(work->arena, reader.count + 1, sizeof(*record->labels.items));
    struct siphash_label *hashed =
        arena_alloc_array(work->arena, reader.count + 1, sizeof(*hashed));
    while (series_key_next(&reader, &record->labels.items[count])) {
        struct series_label label = record->labels.items[count];
        hashed[count++] = (struct siphash_label){label.name, label.value};
    }
    record->labels.count = count;
    record->class_id = siphash_mirrored(options->class_key, record->class);
    record->labels_id = siphash_labels(options->labels_key, hashed, count);
    return feed3x_is_wanted(work->translate->shards.items, work->translate->shards.count,
                            work->translate->shard_shift, record->class_id, record->labels_id);
}

static struct uuid uuid_of_label(const struct work *work, const struct feed3x_record *record,
                                 const char *name)
{
    struct uuid uuid;
    for (size_t i = 0; i < record->labels.count; i++) {
        if (span_equal_str(record->labels.items[i].name, name) &&
            uuid_parse(record->labels.items[i].value, &uuid)) {
            return uuid;
        }
    }
    return work->translate->options->self;
}

static void set_token(const struct work *work, struct feed3x_record *record)
{
    record->owner = uuid_of_label(work, record, ".owner");
    record->producer = uuid_of_label(work, record, ".producer");
    for (size_t i = 0; i < record->labels.count; i++) {
        if (span_equal_str(record->labels.items[i].name, ".app")) {
            record->application = record->labels.items[i].value;
        }
    }
}

static int put(struct work *work, struct feed3x_record *record, bool registers)
{
    struct buf *encoded = &work->translate->encoded;
    struct ref3x ref = {.node = work->translate->options->self,
                        .position = work->record->position,
                        .part = work->part,
                        .registers = registers,
                        .time = work->record->time};
    if (!registers) {
        work->part++;
    }
    if (ref.part < work->first) {
        return 0;
    }
    record->creator = buf_span(&work->creator);
    record->created_ms = (int64_t)(work->record->time / TIME_MS_NS);
    record->stored_ms = record->created_ms;
    buf_clear(encoded);
    feed3x_record_write(encoded, record);
    return work->each(work->context, buf_span(encoded), &ref);
}

/* ── Attributes ──────────────────────────────────────────────────────────────────────────── */

struct attributes {
    struct arena *arena;
    struct feed3x_pairs pairs;
};

static int add_attribute(void *context, struct span name, struct span value)
{
    struct attributes *attributes = context;
    struct feed3x_pairs *pairs = &attributes->pairs;
    bool fits = name.bytes + value.bytes < arena_left(attributes->arena) / 2;
    if (pairs->count < FEED3X_PAIRS_MAX && fits) {
        pairs->items[pairs->count++] = (struct series_label){
            arena_span_dup(attributes->arena, name), arena_span_dup(attributes->arena, value)};
    }
    return 0;
}

/* All attributes that it has now. */
static void set_attributes(struct work *work, uint32_t series, struct feed3x_record *record)
{
    struct attributes attributes = {.arena = work->arena};
    attributes.pairs.items =
        arena_alloc_array(work->arena, FEED3X_PAIRS_MAX, sizeof(*attributes.pairs.items));
    (void)!series_catalogue_attributes(work->translate->options->catalogue, series, add_attribute,
                                       &attributes);
    record->attributes = attributes.pairs;
}

static int put_register(struct work *work, uint32_t series, const char *source, bool registers)
{
    struct feed3x_record record = {.type = FEED3X_REGISTER, .source = span_of_str(source)};
    if (!set_series(work, series, &record)) {
        return 0;
    }
    set_attributes(work, series, &record);
    set_told(work->translate, series, true);
    return put(work, &record, registers);
}

static int metas(struct work *work)
{
    struct series_catalogue *catalogue = work->translate->options->catalogue;
    struct series_metas walk;
    struct series_meta meta;
    uint32_t number;
    int rc = series_metas_open(&walk, work->record->payload);
    while (rc == 0 && series_metas_next(&walk, &meta)) {
        if (series_catalogue_find(catalogue, meta.key, &number) &&
            series_catalogue_lives(catalogue, number)) {
            rc = put_register(work, number, FEED3X_SOURCE_UPDATED, false);
        }
    }
    return rc;
}

/* ── Points ──────────────────────────────────────────────────────────────────────────────── */

static int put_points(struct work *work, uint32_t series, struct encoder *encoder)
{
    struct feed3x_record record = {.type = FEED3X_UPDATE, .points = buf_span(&encoder->buf)};
    int rc = 0;
    if (encoder->count == 0) {
        return 0;
    }
    if (!is_told(work->translate, series) && work->part >= work->first) {
        rc = put_register(work, series, FEED3X_SOURCE_CREATED, true);
    }
    if (rc == 0 && set_series(work, series, &record)) {
        set_token(work, &record);
        rc = put(work, &record, false);
    }
    encoder_clear(encoder);
    return rc;
}

static int put_part(struct work *work, const struct points_part *part)
{
    enum warp10_unit unit = work->translate->options->unit;
    struct encoder encoder = {0};
    int rc = 0;
    for (uint32_t i = 0; i < part->count && rc == 0; i++) {
        struct element element = points_part_element(part, i);
        size_t bytes = element.type >= ELEMENT_TEXT ? element.value.bytes.bytes : 0;
        if (bytes > TRANSLATE3X_VALUE_BYTES_MAX) {
            ++*work->missed;
            continue;
        }
        if (encoder.buf.bytes + bytes > TRANSLATE3X_POINTS_BYTES_MAX) {
            rc = put_points(work, part->series, &encoder);
        }
        encoder_put(&encoder, warp10_time_of_ns(unit, element.time_ns), &element);
    }
    rc = rc == 0 ? put_points(work, part->series, &encoder) : rc;
    encoder_deinit(&encoder);
    return rc;
}

static int points(struct work *work)
{
    struct datalog_parts parts = datalog_parts_of(work->record);
    struct span well;
    struct span payload;
    int rc;
    while ((rc = datalog_parts_next(&parts, &well, &payload)) == 0) {
        struct points_record walk;
        struct points_part part;
        rc = points_record_open(&walk, payload);
        while (rc == 0 && points_record_next(&walk, &part)) {
            rc = put_part(work, &part);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return rc == DATALOG_END ? 0 : rc;
}

/* ── Deletes ─────────────────────────────────────────────────────────────────────────────── */

static int put_delete(struct work *work, const struct series_delete *deletion, uint32_t series)
{
    enum warp10_unit unit = work->translate->options->unit;
    struct feed3x_record record = {.type = FEED3X_DELETE, .start = INT64_MIN, .end = INT64_MAX};
    if (deletion->start_ns != INT64_MIN) {
        int64_t start = warp10_time_of_ns(unit, deletion->start_ns);
        record.start = start + (deletion->start_ns % warp10_unit_ns(unit) != 0);
    }
    if (deletion->end_ns != INT64_MAX) {
        record.end = warp10_time_of_ns(unit, deletion->end_ns);
    }
    if (record.start > record.end || !set_series(work, series, &record)) {
        return 0;
    }
    set_token(work, &record);
    int rc = put(work, &record, false);
    if (rc == 0 && (deletion->flags & SERIES_DELETE_WHOLE) != 0) {
        record.type = FEED3X_UNREGISTER;
        set_told(work->translate, series, false);
        rc = put(work, &record, false);
    }
    return rc;
}

static int deletes(struct work *work)
{
    struct series_delete deletion;
    struct series_selector *selector = NULL;
    struct series_numbers numbers = {0};
    int rc = series_delete_decode(work->record->payload, &deletion);
    rc = rc < 0 ? rc
                : series_selector_parse(deletion.selector, series_delete_selector_flags(&deletion),
                                        &selector, NULL);
    if (rc == 0) {
        rc = series_catalogue_select(work->translate->options->catalogue, selector,
                                     SERIES_SELECT_DEAD, &numbers);
    }
    for (size_t i = 0; i < numbers.count && rc == 0; i++) {
        rc = put_delete(work, &deletion, numbers.items[i]);
    }
    series_numbers_deinit(&numbers);
    series_selector_free(&selector);
    return rc;
}

int translate3x_record(struct translate3x *translate, const struct datalog_record *record,
                       uint64_t first, translate3x_each each, void *context, uint64_t *missed)
{
    struct work work = {.translate = translate,
                        .record = record,
                        .arena = arena_new(ARENA_BYTES_MAX),
                        .first = record->type == DATALOG_POINTS ? first : 0,
                        .each = each,
                        .context = context,
                        .missed = missed};
    char node[UUID_TEXT_BYTES];
    uint64_t hash;
    int rc = 0;
    if (datalog2x_is(record->origin.node, &hash)) {
        names3x_text(translate->options->names, hash, &work.creator);
    } else {
        buf_append_str(&work.creator, uuid_text(record->origin.node, node));
    }
    if (record->type == DATALOG_POINTS) {
        rc = points(&work);
    } else if (record->type == DATALOG_META) {
        rc = metas(&work);
    } else if (record->type == DATALOG_DELETE) {
        rc = deletes(&work);
    }
    arena_free(&work.arena);
    buf_deinit(&work.creator);
    buf_deinit(&work.key);
    return rc;
}
