/*
 * Storages in one process over librdkafka's mock cluster: what one is given the other holds, once,
 * of every kind, whatever is restarted; what is missing, foreign or broken is named.
 */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdlib.h>

#include "base/arena.h"
#include "indexer/datalog2x.h"
#include "indexer/kafka_forwarder.h"
#include "indexer/kafka_offsets.h"
#include "indexer/kafka_source.h"
#include "indexer/storage_testing.h"
#include "kafka/piece.h"

#define TOPIC "hub"
#define PARTITIONS 3

struct node {
    struct io_sim sim;
    struct uuid id;
    struct storage *storage;
    struct kafka_forwarder *forwarder;
    struct kafka_source *source;
    char offsets[96];
};

struct world {
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *cluster;
    struct link_poison *poison;
    struct node a, b;
    char dir[64];
    char quarantine[96];
};

static void start_node(struct world *world, struct node *node, uint8_t number)
{
    io_sim_init(&node->sim, number);
    node->id.bytes[0] = number;
    snprintf(node->offsets, sizeof(node->offsets), "%s/offsets-%u", world->dir, number);
    node->storage = testing_open_storage(&node->sim, node->id);
}

static int set_up(void **state)
{
    char why[256];
    struct world *world = MEM_NEW(struct world);
    world->rk = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof(why));
    world->cluster = rd_kafka_mock_cluster_new(world->rk, 1);
    assert_int_equal(rd_kafka_mock_topic_create(world->cluster, TOPIC, PARTITIONS, 1), 0);
    snprintf(world->dir, sizeof(world->dir), "/tmp/aquifer-kafka-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    snprintf(world->quarantine, sizeof(world->quarantine), "%s/quarantine", world->dir);
    world->poison = link_poison_new(io_real(), world->quarantine);
    start_node(world, &world->a, 1);
    start_node(world, &world->b, 2);
    *state = world;
    return 0;
}

static struct kafka_options options_of(struct world *world, struct node *node)
{
    return (struct kafka_options){
        .io = io_real(),
        .storage = node->storage,
        .poison = world->poison,
        .quarantine_dir = world->quarantine,
        .name = "hub",
        .url = "kafka://test/" TOPIC,
        .brokers = rd_kafka_mock_cluster_bootstraps(world->cluster),
        .topic = TOPIC,
        .compress = true,
        .offsets_path = node->offsets,
        .missing_ms = 300,
    };
}

static void forward(struct world *world, struct node *node)
{
    struct kafka_options options = options_of(world, node);
    assert_int_equal(kafka_forwarder_start(&options, &node->forwarder), 0);
}

static void take(struct world *world, struct node *node)
{
    struct kafka_options options = options_of(world, node);
    assert_int_equal(kafka_source_start(&options, &node->source), 0);
}

static void stop_node(struct node *node)
{
    kafka_forwarder_stop(&node->forwarder);
    kafka_source_stop(&node->source);
    storage_close(&node->storage);
}

static int tear_down(void **state)
{
    struct world *world = *state;
    char *command = mem_printf("rm -rf '%s'", world->dir);
    stop_node(&world->a);
    stop_node(&world->b);
    io_sim_deinit(&world->a.sim);
    io_sim_deinit(&world->b.sim);
    link_poison_free(&world->poison);
    rd_kafka_mock_cluster_destroy(world->cluster);
    rd_kafka_destroy(world->rk);
    (void)!system(command);
    mem_free(command);
    mem_free(world);
    return 0;
}

static struct kafka_info info_of(struct kafka_link *link)
{
    struct kafka_info info;
    kafka_link_info(link, &info);
    return info;
}

static void wait_for_state(struct kafka_link *link, enum kafka_state state)
{
    for (int i = 0; i < TESTING_WAIT_MS / 2 && info_of(link).state != state; i++) {
        testing_pause();
    }
    assert_string_equal(kafka_state_name(info_of(link).state), kafka_state_name(state));
}

/* ---- what is written and found ---- */

static void write_entries(struct node *node, uint64_t from, uint64_t count)
{
    struct entry entries[64];
    char texts[64][32];
    assert_true(count <= 64);
    for (uint64_t i = 0; i < count; i++) {
        char tag[16];
        uint16_t number;
        snprintf(tag, sizeof(tag), "tag-%" PRIu64, (from + i) % 5);
        assert_int_equal(storage_tag(node->storage, span_of_str(tag), &number), 0);
        entries[i] = testing_entry(from + i, number, texts[i]);
    }
    assert_int_equal(storage_append(node->storage, entries, count), 0);
}

