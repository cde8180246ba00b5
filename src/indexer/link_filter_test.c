/*
 * A filter lets pass what it says of every kind of record, whatever else stands in one; all shards
 * together are everything, once; and over a link, nothing is missing for who was not to have it.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "datalog/parts.h"
#include "indexer/link_filter.h"
#include "indexer/storage.h"
#include "io/sim.h"
#include "replicate/places.h"
#include "series/records.h"
#include "well/points_record.h"

#define SERIES 20

struct node {
    struct io_sim sim;
    struct storage *storage;
    uint32_t numbers[SERIES];
};

static void make_key(struct buf *key, unsigned i)
{
    char host[16];
    snprintf(host, sizeof(host), "h%u", i);
    struct series_label label = {SPAN_LIT("host"), span_of_str(host)};
    buf_clear(key);
    assert_int_equal(
        series_key_make(key, i % 2 == 0 ? SPAN_LIT("even") : SPAN_LIT("odd"), &label, 1), 0);
}

static void start_node(struct node *node)
{
    static const struct storage_well well = {.name = STORAGE_WELL_DEFAULT,
                                             .location = "/data/default"};
    struct storage_options options = {
        .io = &node->sim.io,
        .node = {{1}},
        .datalog_dir = "/data/log",
        .tags_path = "/data/tags.dat",
        .wells = &well,
        .wells_count = 1,
        .manual = true,
    };
    struct buf key = {0};
    io_sim_init(&node->sim, 1);
    assert_int_equal(storage_open(&options, &node->storage), 0);
    for (unsigned i = 0; i < SERIES; i++) {
        make_key(&key, i);
        assert_true(series_catalogue_put(storage_catalogue(node->storage), buf_span(&key),
                                         &node->numbers[i]) >= 0);
    }
    buf_deinit(&key);
}

static void end_node(struct node *node)
{
    storage_close(&node->storage);
    io_sim_deinit(&node->sim);
}

static struct span name_of(void *context, uint16_t tag)
{
    (void)context;
    return tag == 1 ? SPAN_LIT("syslog") : SPAN_LIT("web");
}

/* Four entries, of two tags. */
static void put_entries(struct buf *payload)
{
    struct entry entries[4];
    for (int i = 0; i < 4; i++) {
        entries[i] =
            (struct entry){.time_ns = i, .tag = (uint16_t)(1 + i % 2), .data = SPAN_LIT("x")};
    }
    entries_encode(payload, entries, 4, name_of, NULL);
}

static void put_points(struct buf *payload, const struct node *node)
{
    size_t begin = payload->bytes;
    points_record_begin(payload);
    for (unsigned i = 0; i < SERIES; i++) {
        struct element elements[2] = {{.time_ns = 1, .type = ELEMENT_I64, .value.i64 = i},
                                      {.time_ns = 2, .type = ELEMENT_I64, .value.i64 = i}};
        points_record_put(payload, begin, node->numbers[i], elements, 2);
    }
}

/* What passes: tags of entries as 1 and 2, values of points as 100 + value, in order. */
static void walk(const struct datalog_record *record, uint64_t *counts)
{
    struct datalog_parts parts = datalog_parts_of(record);
    struct span well;
    struct span payload;
    int rc;
    while ((rc = datalog_parts_next(&parts, &well, &payload)) == 0) {
        struct entries run;
        struct entry entry;
        struct points_record points;
        struct points_part part;
        if (record->type == DATALOG_UPDATE) {
            assert_int_equal(entries_open(&run, payload), 0);
            while (entries_next(&run, &entry)) {
                counts[entry.tag]++;
            }
        } else {
            assert_int_equal(points_record_open(&points, payload), 0);
            while (points_record_next(&points, &part)) {
                for (size_t i = 0; i < part.count; i++) {
                    counts[100 + points_part_element(&part, i).value.i64]++;
                }
            }
        }
    }
    assert_int_equal(rc, DATALOG_END);
}

/* Two records, one of entries and one of points, each half in well "a", half in "b". */
static void pass(struct node *node, const struct link_filter_options *options, uint64_t *counts)
{
    struct link_filter *filter;
    struct buf part = {0};
    struct buf payload = {0};
    struct buf passed = {0};
    memset(counts, 0, 200 * sizeof(*counts));
    assert_int_equal(link_filter_new(options, &filter), 0);
    assert_non_null(filter);
    for (int type = 0; type < 2; type++) {
        struct datalog_record record = {.type = type == 0 ? DATALOG_UPDATE : DATALOG_POINTS};
        struct datalog_record out = {0};
        buf_clear(&payload);
        buf_clear(&part);
        if (type == 0) {
            put_entries(&part);
        } else {
            put_points(&part, node);
        }
        datalog_parts_put(&payload, SPAN_LIT("a"), buf_span(&part));
        datalog_parts_put(&payload, SPAN_LIT("b"), buf_span(&part));
        record.payload = buf_span(&payload);
        int rc =
            link_filter_record(filter, storage_catalogue(node->storage), &record, &passed, &out);
        assert_true(rc >= 0);
        if (rc != LINK_FILTER_NONE) {
            walk(rc == 0 ? &record : &out, counts);
        }
    }
    link_filter_free(&filter);
    buf_deinit(&part);
    buf_deinit(&payload);
    buf_deinit(&passed);
}

