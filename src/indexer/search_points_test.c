/*
 * Points as entries of a search: each once, in the order of time among the entries, whatever the
 * direction, the spread in time and the number of series; labels and values are enumerated values.
 */
#include "indexer/search_points.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/time.h"
#include "io/sim.h"
#include "series/evs.h"
#include "series/key.h"

#define HOSTS 3
#define POINTS 500

static const struct storage_well wells[] = {
    {.name = STORAGE_WELL_DEFAULT, .location = "/data/default"},
};

static struct storage_options options_of(struct io_sim *sim)
{
    return (struct storage_options){.io = &sim->io,
                                    .node = {{7}},
                                    .datalog_dir = "/data/log",
                                    .tags_path = "/data/tags.dat",
                                    .wells = wells,
                                    .wells_count = ARRAY_COUNT(wells),
                                    .memtable_bytes_max = 60000,
                                    .manual = true};
}

/* Near each other at first, then hours apart. */
static int64_t time_of(size_t i)
{
    int64_t base = INT64_C(1767355200) * TIME_S_NS;
    return base + (i < POINTS / 2 ? (int64_t)i * TIME_MS_NS : (int64_t)i * TIME_HOUR_NS);
}

static void append_points(struct storage *storage, const char *class, size_t host)
{
    char name[8];
    (void)snprintf(name, sizeof(name), "h%zu", host);
    struct series_label labels[] = {{SPAN_LIT("host"), span_of_str(name)}};
    struct buf key = {0};
    assert_int_equal(series_key_make(&key, span_of_str(class), labels, 1), 0);
    struct element elements[POINTS];
    for (size_t i = 0; i < POINTS; i++) {
        elements[i] = (struct element){
            .time_ns = time_of(i) + (int64_t)host, .type = ELEMENT_F64, .value.f64 = (double)i / 2};
    }
    elements[0].has = ELEMENT_HAS_LOCATION | ELEMENT_HAS_ELEVATION;
    elements[0].location = location_of_degrees(45, 90);
    elements[0].elevation = 7;
    struct storage_points points = {.key = buf_span(&key), .elements = elements, .count = POINTS};
    assert_int_equal(storage_append_points(storage, &points, 1), 0);
    buf_deinit(&key);
}

static void append_entries(struct storage *storage, const char *name, size_t count)
{
    uint16_t tag = 0;
    assert_int_equal(storage_tag(storage, span_of_str(name), &tag), 0);
    for (size_t i = 0; i < count; i++) {
        struct entry entry = {.time_ns = time_of(i * 2), .tag = tag, .data = SPAN_LIT("a line")};
        assert_int_equal(storage_append(storage, &entry, 1), 0);
    }
}

struct asked {
    const char *name;
    uint16_t tag;
    bool found;
};

static int note(void *context, const char *name, uint16_t tag)
{
    struct asked *asked = context;
    if (strcmp(name, asked->name) == 0) {
        asked->tag = tag;
        asked->found = true;
    }
    return 0;
}

/* How many of [start, end) come, in order; all lie in it. */
static size_t scan(struct storage *storage, const char *const *names, size_t count,
                   int64_t start_ns, int64_t end_ns, bool ascending)
{
    struct query_source *source = storage_source(storage);
    uint16_t tags[8];
    for (size_t i = 0; i < count; i++) {
        struct asked asked = {.name = names[i]};
        assert_int_equal(query_source_tags(source, note, &asked), 0);
        assert_true(asked.found);
        tags[i] = asked.tag;
    }
    struct query_scan wanted = {.tags = tags,
                                .tag_count = count,
                                .start_ns = start_ns,
                                .end_ns = end_ns,
                                .ascending = ascending};
    struct query_cursor *cursor = NULL;
    struct query_source_block block;
    size_t seen = 0;
    int64_t last = ascending ? INT64_MIN : INT64_MAX;
    assert_int_equal(query_source_open(source, &wanted, &cursor), 0);
    int rc = 0;
    while ((rc = query_source_next(cursor, &block)) == 0) {
        assert_true(block.count > 0);
        for (size_t i = 0; i < block.count; i++, seen++) {
            int64_t time_ns = block.entries[i].time_ns;
            assert_true(time_ns >= start_ns && time_ns < end_ns);
            assert_true(ascending ? time_ns >= last : time_ns <= last);
            assert_int_equal(series_evs_check(block.entries[i].enumerated), 0);
            last = time_ns;
        }
    }
    assert_int_equal(rc, QUERY_SOURCE_END);
    query_source_close(&cursor);
    return seen;
}