/* One record with a point of each of `count` series. */
static void write_points(struct node *node, uint64_t count, int64_t time_ns, int64_t value)
{
    struct buf *keys = mem_alloc_array(count, sizeof(*keys));
    struct storage_points *points = mem_alloc_array(count, sizeof(*points));
    struct element element = {.time_ns = time_ns, .type = ELEMENT_I64, .value.i64 = value};
    for (uint64_t i = 0; i < count; i++) {
        testing_make_key(&keys[i], i);
        points[i] = (struct storage_points){SERIES_NONE, buf_span(&keys[i]), &element, 1};
    }
    assert_int_equal(storage_append_points(node->storage, points, count), 0);
    for (uint64_t i = 0; i < count; i++) {
        buf_deinit(&keys[i]);
    }
    mem_free(keys);
    mem_free(points);
}

static void wait_for_same_places(struct node *from, struct node *to)
{
    struct datalog *log = storage_log(from->storage);
    struct datalog_origin origin = datalog_origin(log);
    uint64_t position = datalog_origin_position(log, origin);
    for (int i = 0; i < TESTING_WAIT_MS / 2 &&
                    datalog_origin_position(storage_log(to->storage), origin) < position;
         i++) {
        testing_pause();
    }
    assert_int_equal(datalog_origin_position(storage_log(to->storage), origin), position);
}

/* ---- tests ---- */

static void every_kind_of_record_arrives_once(void **state)
{
    struct world *world = *state;
    write_entries(&world->a, 0, 60);
    write_points(&world->b, 3, 5, 1); /* other numbers for the same series there */
    forward(world, &world->a);
    forward(world, &world->b);
    take(world, &world->a);
    take(world, &world->b);
    write_points(&world->a, 50, 100, 7);
    write_points(&world->a, 10, 100, 8);
    struct series_delete deletion = {
        .start_ns = 0, .end_ns = 1000, .selector = SPAN_LIT("load{host=host-3}")};
    assert_int_equal(storage_delete(world->a.storage, &deletion, NULL), 0);
    write_points(&world->a, 1, 200, 9);
    testing_wait_for_value(world->b.storage, 0, 200, 9);
    for (uint64_t i = 0; i < 50; i++) {
        int64_t value = i == 3 ? -1 : i < 10 ? 8 : 7;
        assert_int_equal(testing_value_at(world->a.storage, i, 100), value);
        assert_int_equal(testing_value_at(world->b.storage, i, 100), value);
    }
    testing_wait_for_value(world->a.storage, 2, 5, 1);
    testing_wait_for_entries(world->b.storage, 60);
    wait_for_state(kafka_source_link(world->b.source), KAFKA_FOLLOWING);
    wait_for_state(kafka_forwarder_link(world->b.forwarder), KAFKA_FOLLOWING);
    wait_for_same_places(&world->a, &world->b);
    wait_for_same_places(&world->b, &world->a);
}

/* A point of a record that came from elsewhere, the first of its origin. */
static void receive_point(struct node *node, struct datalog_origin origin, uint64_t series,
                          int64_t value)
{
    struct buf key = {0};
    testing_make_key(&key, series);
    struct element element = {.time_ns = 5, .type = ELEMENT_I64, .value.i64 = value};
    struct storage_points points = {SERIES_NONE, buf_span(&key), &element, 1};
    struct storage_received received = {.origin = origin, .origin_position = 1, .time = 77};
    struct storage_waiter waiter = STORAGE_WAITER;
    int rc = storage_submit_points(node->storage, &points, 1, &received, storage_wake, &waiter);
    assert_int_equal(storage_wait(&waiter, rc), 0);
    buf_deinit(&key);
}

/* Of Warp 10 2.x, of a feed of 3.x, whose origins name the source, too, and what another node took
 * from one, which is that one's to write. The life in which they were taken may be over. */
static void what_was_taken_from_warp10_is_written_by_who_took_it(void **state)
{
    struct world *world = *state;
    struct node *node = &world->a;
    uint64_t hash = datalog2x_id_hash(SPAN_LIT("node-w"));
    struct uuid source = {{9, 9, 9}};
    write_points(node, 1, 1, 1);
    uint64_t life = datalog_origin(storage_log(node->storage)).incarnation;
    struct datalog_origin from_2x = {datalog2x_node(hash, node->id), life * 256 + 3};
    struct datalog_origin from_3x = {datalog2x_node(hash, source), life * 256};
    struct datalog_origin foreign = {datalog2x_node(hash, source), (life ^ 1) * 256};
    receive_point(node, from_2x, 11, 2);
    receive_point(node, from_3x, 12, 3);
    receive_point(node, foreign, 13, 4);
    storage_close(&node->storage);
    node->storage = testing_open_storage(&node->sim, node->id);
    assert_true(datalog_origin(storage_log(node->storage)).incarnation != life);
    forward(world, node);
    take(world, &world->b);
    write_points(node, 1, 9, 5);
    testing_wait_for_value(world->b.storage, 0, 9, 5);
    wait_for_state(kafka_source_link(world->b.source), KAFKA_FOLLOWING);
    assert_int_equal(testing_value_at(world->b.storage, 11, 5), 2);
    assert_int_equal(testing_value_at(world->b.storage, 12, 5), 3);
    assert_int_equal(testing_value_at(world->b.storage, 13, 5), -1);
}

