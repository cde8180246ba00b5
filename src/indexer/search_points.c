/* Tested by search_points_test.c. */
#include "indexer/search_points.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/time.h"
#include "base/vec.h"
#include "query/value.h"
#include "series/catalogue.h"
#include "series/evs.h"
#include "series/key.h"
#include "series/tags.h"

#define CLASS_BYTES_MAX 4096
#define NUMBER_MIN 32768 /* of a class that is no tag */
#define BLOCK_ROWS 4096
#define SLICE_ROWS 16384                 /* elements that one look should find ... */
#define SLICE_ROWS_MAX ((size_t)1 << 20) /* ... and the most, unless they have one time */
#define SLICE_NS_FIRST (60 * TIME_S_NS)

struct class
{
    char *name;
    VEC(uint32_t) series;
    uint16_t number;
    bool numbered; /* it has one: of the tag that is called so ... */
    bool own;      /* ... or its own */
};

struct search_points {
    struct storage *storage;
    pthread_mutex_t lock;
    struct map by_name;          /* of struct class */
    VEC(struct class *) classes; /* owned */
    uint32_t known;              /* series below it have been looked at */
    VEC(uint32_t) nameless;      /* but had no name yet */
    uint32_t next_number;
};

struct row {
    struct entry entry; /* data and values: offsets into the bytes, in place of pointers */
    uint32_t series;
};

struct search_points_cursor {
    struct storage *storage;
    struct series_numbers series;
    uint16_t *numbers; /* of the class of series.items[i] */
    int64_t start_ns;
    int64_t end_ns; /* what is left lies in [start, end) */
    bool ascending;
    int64_t width_ns;
    VEC(struct row) rows; /* of one slice, in order */
    size_t next;
    struct buf bytes;
    VEC(struct entry) block;
    uint64_t skipped;
};

/* ── Classes ─────────────────────────────────────────────────────────────────────────────── */

struct search_points *search_points_new(struct storage *storage)
{
    struct search_points *points = MEM_NEW(struct search_points);
    points->storage = storage;
    points->next_number = UINT16_MAX - 1; /* the highest is gravwell's */
    CHECK(pthread_mutex_init(&points->lock, NULL) == 0);
    return points;
}

void search_points_free(struct search_points **pointer)
{
    struct search_points *points = *pointer;
    if (points == NULL) {
        return;
    }
    for (size_t i = 0; i < points->classes.count; i++) {
        vec_deinit(&points->classes.items[i]->series);
        mem_free(points->classes.items[i]->name);
        mem_free(points->classes.items[i]);
    }
    vec_deinit(&points->classes);
    vec_deinit(&points->nameless);
    map_deinit(&points->by_name);
    (void)pthread_mutex_destroy(&points->lock);
    mem_free(points);
    *pointer = NULL;
}

/* False: it has no name yet. */
static bool learn(struct search_points *points, uint32_t number, struct buf *key)
{
    buf_clear(key);
    if (!series_catalogue_key(storage_catalogue(points->storage), number, key)) {
        return false;
    }
    struct span name = series_key_open(buf_span(key)).class;
    if (name.bytes == 0 || name.bytes > CLASS_BYTES_MAX || span_find_byte(name, 0) >= 0) {
        return true; /* nobody can ask for it */
    }
    struct class *class = map_get(&points->by_name, name);
    if (class == NULL) {
        class = MEM_NEW(struct class);
        class->name = mem_strndup((const char *)name.data, name.bytes);
        (void)map_put(&points->by_name, name, class);
        vec_push(&points->classes, class);
    }
    vec_push(&class->series, number);
    return true;
}

/* What the catalogue has got since the last time. */
static void refresh(struct search_points *points)
{
    struct series_catalogue_stats stats =
        series_catalogue_stats(storage_catalogue(points->storage));
    struct buf key = {0};
    size_t left = 0;
    for (size_t i = 0; i < points->nameless.count; i++) {
        if (!learn(points, points->nameless.items[i], &key)) {
            points->nameless.items[left++] = points->nameless.items[i];
        }
    }
    points->nameless.count = left;
    for (; points->known < stats.next; points->known++) {
        if (!learn(points, points->known, &key)) {
            vec_push(&points->nameless, points->known);
        }
    }
    buf_deinit(&key);
}

