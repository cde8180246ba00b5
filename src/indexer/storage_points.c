/*
 * Points and attributes: which series and wells they go to, how they become records. Tested by
 * storage_points_test.c.
 */
#include <inttypes.h>

#include "base/mem.h"
#include "indexer/storage_internal.h"
#include "well/points_record.h"

#define TOUCH_AT_ONCE 1024

static _Atomic uint16_t *route_place(struct storage *storage, uint32_t series)
{
    _Atomic(_Atomic uint16_t *) *chunk = &storage->series_routes[series / STORAGE_SERIES_PER_CHUNK];
    _Atomic uint16_t *routes = atomic_load(chunk);
    if (routes == NULL) {
        _Atomic uint16_t *made = mem_alloc_array(STORAGE_SERIES_PER_CHUNK, sizeof(*made));
        if (atomic_compare_exchange_strong(chunk, &routes, made)) {
            routes = made;
        } else {
            mem_free(made);
        }
    }
    return &routes[series % STORAGE_SERIES_PER_CHUNK];
}

size_t storage_route_series(struct storage *storage, uint32_t series)
{
    _Atomic uint16_t *place = route_place(storage, series);
    uint16_t route = atomic_load_explicit(place, memory_order_relaxed);
    if (route > 0) {
        return route - 1u;
    }
    struct buf key = {0};
    size_t slot = SIZE_MAX;
    if (series_catalogue_key(storage->catalogue, series, &key)) {
        slot = storage_find_route(storage, series_key_open(buf_span(&key)).class);
        atomic_store_explicit(place, (uint16_t)(slot + 1), memory_order_relaxed);
    }
    buf_deinit(&key);
    return slot;
}

/* Points of one submission with their numbers and wells. */
struct encoding {
    struct storage *storage;
    struct storage_append *append;
    const struct storage_points *points;
    size_t count;
    uint32_t *numbers;
    size_t *slots;
    struct storage_record *definitions; /* NULL: all series are known to the log */
};

static int check_points(const struct storage_points *points, size_t count, uint64_t *ret_bytes)
{
    *ret_bytes = 0;
    for (size_t i = 0; i < count; i++) {
        CHECK(points[i].count > 0);
        for (size_t j = 0; j < points[i].count; j++) {
            const struct element *element = &points[i].elements[j];
            if (element->type < ELEMENT_TEXT) {
                continue;
            }
            if (element->value.bytes.bytes > SERIES_VALUE_BYTES_MAX) {
                return err_set(ERR_TOO_LARGE, "a value of %zu bytes, at most %u are stored",
                               element->value.bytes.bytes, SERIES_VALUE_BYTES_MAX);
            }
            *ret_bytes += element->value.bytes.bytes;
        }
        *ret_bytes += points[i].count * 16;
    }
    return 0;
}

/* Its definition goes into the log in front of the points. */
static void define(struct encoding *encoding, uint32_t number, struct span key)
{
    if (encoding->definitions == NULL) {
        encoding->definitions = storage_append_record(encoding->append, DATALOG_SERIES);
        series_definitions_begin(&encoding->definitions->payload);
    }
    struct series_definition definition = {number, key};
    series_definitions_put(&encoding->definitions->payload, &definition);
    vec_push(&encoding->definitions->defined, number);
}

/* Somebody else's definition may have been refused, or is still on its way. */
static void define_if_unlogged(struct encoding *encoding, uint32_t number)
{
    struct series_catalogue *catalogue = encoding->storage->catalogue;
    struct buf key = {0};
    if (!series_catalogue_is_logged(catalogue, number) &&
        series_catalogue_key(catalogue, number, &key)) {
        define(encoding, number, buf_span(&key));
    }
    buf_deinit(&key);
}