static void a_large_entry_goes_in_pieces(void **state)
{
    struct world *world = *state;
    size_t bytes = 3 * KAFKA_PIECE_BYTES_DEFAULT + 77;
    uint8_t *data = mem_alloc(bytes);
    uint16_t tag;
    for (size_t i = 0; i < bytes; i++) {
        data[i] = (uint8_t)(i * 31 + i / 251);
    }
    assert_int_equal(storage_tag(world->a.storage, SPAN_LIT("large"), &tag), 0);
    struct entry entry = {.time_ns = 1, .tag = tag, .data = span_of(data, bytes)};
    assert_int_equal(storage_append(world->a.storage, &entry, 1), 0);
    forward(world, &world->a);
    take(world, &world->b);
    struct well_scan scan = {.start_ns = TIME_UNSET, .end_ns = TIME_MAX_NS};
    bool found = false;
    for (int i = 0; i < TESTING_WAIT_MS / 2 && !found; i++) {
        struct well_cursor *cursor;
        struct well_block block;
        testing_pause();
        assert_int_equal(storage_scan(world->b.storage, &scan, &cursor), 0);
        while (well_cursor_next(cursor, &block) == 0) {
            assert_false(found);
            assert_true(block.count == 1 && block.entries[0].data.bytes == bytes);
            assert_memory_equal(block.entries[0].data.data, data, bytes);
            found = true;
        }
        well_cursor_close(&cursor);
    }
    assert_true(found);
    mem_free(data);
}

static void restarts_of_both_sides_repeat_nothing(void **state)
{
    struct world *world = *state;
    uint64_t count = 0;
    for (unsigned i = 0; i < 6; i++) {
        forward(world, &world->a);
        take(world, &world->b);
        write_entries(&world->a, count, 40);
        count += 40;
        testing_wait_for_entries(world->b.storage, count);
        stop_node(&world->a);
        stop_node(&world->b);
        if (i % 2 == 0) { /* the offsets are lost: the topic is read anew */
            remove(world->b.offsets);
        }
        if (i == 4) { /* cut off in the middle of whatever it was */
            io_sim_crash(&world->a.sim);
            io_sim_crash(&world->b.sim);
        }
        world->a.storage = testing_open_storage(&world->a.sim, world->a.id);
        world->b.storage = testing_open_storage(&world->b.sim, world->b.id);
        assert_int_equal(testing_count_entries(world->b.storage, count), count);
    }
    take(world, &world->b);
    wait_for_state(kafka_source_link(world->b.source), KAFKA_FOLLOWING);
    assert_int_equal(testing_count_entries(world->b.storage, count), count);
}

/* Another link, or a snapshot, brings the records. */
static void bring(struct node *from, struct node *to, uint64_t count)
{
    struct buf nothing = {0};
    series_definitions_begin(&nothing);
    for (uint64_t i = 1; i <= count; i++) {
        struct storage_received received = {
            .origin = datalog_origin(storage_log(from->storage)),
            .origin_position = i,
            .time = i,
            .after = i - 1,
        };
        struct storage_waiter waiter = STORAGE_WAITER;
        int rc = storage_submit_series(to->storage, buf_span(&nothing), &received, storage_wake,
                                       &waiter);
        assert_int_equal(storage_wait(&waiter, rc), 0);
    }
    buf_deinit(&nothing);
}