static void it_lets_pass_what_it_says(void **state)
{
    (void)state;
    struct node node;
    uint64_t counts[200];
    const char *wells[] = {"b"};
    start_node(&node);

    pass(&node, &(struct link_filter_options){.wells = wells, .wells_count = 1}, counts);
    assert_true(counts[1] == 2 && counts[2] == 2 && counts[100] == 2 && counts[101] == 2);

    pass(&node, &(struct link_filter_options){.selector = "web{}"}, counts);
    assert_true(counts[1] == 0 && counts[2] == 4 && counts[100] == 0);

    pass(&node, &(struct link_filter_options){.selector = "even{host~h1.*}"}, counts);
    for (unsigned i = 0; i < SERIES; i++) {
        bool passes = i % 2 == 0 && i >= 10;
        assert_true(counts[100 + i] == (passes ? 4 : 0));
    }
    assert_true(counts[1] == 0 && counts[2] == 0);

    pass(&node,
         &(struct link_filter_options){.selector = "even{}", .wells = wells, .wells_count = 1},
         counts);
    assert_true(counts[100] == 2 && counts[101] == 0);
    end_node(&node);
}

static void shards_together_are_everything_once(void **state)
{
    (void)state;
    struct node node;
    uint64_t counts[200];
    uint64_t sums[200] = {0};
    start_node(&node);
    for (uint32_t shard = 0; shard < 3; shard++) {
        struct link_filter_options options = {.modulus = 3, .remainder = shard};
        uint64_t sum = 0;
        pass(&node, &options, counts);
        for (size_t i = 0; i < 200; i++) {
            sums[i] += counts[i];
            sum += counts[i];
        }
        assert_true(sum > 0 && sum < 4 * SERIES + 8);
    }
    assert_true(sums[1] == 4 && sums[2] == 4);
    for (unsigned i = 0; i < SERIES; i++) {
        assert_true(sums[100 + i] == 4);
    }
    end_node(&node);
}

static void attributes_go_with_their_series(void **state)
{
    (void)state;
    struct node node;
    struct buf payload = {0};
    struct buf passed = {0};
    struct buf key = {0};
    struct link_filter *filter;
    struct link_filter_options options = {.selector = "odd{}"};
    struct datalog_record out;
    start_node(&node);
    assert_int_equal(link_filter_new(&options, &filter), 0);
    series_metas_begin(&payload);
    for (unsigned i = 0; i < 4; i++) {
        struct series_attribute attribute = {SPAN_LIT("unit"), SPAN_LIT("s"), false};
        make_key(&key, i);
        assert_int_equal(series_metas_put(&payload, buf_span(&key), i == 3, &attribute, 1), 0);
    }
    struct datalog_record record = {.type = DATALOG_META, .payload = buf_span(&payload)};
    assert_int_equal(
        link_filter_record(filter, storage_catalogue(node.storage), &record, &passed, &out),
        LINK_FILTER_SOME);
    struct series_metas metas;
    struct series_meta meta;
    assert_int_equal(series_metas_open(&metas, out.payload), 0);
    for (unsigned i = 1; i < 4; i += 2) {
        struct series_attribute attribute;
        make_key(&key, i);
        assert_true(series_metas_next(&metas, &meta));
        assert_true(span_equal(meta.key, buf_span(&key)) && meta.replace == (i == 3));
        assert_true(series_meta_attribute(&meta, &attribute));
        assert_true(span_equal(attribute.value, SPAN_LIT("s")));
    }
    assert_false(series_metas_next(&metas, &meta));
    record.type = DATALOG_SERIES;
    assert_int_equal(link_filter_record(filter, NULL, &record, &passed, &out), LINK_FILTER_NONE);
    record.type = DATALOG_DELETE;
    assert_int_equal(link_filter_record(filter, NULL, &record, &passed, &out), 0);
    record.type = DATALOG_UPDATE;
    record.well = SPAN_LIT("a");
    assert_int_equal(link_filter_record(filter, NULL, &record, &passed, &out), ERR_CORRUPT);
    link_filter_free(&filter);
    buf_deinit(&payload);
    buf_deinit(&passed);
    buf_deinit(&key);
    end_node(&node);
}

static uint16_t id_of(const struct link_filter_options *options)
{
    struct link_filter *filter;
    assert_int_equal(link_filter_new(options, &filter), 0);
    uint16_t id = link_filter_id(filter);
    link_filter_free(&filter);
    return id;
}

static void filters_have_names(void **state)
{
    (void)state;
    const char *wells[] = {"a", "b", "a"};
    struct link_filter_options ab = {.wells = wells, .wells_count = 2};
    struct link_filter_options ba = {.wells = wells + 1, .wells_count = 2};
    struct link_filter_options a = {.wells = wells, .wells_count = 1};
    assert_true(id_of(&ab) == id_of(&ba) && id_of(&ab) != id_of(&a));
    assert_true(id_of(&(struct link_filter_options){.modulus = 2}) !=
                id_of(&(struct link_filter_options){.modulus = 2, .remainder = 1}));
    assert_true(id_of(&a) != 0 && id_of(&a) <= REPLICATE_FILTER_MAX);
    assert_true(id_of(&(struct link_filter_options){0}) == 0);
    struct link_filter *filter;
    struct link_filter_options wrong = {.selector = "x{"};
    assert_int_equal(link_filter_new(&wrong, &filter), ERR_INVALID);
    static const char *const shards[] = {"", "4", "4:", ":1", "4:4", "0:0", "a:1", "4:1:2"};
    for (size_t i = 0; i < sizeof(shards) / sizeof(*shards); i++) {
        assert_int_equal(link_filter_parse_shard(shards[i], &wrong), ERR_INVALID);
    }
    assert_int_equal(link_filter_parse_shard("4:3", &wrong), 0);
    assert_true(wrong.modulus == 4 && wrong.remainder == 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_lets_pass_what_it_says),
        cmocka_unit_test(shards_together_are_everything_once),
        cmocka_unit_test(attributes_go_with_their_series),
        cmocka_unit_test(filters_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