static void points_come_in_the_order_of_time_among_entries(void **unused)
{
    (void)unused;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    struct storage_options options = options_of(&sim);
    struct storage *storage = NULL;
    assert_int_equal(storage_open(&options, &storage), 0);
    for (size_t host = 0; host < HOSTS; host++) {
        append_points(storage, "cpu", host);
        append_points(storage, "logs", host);
    }
    append_entries(storage, "logs", 100);
    append_entries(storage, "other", 50);
    const char *const cpu[] = {"cpu"};
    const char *const logs[] = {"logs"};
    const char *const all[] = {"cpu", "logs", "other", "default"};
    int64_t middle = time_of(POINTS / 4);
    for (int i = 0; i < 2; i++) {
        bool up = i == 1;
        assert_int_equal(scan(storage, cpu, 1, 0, INT64_MAX, up), HOSTS * POINTS);
        assert_int_equal(scan(storage, logs, 1, 0, INT64_MAX, up), HOSTS * POINTS + 100);
        assert_int_equal(scan(storage, all, 4, 0, INT64_MAX, up), 2 * HOSTS * POINTS + 150);
        assert_int_equal(scan(storage, cpu, 1, 0, middle, up), HOSTS * (POINTS / 4));
        assert_int_equal(scan(storage, cpu, 1, middle, middle + 2, up), 2);
        assert_int_equal(scan(storage, cpu, 1, middle + 100, middle + 200, up), 0);
        assert_int_equal(scan(storage, &all[2], 2, 0, INT64_MAX, up), 50);
    }
    storage_close(&storage);
    io_sim_deinit(&sim);
}

static void labels_and_values_are_enumerated_values(void **unused)
{
    (void)unused;
    struct io_sim sim;
    io_sim_init(&sim, 1);
    struct storage_options options = options_of(&sim);
    struct storage *storage = NULL;
    assert_int_equal(storage_open(&options, &storage), 0);
    append_points(storage, "cpu", 0);
    struct query_source *source = storage_source(storage);
    struct asked asked = {.name = "cpu"};
    assert_int_equal(query_source_tags(source, note, &asked), 0);
    struct query_scan wanted = {
        .tags = &asked.tag, .tag_count = 1, .start_ns = 0, .end_ns = time_of(1), .ascending = true};
    struct query_cursor *cursor = NULL;
    struct query_source_block block;
    assert_int_equal(query_source_open(source, &wanted, &cursor), 0);
    assert_int_equal(query_source_next(cursor, &block), 0);
    assert_int_equal(block.count, 1);
    assert_true(span_equal_str(block.entries[0].data, "cpu{host=h0} 0"));
    struct buf text = {0};
    size_t at = 0;
    struct series_ev ev;
    while (series_evs_next(block.entries[0].enumerated, &at, &ev)) {
        buf_append(&text, ev.name);
        buf_append_byte(&text, '=');
        series_ev_text(&text, &ev);
        buf_append_byte(&text, ' ');
    }
    assert_string_equal(buf_str(&text), "host=h0 value=0 lat=45 long=90 elevation=7 ");
    buf_deinit(&text);
    query_source_close(&cursor);
    storage_close(&storage);
    io_sim_deinit(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_come_in_the_order_of_time_among_entries),
        cmocka_unit_test(labels_and_values_are_enumerated_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