static void what_was_trimmed_is_named_until_another_way_brings_it(void **state)
{
    struct world *world = *state;
    for (uint64_t i = 0; i < 20; i++) {
        write_entries(&world->a, i * 40, 40);
        assert_int_equal(storage_flush(world->a.storage), 0);
    }
    uint64_t first = datalog_first(storage_log(world->a.storage));
    assert_true(first > 1);
    forward(world, &world->a);
    take(world, &world->b);
    wait_for_state(kafka_source_link(world->b.source), KAFKA_NEEDS_SNAPSHOT);
    char said[64];
    snprintf(said, sizeof(said), "records 1 to %" PRIu64 " of 01000000", first - 1);
    TESTING_WAIT_FOR(strstr(info_of(kafka_source_link(world->b.source)).fault, said) != NULL);
    assert_int_equal(info_of(kafka_source_link(world->b.source)).kind, KAFKA_FAULT_MISSING);
    for (int i = 0; i < 25; i++) { /* and it stays said */
        testing_pause();
        assert_int_equal(info_of(kafka_source_link(world->b.source)).state, KAFKA_NEEDS_SNAPSHOT);
    }
    assert_int_equal(testing_count_entries(world->b.storage, 800), 0);
    bring(&world->a, &world->b, first - 1);
    wait_for_state(kafka_source_link(world->b.source), KAFKA_FOLLOWING);
    wait_for_same_places(&world->a, &world->b);
    assert_int_equal(testing_count_entries(world->b.storage, 800), 800 - 40 * (first - 1));
}

/* ---- what is broken ---- */

static void write_message(struct world *world, const struct buf *message)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    (void)rd_kafka_conf_set(conf, "bootstrap.servers",
                            rd_kafka_mock_cluster_bootstraps(world->cluster), why, sizeof(why));
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    assert_int_equal(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(TOPIC), RD_KAFKA_V_PARTITION(1),
                                       RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                       RD_KAFKA_V_VALUE(message->data, message->bytes),
                                       RD_KAFKA_V_END),
                     0);
    assert_int_equal(rd_kafka_flush(rk, 10000), 0);
    rd_kafka_destroy(rk);
}

static void write_record(struct world *world, uint64_t position, enum datalog_type type,
                         struct span payload, bool garbage)
{
    struct replicate_place place = {.origin = {{{9}}, 9}, .position = position, .time = position};
    struct kafka_part_body body = {
        .record = {.head = {place, position - 1}, .type = type, .payload = payload}};
    struct buf part = {0};
    struct buf message = {0};
    kafka_part_write(&part, &body);
    if (garbage) {
        part.data[part.bytes / 2] ^= 1;
    }
    struct kafka_piece piece = {.place = place,
                                .partitions = PARTITIONS,
                                .parts = 1,
                                .part_bytes = (uint32_t)part.bytes,
                                .bytes = buf_span(&part)};
    kafka_piece_write(&message, &piece);
    write_message(world, &message);
    buf_deinit(&part);
    buf_deinit(&message);
}

static void a_record_that_cannot_be_applied_is_set_aside_and_its_place_kept(void **state)
{
    struct world *world = *state;
    struct datalog_origin origin = {{{9}}, 9};
    write_record(world, 1, DATALOG_UPDATE, SPAN_LIT("no run of entries at all"), false);
    write_record(world, 2, DATALOG_SERIES, SPAN_LIT("\1"), true);
    write_record(world, 3, DATALOG_SERIES, SPAN_LIT("\1"), false);
    take(world, &world->b);
    for (int i = 0; i < TESTING_WAIT_MS / 2 &&
                    datalog_origin_position(storage_log(world->b.storage), origin) < 3;
         i++) {
        testing_pause();
    }
    assert_int_equal(datalog_origin_position(storage_log(world->b.storage), origin), 3);
    struct kafka_link *link = kafka_source_link(world->b.source);
    TESTING_WAIT_FOR(info_of(link).aside == 2 && info_of(link).faults[KAFKA_FAULT_POISON] == 2);
    assert_int_equal(link_poison_count(world->poison), 2);
    wait_for_state(link, KAFKA_FOLLOWING);
}

static void wait_for_fault(struct kafka_link *link, enum kafka_fault kind)
{
    for (int i = 0; i < TESTING_WAIT_MS / 2 && info_of(link).kind != kind; i++) {
        testing_pause();
    }
    assert_string_equal(kafka_fault_name(info_of(link).kind), kafka_fault_name(kind));
}