static int note_tag(void *context, uint16_t tag, struct span name)
{
    struct class *class = map_get(&((struct search_points *)context)->by_name, name);
    if (class != NULL && !class->own) {
        class->number = tag;
        class->numbered = true;
    }
    return 0;
}

/* The number of each class, as far as there are any left. */
static int give_numbers(struct search_points *points)
{
    int rc = series_tags_each(storage_tags(points->storage), note_tag, points);
    for (size_t i = 0; i < points->classes.count; i++) {
        struct class *class = points->classes.items[i];
        if (!class->numbered && points->next_number >= NUMBER_MIN) {
            class->numbered = true;
            class->number = (uint16_t)points->next_number--;
            class->own = true;
        }
    }
    return rc;
}

int search_points_tags(struct search_points *points,
                       int (*each)(void *context, const char *name, uint16_t tag), void *context)
{
    CHECK(pthread_mutex_lock(&points->lock) == 0);
    refresh(points);
    int rc = give_numbers(points);
    for (size_t i = 0; i < points->classes.count && rc == 0; i++) {
        const struct class *class = points->classes.items[i];
        rc = class->own ? each(context, class->name, class->number) : 0;
    }
    CHECK(pthread_mutex_unlock(&points->lock) == 0);
    return rc;
}

/* ── Opening ─────────────────────────────────────────────────────────────────────────────── */

struct numbered {
    uint32_t series;
    uint16_t number;
};

static int compare_numbered(const void *a, const void *b)
{
    uint32_t x = ((const struct numbered *)a)->series;
    uint32_t y = ((const struct numbered *)b)->series;
    return x < y ? -1 : x > y;
}

static bool is_asked(const struct query_scan *scan, const struct class *class)
{
    for (size_t i = 0; i < scan->tag_count; i++) {
        if (class->numbered && scan->tags[i] == class->number) {
            return true;
        }
    }
    return false;
}

int search_points_open(struct search_points *points, const struct query_scan *scan,
                       struct search_points_cursor **ret_cursor)
{
    VEC(struct numbered) list = {0};
    *ret_cursor = NULL;
    CHECK(pthread_mutex_lock(&points->lock) == 0);
    refresh(points);
    int rc = give_numbers(points);
    for (size_t i = 0; i < points->classes.count && rc == 0; i++) {
        const struct class *class = points->classes.items[i];
        for (size_t j = 0; is_asked(scan, class) && j < class->series.count; j++) {
            vec_push(&list, (struct numbered){class->series.items[j], class->number});
        }
    }
    CHECK(pthread_mutex_unlock(&points->lock) == 0);
    if (rc == 0 && list.count > 0) {
        struct search_points_cursor *cursor = MEM_NEW(struct search_points_cursor);
        cursor->storage = points->storage;
        cursor->start_ns = scan->start_ns;
        cursor->end_ns = scan->end_ns;
        cursor->ascending = scan->ascending;
        cursor->width_ns = SLICE_NS_FIRST;
        qsort(list.items, list.count, sizeof(struct numbered), compare_numbered);
        cursor->series.count = list.count;
        cursor->series.items = mem_alloc_array(list.count, sizeof(uint32_t));
        cursor->numbers = mem_alloc_array(list.count, sizeof(uint16_t));
        for (size_t i = 0; i < list.count; i++) {
            cursor->series.items[i] = list.items[i].series;
            cursor->numbers[i] = list.items[i].number;
        }
        *ret_cursor = cursor;
    }
    vec_deinit(&list);
    return rc;
}

void search_points_close(struct search_points_cursor **pointer)
{
    struct search_points_cursor *cursor = *pointer;
    if (cursor != NULL) {
        mem_free(cursor->series.items);
        mem_free(cursor->numbers);
        vec_deinit(&cursor->rows);
        vec_deinit(&cursor->block);
        buf_deinit(&cursor->bytes);
        mem_free(cursor);
        *pointer = NULL;
    }
}

uint64_t search_points_skipped(const struct search_points_cursor *cursor)
{
    return cursor->skipped;
}

/* ── One slice of time ───────────────────────────────────────────────────────────────────── */