static int find_numbers(struct encoding *encoding)
{
    for (size_t i = 0; i < encoding->count; i++) {
        const struct storage_points *points = &encoding->points[i];
        encoding->numbers[i] = points->series;
        if (points->series == SERIES_NONE) {
            int rc = series_catalogue_put(encoding->storage->catalogue, points->key,
                                          &encoding->numbers[i]);
            if (rc < 0) {
                return rc;
            }
            if (rc == SERIES_UNLOGGED) {
                define(encoding, encoding->numbers[i], points->key);
            }
        } else {
            define_if_unlogged(encoding, points->series);
        }
        encoding->slots[i] = storage_route_series(encoding->storage, encoding->numbers[i]);
        if (encoding->slots[i] == SIZE_MAX) {
            return err_set(ERR_INVALID, "points have series %" PRIu32 ", which nobody made",
                           encoding->numbers[i]);
        }
    }
    if (encoding->definitions != NULL) {
        encoding->definitions->submission.payload = buf_span(&encoding->definitions->payload);
    }
    return 0;
}

/* As many elements as fit into a record that has `room` left; at least one. */
static size_t that_fit(const struct element *elements, size_t count, size_t room)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += points_record_element_bytes(&elements[i]);
        if (bytes > room) {
            return MAX(i, (size_t)1);
        }
    }
    return count;
}

static void encode_slot(struct encoding *encoding, size_t slot)
{
    struct storage_run *run = NULL;
    for (size_t i = 0; i < encoding->count; i++) {
        const struct storage_points *points = &encoding->points[i];
        for (size_t from = 0; encoding->slots[i] == slot && from < points->count;) {
            if (run == NULL || (run->payload.bytes >= STORAGE_RECORD_BYTES_TARGET &&
                                !encoding->append->is_received)) {
                run = storage_append_run(encoding->append, DATALOG_POINTS, slot);
                points_record_begin(&run->payload);
            }
            size_t room = encoding->append->is_received
                              ? SIZE_MAX
                              : STORAGE_RECORD_BYTES_TARGET - run->payload.bytes;
            size_t count = that_fit(points->elements + from, points->count - from, room);
            points_record_put(&run->payload, 0, encoding->numbers[i], points->elements + from,
                              count);
            run->points += count;
            run->data_bytes = run->payload.bytes;
            from += count;
        }
    }
}

static int encode(struct encoding *encoding)
{
    int rc = find_numbers(encoding);
    for (size_t slot = 0; rc == 0 && slot < encoding->storage->slots.count; slot++) {
        encode_slot(encoding, slot);
    }
    return rc;
}

int storage_submit_points(struct storage *storage, const struct storage_points *points,
                          size_t count, const struct storage_received *received, storage_done done,
                          void *context)
{
    CHECK(count > 0);
    uint64_t bytes = 0;
    struct storage_append *append;
    int rc = check_points(points, count, &bytes);
    if (rc == 0) {
        rc = storage_admit(storage, bytes);
    }
    if (rc == 0) {
        rc = storage_append_new(storage, received, done, context, &append);
    }
    if (rc < 0) {
        return rc;
    }
    struct encoding encoding = {
        .storage = storage,
        .append = append,
        .points = points,
        .count = count,
        .numbers = mem_alloc_array(count, sizeof(uint32_t)),
        .slots = mem_alloc_array(count, sizeof(size_t)),
    };
    rc = encode(&encoding);
    mem_free(encoding.numbers);
    mem_free(encoding.slots);
    if (rc < 0) {
        storage_append_free(&append);
        return rc;
    }
    return storage_append_submit(&append);
}

int storage_append_points(struct storage *storage, const struct storage_points *points,
                          size_t count)
{
    if (count == 0) {
        return 0;
    }
    struct storage_waiter waiter = STORAGE_WAITER;
    return storage_wait(&waiter,
                        storage_submit_points(storage, points, count, NULL, storage_wake, &waiter));
}

void storage_touch(struct storage *storage, struct span payload, struct stamp stamp)
{
    uint32_t numbers[TOUCH_AT_ONCE];
    size_t count = 0;
    struct points_record record;
    struct points_part part;
    CHECK(points_record_open(&record, payload) == 0);
    while (points_record_next(&record, &part)) {
        numbers[count++] = part.series;
        if (count == TOUCH_AT_ONCE) {
            series_catalogue_touch(storage->catalogue, numbers, count, stamp);
            count = 0;
        }
    }
    series_catalogue_touch(storage->catalogue, numbers, count, stamp);
}

