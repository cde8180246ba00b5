/*
 * Dividing records: nothing is lost or added, each series is in the partition that Kafka's default
 * partitioner gives its text, and what a part carries is complete in itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "datalog/parts.h"
#include "io/sim.h"
#include "kafka/split.h"
#include "series/entry.h"
#include "well/points_record.h"

#define PARTITIONS 5
#define SERIES 40

struct world {
    struct io_sim sim;
    struct series_origins *origins;
    struct series_catalogue *catalogue;
    struct kafka_split split;
    struct buf scratch[2];
};

static int set_up(void **state)
{
    struct world *world = MEM_NEW(struct world);
    io_sim_init(&world->sim, 1);
    assert_int_equal(series_origins_open(&world->sim.io, "/origins", &world->origins), 0);
    struct series_catalogue_options options = {
        .io = &world->sim.io, .dir = "/series", .origins = world->origins};
    assert_int_equal(series_catalogue_open(&options, &world->catalogue), 0);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    kafka_split_deinit(&world->split);
    buf_deinit(&world->scratch[0]);
    buf_deinit(&world->scratch[1]);
    series_catalogue_close(&world->catalogue);
    series_origins_close(&world->origins);
    io_sim_deinit(&world->sim);
    mem_free(world);
    return 0;
}

static struct datalog_record record_of(enum datalog_type type, const struct buf *payload)
{
    return (struct datalog_record){.position = 9,
                                   .origin_position = 8,
                                   .time = 7,
                                   .origin = {{{6}}, 5},
                                   .type = type,
                                   .well = SPAN_LIT("default"),
                                   .payload = buf_span(payload)};
}

/* The only payload of part `i`, as another node reads it. */
static struct kafka_part_body body_of(struct world *world, size_t i, struct span *ret_payload)
{
    struct kafka_part_body body;
    struct span well;
    struct kafka_part *part = &world->split.parts.items[i];
    assert_int_equal(kafka_part_read(part->bytes, world->scratch, &body), 0);
    assert_true(body.record.head.place.position == 8 && body.record.head.place.time == 7);
    assert_true(body.record.head.previous == 7 && body.record.log_position == 9);
    struct datalog_record read = {.payload = body.record.payload};
    struct datalog_parts parts = datalog_parts_of(&read);
    assert_int_equal(datalog_parts_next(&parts, &well, ret_payload), 0);
    return body;
}

static struct span tag_name(void *context, uint16_t tag)
{
    static char names[4][16];
    (void)context;
    snprintf(names[tag], sizeof(names[tag]), "tag %u", tag);
    return span_of_str(names[tag]);
}

static void entries_go_by_tag_and_source(void **state)
{
    struct world *world = *state;
    struct entry entries[200] = {0};
    struct buf payload = {0};
    bool seen[200] = {0};
    for (uint8_t i = 0; i < 200; i++) {
        entries[i] = (struct entry){.time_ns = i, .tag = i % 3, .data = SPAN_LIT("x")};
        entry_source_of_v4((uint8_t[4]){10, 0, 0, i % 7}, entries[i].source);
    }
    entries_encode(&payload, entries, 200, tag_name, NULL);
    struct datalog_record record = record_of(DATALOG_UPDATE, &payload);
    assert_int_equal(kafka_split(&world->split, &record, world->catalogue, PARTITIONS), 0);
    for (size_t k = 0; k < world->split.parts.count; k++) {
        struct span run;
        struct entries reader;
        struct entry entry;
        int64_t before = -1;
        (void)body_of(world, k, &run);
        assert_int_equal(entries_open(&reader, run), 0);
        while (entries_next(&reader, &entry)) {
            char text[64];
            snprintf(text, sizeof(text), "tag%%20%u{source=10.0.0.%u}", entry.tag,
                     entry.source[15]);
            assert_int_equal(kafka_partition_of(span_of_str(text), PARTITIONS),
                             world->split.parts.items[k].partition);
            assert_true(entry.time_ns > before && !seen[entry.time_ns]);
            seen[entry.time_ns] = true;
            before = entry.time_ns;
        }
    }
    for (size_t i = 0; i < 200; i++) {
        assert_true(seen[i]);
    }
    buf_deinit(&payload);
}

static void put_series(struct world *world, unsigned i, struct buf *payload)
{
    char host[16];
    struct buf key = {0};
    uint32_t number;
    struct element elements[2] = {{.time_ns = 1, .type = ELEMENT_I64, .value.i64 = i},
                                  {.time_ns = 2, .type = ELEMENT_I64, .value.i64 = i}};
    snprintf(host, sizeof(host), "%u", i);
    struct series_label label = {SPAN_LIT("host"), span_of_str(host)};
    assert_int_equal(series_key_make(&key, SPAN_LIT("load"), &label, 1), 0);
    assert_true(series_catalogue_put(world->catalogue, buf_span(&key), &number) >= 0);
    points_record_put(payload, 0, number, elements, 2);
    buf_deinit(&key);
}