/* What all elements of a series have: the text before the value, and the labels. */
struct prefix {
    struct buf text;
    struct buf evs;
};

static void make_prefix(struct search_points_cursor *cursor, uint32_t series, struct prefix *prefix)
{
    struct buf key = {0};
    buf_clear(&prefix->text);
    buf_clear(&prefix->evs);
    size_t begin = series_evs_begin(&prefix->evs);
    if (series_catalogue_key(storage_catalogue(cursor->storage), series, &key)) {
        struct series_key_reader reader = series_key_open(buf_span(&key));
        struct series_label label;
        series_key_text(&prefix->text, buf_span(&key));
        while (series_key_next(&reader, &label)) {
            struct query_value value = query_value_of_text(label.value);
            if (!span_equal_str(label.name, "value") && label.name.bytes > 0 &&
                label.name.bytes <= SERIES_EV_NAME_BYTES_MAX) {
                query_value_put_ev(&value, label.name, &prefix->evs, begin);
            }
        }
    }
    buf_append_byte(&prefix->text, ' ');
    buf_deinit(&key);
}

static struct query_value value_of(const struct element *element)
{
    switch (element->type) {
    case ELEMENT_I64:
        return query_value_of_i64(element->value.i64);
    case ELEMENT_F64:
        return query_value_of_f64(element->value.f64);
    case ELEMENT_BOOL:
        return query_value_of_bool(element->value.boolean);
    case ELEMENT_TEXT:
        return query_value_of_text(element->value.bytes);
    default:
        return (struct query_value){.type = QUERY_VALUE_BYTES, .text = element->value.bytes};
    }
}

static void put_place(const struct element *element, struct buf *evs, size_t begin)
{
    if ((element->has & ELEMENT_HAS_LOCATION) != 0) {
        double latitude = 0;
        double longitude = 0;
        location_degrees(element->location, &latitude, &longitude);
        struct query_value lat = query_value_of_f64(latitude);
        struct query_value lon = query_value_of_f64(longitude);
        query_value_put_ev(&lat, SPAN_LIT("lat"), evs, begin);
        query_value_put_ev(&lon, SPAN_LIT("long"), evs, begin);
    }
    if ((element->has & ELEMENT_HAS_ELEVATION) != 0) {
        struct query_value elevation = query_value_of_i64(element->elevation);
        query_value_put_ev(&elevation, SPAN_LIT("elevation"), evs, begin);
    }
}

/* From `begin` on, as an offset in place of a pointer. */
static struct span kept(const struct buf *bytes, size_t begin)
{
    return (struct span){(const uint8_t *)(uintptr_t)begin, bytes->bytes - begin};
}

static void add_row(struct search_points_cursor *cursor, const struct element *element,
                    uint16_t number, uint32_t series, const struct prefix *prefix)
{
    struct query_value value = value_of(element);
    struct row row = {
        .series = series,
        .entry = {.time_ns = element->time_ns, .tag = number, .stamp = element->stamp}};
    size_t begin = cursor->bytes.bytes;
    buf_append(&cursor->bytes, buf_span(&prefix->text));
    query_value_put_text(&value, &cursor->bytes);
    row.entry.data = kept(&cursor->bytes, begin);
    begin = cursor->bytes.bytes;
    buf_append(&cursor->bytes, buf_span(&prefix->evs));
    query_value_put_ev(&value, SPAN_LIT("value"), &cursor->bytes, begin);
    put_place(element, &cursor->bytes, begin);
    row.entry.enumerated = kept(&cursor->bytes, begin);
    vec_push(&cursor->rows, row);
}

static size_t index_of(const struct search_points_cursor *cursor, uint32_t series)
{
    size_t low = 0;
    size_t high = cursor->series.count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        low = cursor->series.items[middle] <= series ? middle : low;
        high = low == middle ? high : middle;
    }
    return low;
}