static int submit_payload(struct storage *storage, enum datalog_type type, struct span payload,
                          const struct storage_received *received, storage_done done, void *context)
{
    struct storage_append *append;
    int rc = storage_admit(storage, payload.bytes);
    if (rc == 0) {
        rc = storage_append_new(storage, received, done, context, &append);
    }
    if (rc < 0) {
        return rc;
    }
    struct storage_record *record = storage_append_record(append, type);
    buf_append(&record->payload, payload);
    record->submission.payload = buf_span(&record->payload);
    return storage_append_submit(&append);
}

int storage_submit_meta(struct storage *storage, struct span metas,
                        const struct storage_received *received, storage_done done, void *context)
{
    struct series_metas walk;
    int rc = series_metas_open(&walk, metas);
    return rc < 0 ? rc : submit_payload(storage, DATALOG_META, metas, received, done, context);
}

int storage_append_meta(struct storage *storage, struct span metas)
{
    struct storage_waiter waiter = STORAGE_WAITER;
    return storage_wait(&waiter, storage_submit_meta(storage, metas, NULL, storage_wake, &waiter));
}

void storage_apply_meta(struct storage *storage, struct span payload, struct stamp stamp)
{
    if (series_catalogue_apply_meta(storage->catalogue, payload, stamp) < 0) {
        storage_report(storage, "attributes: %s", err_text());
    }
}

int storage_submit_series(struct storage *storage, struct span definitions,
                          const struct storage_received *received, storage_done done, void *context)
{
    struct series_definitions walk;
    struct series_definition theirs;
    struct storage_append *append;
    int rc = series_definitions_open(&walk, definitions);
    rc = rc < 0 ? rc : storage_admit(storage, definitions.bytes);
    rc = rc < 0 ? rc : storage_append_new(storage, received, done, context, &append);
    if (rc < 0) {
        return rc;
    }
    struct storage_record *record = storage_append_record(append, DATALOG_SERIES);
    series_definitions_begin(&record->payload);
    while (rc >= 0 && series_definitions_next(&walk, &theirs)) {
        struct series_definition ours = {.key = theirs.key};
        rc = series_catalogue_put(storage->catalogue, theirs.key, &ours.number);
        if (rc == SERIES_UNLOGGED) {
            series_definitions_put(&record->payload, &ours);
            vec_push(&record->defined, ours.number);
        }
    }
    if (rc < 0) {
        storage_append_free(&append);
        return rc;
    }
    record->submission.payload = buf_span(&record->payload);
    record->is_theirs = true;
    return storage_append_submit(&append);
}

struct datalog *storage_log(struct storage *storage)
{
    return storage->log;
}

uint64_t storage_applied_end(const struct storage *storage)
{
    return atomic_load(&storage->applied_end);
}

int storage_submit_delete(struct storage *storage, const struct series_delete *deletion,
                          const struct storage_received *received, storage_done done, void *context)
{
    struct series_delete checked;
    struct buf payload = {0};
    series_delete_encode(&payload, deletion);
    int rc = series_delete_decode(buf_span(&payload), &checked);
    if (rc == 0) {
        rc = submit_payload(storage, DATALOG_DELETE, buf_span(&payload), received, done, context);
    }
    buf_deinit(&payload);
    return rc;
}

struct series_catalogue *storage_catalogue(struct storage *storage)
{
    return storage->catalogue;
}

const struct series_origins *storage_origins(struct storage *storage)
{
    return storage->origins;
}

int storage_fetch_of(struct storage *storage, struct storage_names names,
                     const struct well_fetch *fetch, struct well_points_cursor **ret_cursor)
{
    size_t count;
    struct well **wells = storage_wells_of(storage, names, &count);
    int rc = well_points_cursor_open(wells, count, fetch, ret_cursor);
    mem_free(wells);
    return rc;
}

int storage_fetch(struct storage *storage, const struct well_fetch *fetch,
                  struct well_points_cursor **ret_cursor)
{
    return storage_fetch_of(storage, (struct storage_names){0}, fetch, ret_cursor);
}