static void a_topic_that_is_missing_is_waited_for(void **state)
{
    struct world *world = *state;
    write_entries(&world->a, 0, 10);
    rd_kafka_mock_topic_set_error(world->cluster, TOPIC, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    forward(world, &world->a);
    take(world, &world->b);
    wait_for_fault(kafka_forwarder_link(world->a.forwarder), KAFKA_FAULT_TOPIC);
    wait_for_fault(kafka_source_link(world->b.source), KAFKA_FAULT_TOPIC);
    wait_for_state(kafka_source_link(world->b.source), KAFKA_CONNECTING);
    rd_kafka_mock_topic_set_error(world->cluster, TOPIC, RD_KAFKA_RESP_ERR_NO_ERROR);
    testing_wait_for_entries(world->b.storage, 10);
    wait_for_state(kafka_source_link(world->b.source), KAFKA_FOLLOWING);
    wait_for_state(kafka_forwarder_link(world->a.forwarder), KAFKA_FOLLOWING);
}

/* A broker's limit is not known beforehand. */
static void messages_that_are_too_large_become_smaller(void **state)
{
    struct world *world = *state;
    rd_kafka_resp_err_t errors[4];
    for (size_t i = 0; i < ARRAY_COUNT(errors); i++) {
        errors[i] = RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    }
    write_entries(&world->a, 0, 10);
    rd_kafka_mock_push_request_errors_array(world->cluster, 0, ARRAY_COUNT(errors), errors);
    forward(world, &world->a);
    take(world, &world->b);
    testing_wait_for_entries(world->b.storage, 10);
    wait_for_state(kafka_forwarder_link(world->a.forwarder), KAFKA_FOLLOWING);
    struct kafka_info info = info_of(kafka_forwarder_link(world->a.forwarder));
    assert_true(info.faults[KAFKA_FAULT_TOO_LARGE] > 0);
}

static void offsets_count_only_for_the_log_and_topic_they_were_written_for(void **state)
{
    struct world *world = *state;
    struct datalog *log = storage_log(world->a.storage);
    struct kafka_offsets offsets = {0};
    const char *why;
    write_entries(&world->a, 0, 10);
    vec_push(&offsets.all, 17);
    vec_push(&offsets.all, -2);
    assert_int_equal(kafka_offsets_write(io_real(), world->a.offsets, "kafka://x/y", log, &offsets),
                     0);
    kafka_offsets_read(io_real(), world->a.offsets, "kafka://x/y", log, &offsets, &why);
    assert_null(why);
    assert_true(offsets.all.count == 2 && offsets.all.items[0] == 17 && offsets.all.items[1] == -2);
    kafka_offsets_read(io_real(), world->a.offsets, "kafka://x/z", log, &offsets, &why);
    assert_true(why != NULL && offsets.all.count == 0);
    kafka_offsets_read(io_real(), world->a.offsets, "kafka://x/y", storage_log(world->b.storage),
                       &offsets, &why);
    assert_non_null(strstr(why, "older copy"));
    struct buf text = {0};
    assert_int_equal(io_read_file(io_real(), world->a.offsets, 10000, &text), 0);
    text.data[30] ^= 1;
    assert_int_equal(io_write_file(io_real(), world->a.offsets, buf_span(&text)), 0);
    kafka_offsets_read(io_real(), world->a.offsets, "kafka://x/y", log, &offsets, &why);
    assert_non_null(strstr(why, "damaged"));
    buf_deinit(&text);
    kafka_offsets_deinit(&offsets);
}

static void urls_and_properties_are_checked(void **state)
{
    (void)state;
    struct arena *arena = arena_new(1 << 20);
    struct kafka_options options = {0};
    assert_int_equal(kafka_url_parse("kafka://a:1,b:2/t.x", arena, &options), 0);
    assert_string_equal(options.brokers, "a:1,b:2");
    assert_string_equal(options.topic, "t.x");
    static const char *const bad[] = {"kafka://", "kafka:///t", "kafka://a", "kafka://a/",
                                      "kafka://a/b/c"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(kafka_url_parse(bad[i], arena, &options), ERR_INVALID);
    }
    static const char *const wrong[] = {"acks=0", "enable.idempotence=false", "no.such=1",
                                        "linger.ms=x", "linger.ms"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct kafka_link link = {
            .options = {
                .name = "x", .brokers = "a:1", .properties = &wrong[i], .properties_count = 1}};
        rd_kafka_conf_t *conf;
        assert_int_equal(kafka_link_conf(&link, true, &conf), ERR_INVALID);
    }
    arena_free(&arena);
}

int main(void)
{
#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_WORLD(every_kind_of_record_arrives_once),
        WITH_WORLD(what_was_taken_from_warp10_is_written_by_who_took_it),
        WITH_WORLD(a_large_entry_goes_in_pieces),
        WITH_WORLD(restarts_of_both_sides_repeat_nothing),
        WITH_WORLD(what_was_trimmed_is_named_until_another_way_brings_it),
        WITH_WORLD(a_record_that_cannot_be_applied_is_set_aside_and_its_place_kept),
        WITH_WORLD(a_topic_that_is_missing_is_waited_for),
        WITH_WORLD(messages_that_are_too_large_become_smaller),
        WITH_WORLD(offsets_count_only_for_the_log_and_topic_they_were_written_for),
        cmocka_unit_test(urls_and_properties_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