/* All elements of [start, end). False in *ret_whole: they were too many. */
static int collect(struct search_points_cursor *cursor, int64_t start_ns, int64_t end_ns,
                   bool *ret_whole)
{
    struct well_fetch fetch = {.series = cursor->series.items,
                               .series_count = cursor->series.count,
                               .start_ns = start_ns,
                               .end_ns = end_ns - 1,
                               .ascending = true,
                               .past_bad_places = true,
                               .count_max = UINT64_MAX,
                               .stamps = true};
    struct well_points_cursor *points = NULL;
    struct prefix prefix = {{0}, {0}};
    struct well_points batch;
    uint32_t series = UINT32_MAX;
    *ret_whole = true;
    vec_clear(&cursor->rows);
    buf_clear(&cursor->bytes);
    (void)buf_reserve(&cursor->bytes, 1);
    int rc = storage_fetch(cursor->storage, &fetch, &points);
    while (rc == 0 && *ret_whole && (rc = well_points_cursor_next(points, &batch)) == 0) {
        if (batch.series != series) {
            series = batch.series;
            make_prefix(cursor, series, &prefix);
        }
        uint16_t number = cursor->numbers[index_of(cursor, series)];
        for (size_t i = 0; i < batch.count; i++) {
            struct element element = well_points_at(&batch, i);
            add_row(cursor, &element, number, series, &prefix);
        }
        *ret_whole = cursor->rows.count <= SLICE_ROWS_MAX || end_ns - start_ns <= 1;
    }
    if (points != NULL) {
        cursor->skipped += *ret_whole ? well_points_cursor_skipped(points) : 0;
        well_points_cursor_close(&points);
    }
    buf_deinit(&prefix.text);
    buf_deinit(&prefix.evs);
    return rc == WELL_END ? 0 : rc;
}

static int compare_rows(const void *a, const void *b)
{
    const struct row *x = a;
    const struct row *y = b;
    if (x->entry.time_ns != y->entry.time_ns) {
        return x->entry.time_ns < y->entry.time_ns ? -1 : 1;
    }
    return x->series < y->series ? -1 : x->series > y->series;
}

/* The next slice that has any, as wide as it takes for some thousand elements. */
static int next_slice(struct search_points_cursor *cursor)
{
    vec_clear(&cursor->rows);
    cursor->next = 0;
    while (cursor->rows.count == 0 && cursor->start_ns < cursor->end_ns) {
        uint64_t left = (uint64_t)cursor->end_ns - (uint64_t)cursor->start_ns;
        int64_t width = (int64_t)MIN((uint64_t)cursor->width_ns, left);
        int64_t from = cursor->ascending ? cursor->start_ns : cursor->end_ns - width;
        bool whole = true;
        int rc = collect(cursor, from, from + width, &whole);
        if (rc < 0) {
            return rc;
        }
        if (!whole) {
            vec_clear(&cursor->rows);
            cursor->width_ns = MAX(width / 16, INT64_C(1));
            continue;
        }
        cursor->start_ns = cursor->ascending ? from + width : cursor->start_ns;
        cursor->end_ns = cursor->ascending ? cursor->end_ns : from;
        bool few = cursor->rows.count < SLICE_ROWS / 4;
        bool many = cursor->rows.count > (size_t)SLICE_ROWS * 4;
        cursor->width_ns = few    ? (width > INT64_MAX / 8 ? INT64_MAX : width * 8)
                           : many ? MAX(width / 4, INT64_C(1))
                                  : width;
    }
    if (cursor->rows.count == 0) {
        return QUERY_SOURCE_END;
    }
    qsort(cursor->rows.items, cursor->rows.count, sizeof(struct row), compare_rows);
    return 0;
}

int search_points_next(struct search_points_cursor *cursor, struct query_source_block *ret_block)
{
    if (cursor->next == cursor->rows.count) {
        int rc = next_slice(cursor);
        if (rc != 0) {
            return rc;
        }
    }
    vec_clear(&cursor->block);
    const uint8_t *base = cursor->bytes.data;
    size_t count = cursor->rows.count;
    for (; cursor->next < count && cursor->block.count < BLOCK_ROWS; cursor->next++) {
        size_t at = cursor->ascending ? cursor->next : count - 1 - cursor->next;
        struct entry entry = cursor->rows.items[at].entry;
        entry.data.data = base + (uintptr_t)entry.data.data;
        entry.enumerated.data = base + (uintptr_t)entry.enumerated.data;
        vec_push(&cursor->block, entry);
    }
    *ret_block = (struct query_source_block){cursor->block.items, cursor->block.count, SPAN_NONE};
    return 0;
}