/* Every part defines the series that it uses, by numbers that are unique in the record. */
static void points_go_by_series_with_their_definitions(void **state)
{
    struct world *world = *state;
    struct buf payload = {0};
    bool seen[SERIES] = {0};
    bool numbers[SERIES + 1] = {0};
    points_record_begin(&payload);
    for (unsigned i = 0; i < SERIES; i++) {
        put_series(world, i, &payload);
    }
    struct datalog_record record = record_of(DATALOG_POINTS, &payload);
    assert_int_equal(kafka_split(&world->split, &record, world->catalogue, PARTITIONS), 0);
    assert_int_equal(world->split.parts.count, PARTITIONS);
    for (size_t k = 0; k < PARTITIONS; k++) {
        struct span run;
        struct points_record points;
        struct points_part part;
        struct series_definitions definitions;
        struct series_definition definition;
        struct kafka_part_body body = body_of(world, k, &run);
        assert_int_equal(points_record_open(&points, run), 0);
        assert_int_equal(series_definitions_open(&definitions, body.definitions), 0);
        while (points_record_next(&points, &part)) {
            struct buf text = {0};
            assert_true(series_definitions_next(&definitions, &definition));
            assert_true(definition.number == part.series && !numbers[part.series]);
            numbers[part.series] = true;
            series_key_text(&text, definition.key);
            assert_int_equal(kafka_partition_of(buf_span(&text), PARTITIONS),
                             world->split.parts.items[k].partition);
            assert_true(part.count == 2 && points_part_time(&part, 1) == 2);
            seen[points_part_element(&part, 0).value.i64] = true;
            buf_deinit(&text);
        }
        assert_false(series_definitions_next(&definitions, &definition));
    }
    for (size_t i = 0; i < SERIES; i++) {
        assert_true(seen[i]);
    }
    buf_deinit(&payload);
}

static void a_record_of_one_series_has_its_text_as_key(void **state)
{
    struct world *world = *state;
    struct buf payload = {0};
    points_record_begin(&payload);
    put_series(world, 3, &payload);
    put_series(world, 3, &payload);
    struct datalog_record record = record_of(DATALOG_POINTS, &payload);
    assert_int_equal(kafka_split(&world->split, &record, world->catalogue, PARTITIONS), 0);
    assert_int_equal(world->split.parts.count, 1);
    assert_true(span_equal_str(world->split.parts.items[0].text, "load{host=3}"));
    put_series(world, 4, &payload);
    record.payload = buf_span(&payload);
    assert_int_equal(kafka_split(&world->split, &record, world->catalogue, 1), 0);
    assert_int_equal(world->split.parts.count, 1);
    assert_int_equal(world->split.parts.items[0].text.bytes, 0);
    buf_deinit(&payload);
}

static void what_is_about_many_series_stays_whole(void **state)
{
    struct world *world = *state;
    struct buf payload = {0};
    struct kafka_part_body body;
    buf_append_str(&payload, "whatever it is");
    for (int type = DATALOG_META; type <= DATALOG_SERIES; type++) {
        if (type == DATALOG_POINTS) {
            continue;
        }
        struct datalog_record record = record_of((enum datalog_type)type, &payload);
        assert_int_equal(kafka_split(&world->split, &record, world->catalogue, PARTITIONS), 0);
        assert_int_equal(world->split.parts.count, 1);
        assert_int_equal(kafka_part_read(world->split.parts.items[0].bytes, world->scratch, &body),
                         0);
        assert_true(span_equal(body.record.payload, record.payload));
        assert_true(span_equal_str(world->split.parts.items[0].text,
                                   "06000000-0000-0000-0000-000000000000/0000000000000005"));
    }
    buf_deinit(&payload);
}

static void a_damaged_record_is_named(void **state)
{
    struct world *world = *state;
    struct buf payload = {0};
    buf_append_str(&payload, "no run of entries");
    struct datalog_record record = record_of(DATALOG_UPDATE, &payload);
    assert_true(kafka_split(&world->split, &record, world->catalogue, PARTITIONS) < 0);
    record.type = DATALOG_POINTS;
    assert_true(kafka_split(&world->split, &record, world->catalogue, PARTITIONS) < 0);
    buf_deinit(&payload);
}

/* Known values of Kafka's murmur2. */
static void partitions_are_those_of_kafkas_default_partitioner(void **state)
{
    (void)state;
    assert_int_equal(kafka_partition_of(SPAN_LIT("21"), 1000), (-973932308 & 0x7fffffff) % 1000);
    assert_int_equal(kafka_partition_of(SPAN_LIT("foobar"), 1000),
                     (-790332482 & 0x7fffffff) % 1000);
    assert_int_equal(kafka_partition_of(SPAN_LIT("a-little-bit-long-string"), 1000),
                     (-985981536 & 0x7fffffff) % 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(entries_go_by_tag_and_source, set_up, tear_down),
        cmocka_unit_test_setup_teardown(points_go_by_series_with_their_definitions, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_record_of_one_series_has_its_text_as_key, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_about_many_series_stays_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_record_is_named, set_up, tear_down),
        cmocka_unit_test(partitions_are_those_of_kafkas_default_partitioner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
