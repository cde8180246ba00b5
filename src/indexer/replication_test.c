/*
 * Replication between storages in one process, over real sockets: what one node is given all
 * hold, once, of every kind; wrong secrets and double ids are named; a gap is never passed over.
 */

#include "base/testing_port.h"
#include "base/wire.h"
#include "indexer/datalog2x.h"
#include "indexer/link_series.h"
#include "indexer/replication.h"
#include "indexer/storage_intake.h"
#include "indexer/storage_testing.h"

#define SECRET "the secret of the tests"
#define NODES_MAX 4

struct node {
    struct io_sim sim;
    struct uuid id;
    struct storage *storage;
    struct replication *door;
    struct testing_port port; /* of its door */
    struct replication *way;  /* its forwarders */
    char targets[NODES_MAX][32];
    struct forwarder_options forwarders[NODES_MAX];
    struct link_filter_options filter; /* of its links; so the next */
    const struct uuid *ignored;
    size_t ignored_count;
    uint64_t rate_bytes;
};

static void start_node(struct node *node, uint8_t number)
{
    memset(node, 0, sizeof(*node));
    io_sim_init(&node->sim, number);
    node->id.bytes[0] = number;
    node->storage = testing_open_storage(&node->sim, node->id);
    node->port = testing_port_take();
}

static void listen_at(struct node *node, const char *secret)
{
    struct replication_options options = {
        .io = io_real(),
        .storage = node->storage,
        .listens = true,
        .listen = {.scheme = INGEST_TCP, .host = "127.0.0.1", .port = node->port.number},
        .secret = secret,
    };
    assert_int_equal(replication_start(&options, &node->door), 0);
}

/* `listens`: in one with its door, as in a daemon, at its port. */
static void start_links(struct node *from, struct node *const *to, size_t count, bool listens)
{
    for (size_t i = 0; i < count; i++) {
        struct forwarder_options *forwarder = &from->forwarders[i];
        *forwarder = (struct forwarder_options){.secret = SECRET, .level = i % 2 == 0 ? 1 : 0};
        snprintf(from->targets[i], sizeof(from->targets[i]), "127.0.0.1:%u", to[i]->port.number);
        forwarder->name = forwarder->target = from->targets[i];
        forwarder->filter = from->filter;
        forwarder->ignored = from->ignored;
        forwarder->ignored_count = from->ignored_count;
        forwarder->rate_bytes = from->rate_bytes;
        assert_int_equal(link_address_parse(forwarder->target, false, &forwarder->address), 0);
    }
    struct replication_options options = {
        .io = io_real(),
        .storage = from->storage,
        .forwarders = from->forwarders,
        .forwarders_count = count,
        .round_after_ms = 50,
        .listens = listens,
        .listen = {.scheme = INGEST_TCP, .host = "127.0.0.1", .port = from->port.number},
        .secret = SECRET,
    };
    assert_int_equal(replication_start(&options, &from->way), 0);
}

static void forward(struct node *from, struct node *const *to, size_t count)
{
    start_links(from, to, count, false);
}

static void forward_to(struct node *from, struct node *to)
{
    forward(from, &to, 1);
}

static void end_node(struct node *node)
{
    replication_stop(&node->way);
    replication_stop(&node->door);
    storage_close(&node->storage);
    io_sim_deinit(&node->sim);
    testing_port_give_back(&node->port);
}

/* ---- what is written and found ---- */

static void write_entries(struct node *node, const char *tag, uint64_t from, uint64_t count)
{
    uint16_t number;
    assert_int_equal(storage_tag(node->storage, span_of_str(tag), &number), 0);
    for (uint64_t i = from; i < from + count; i++) {
        char text[32];
        struct entry entry = testing_entry(i, number, text);
        assert_int_equal(storage_append(node->storage, &entry, 1), 0);
    }
}

static void write_point(struct node *node, uint64_t series, int64_t time_ns, int64_t value)
{
    struct buf key = {0};
    testing_make_key(&key, series);
    struct element element = {.time_ns = time_ns, .type = ELEMENT_I64, .value.i64 = value};
    struct storage_points points = {SERIES_NONE, buf_span(&key), &element, 1};
    assert_int_equal(storage_append_points(node->storage, &points, 1), 0);
    buf_deinit(&key);
}

static struct forwarder_info info_of(struct node *node)
{
    struct forwarder_info info;
    json_t *json = replication_json(node->way);
    const json_t *first = json_array_get(json_object_get(json, "forwarders"), 0);
    memset(&info, 0, sizeof(info));
    snprintf(info.fault, sizeof(info.fault), "%s",
             json_string_value(json_object_get(first, "fault")));
    info.lag_records = (uint64_t)json_integer_value(json_object_get(first, "lag_records"));
    info.records = (uint64_t)json_integer_value(json_object_get(first, "records"));
    info.snapshots = (uint64_t)json_integer_value(json_object_get(first, "snapshots"));
    const char *state = json_string_value(json_object_get(first, "state"));
    while (strcmp(forwarder_state_name(info.state), state) != 0) {
        info.state++;
    }
    json_decref(json);
    return info;
}

static void wait_for_state(struct node *node, enum forwarder_state state)
{
    for (int i = 0; i < TESTING_WAIT_MS / 2 && info_of(node).state != state; i++) {
        testing_pause();
    }
    assert_int_equal(info_of(node).state, state);
}

static void wait_for_fault(struct node *node, const char *text)
{
    for (int i = 0; i < TESTING_WAIT_MS / 2 && strstr(info_of(node).fault, text) == NULL; i++) {
        testing_pause();
    }
    assert_non_null(strstr(info_of(node).fault, text));
}

/* ---- tests ---- */

static void ignore_done(void *context, int rc)
{
    (void)context;
    assert_int_equal(rc, 0);
}

static int check_unit(void *context, struct span name, struct span value)
{
    (void)context;
    assert_true(span_equal(name, SPAN_LIT("unit")) && span_equal(value, SPAN_LIT("percent")));
    return 1;
}

/* Both ways, with other numbers of tags on either side, and over a restart of each. */
static void a_pair_holds_what_each_was_given(void **state)
{
    (void)state;
    struct node a;
    struct node b;
    start_node(&a, 1);
    start_node(&b, 2);
    write_entries(&a, "here", 0, 10);
    write_entries(&b, "there", 10, 10);
    listen_at(&a, SECRET);
    listen_at(&b, SECRET);
    forward_to(&a, &b);
    forward_to(&b, &a);
    write_entries(&a, "both", 20, 200);
    write_entries(&b, "both", 220, 200);
    testing_wait_for_entries(a.storage, 420);
    testing_wait_for_entries(b.storage, 420);
    for (int round = 0; round < 2; round++) { /* what went round is not sent again */
        replication_stop(&a.way);
        replication_stop(&b.way);
        replication_stop(&a.door);
        replication_stop(&b.door);
        storage_close(&a.storage);
        a.storage = testing_open_storage(&a.sim, a.id);
        listen_at(&a, SECRET);
        listen_at(&b, SECRET);
        forward_to(&a, &b);
        forward_to(&b, &a);
        wait_for_state(&a, FORWARDER_FOLLOWING);
        wait_for_state(&b, FORWARDER_FOLLOWING);
        assert_true(info_of(&a).records == 0 && info_of(&b).records == 0);
    }
    write_entries(&a, "both", 420, 20);
    testing_wait_for_entries(a.storage, 440);
    testing_wait_for_entries(b.storage, 440);
    end_node(&a);
    end_node(&b);
}

/* A ring: what goes round stops where it began, of all kinds of records. */
static void a_ring_holds_points_attributes_and_deletes(void **state)
{
    (void)state;
    struct node nodes[3];
    for (uint8_t i = 0; i < 3; i++) {
        start_node(&nodes[i], (uint8_t)(i + 1));
        listen_at(&nodes[i], SECRET);
    }
    for (size_t i = 0; i < 3; i++) {
        forward_to(&nodes[i], &nodes[(i + 1) % 3]);
    }
    for (uint64_t i = 0; i < 60; i++) {
        write_point(&nodes[i % 3], i % 7, (int64_t)i, (int64_t)i * 10);
    }
    for (size_t n = 0; n < 3; n++) {
        for (uint64_t i = 0; i < 60; i++) {
            testing_wait_for_value(nodes[n].storage, i % 7, (int64_t)i, (int64_t)i * 10);
        }
    }
    write_point(&nodes[1], 3, 3, 77); /* the last write stands */
    for (size_t n = 0; n < 3; n++) {
        testing_wait_for_value(nodes[n].storage, 3, 3, 77);
    }
    struct series_delete deletion = {
        .selector = SPAN_LIT("load{host=host-3}"), .start_ns = 0, .end_ns = 20};
    struct storage_deleted deleted;
    assert_int_equal(storage_delete(nodes[2].storage, &deletion, &deleted), 0);
    assert_true(deleted.series == 1);
    for (size_t n = 0; n < 3; n++) {
        testing_wait_for_value(nodes[n].storage, 3, 3, -1);
        testing_wait_for_value(nodes[n].storage, 3, 24, 240);
    }
    struct buf metas = {0};
    struct buf key = {0};
    struct series_attribute attribute = {SPAN_LIT("unit"), SPAN_LIT("percent"), false};
    testing_make_key(&key, 5);
    series_metas_begin(&metas);
    assert_int_equal(series_metas_put(&metas, buf_span(&key), false, &attribute, 1), 0);
    assert_int_equal(storage_append_meta(nodes[0].storage, buf_span(&metas)), 0);
    write_point(&nodes[0], 100, 1, 1); /* behind it */
    for (size_t n = 0; n < 3; n++) {
        testing_wait_for_value(nodes[n].storage, 100, 1, 1);
        uint32_t number;
        int rc = 0;
        assert_true(
            series_catalogue_find(storage_catalogue(nodes[n].storage), buf_span(&key), &number));
        rc = series_catalogue_attributes(storage_catalogue(nodes[n].storage), number, check_unit,
                                         NULL);
        assert_int_equal(rc, 1); /* it was seen */
    }
    buf_deinit(&metas);
    buf_deinit(&key);
    for (size_t i = 0; i < 3; i++) { /* links before what they lead to */
        replication_stop(&nodes[i].way);
    }
    for (size_t i = 0; i < 3; i++) {
        end_node(&nodes[i]);
    }
}

/* What a Warp 10 2.x node sent goes on under its node's name. */
static void what_came_from_a_warp10_goes_on(void **state)
{
    (void)state;
    struct node a;
    struct node b;
    start_node(&a, 1);
    start_node(&b, 2);
    listen_at(&b, SECRET);
    forward_to(&a, &b);
    struct buf key = {0};
    testing_make_key(&key, 1);
    for (int64_t i = 1; i <= 5; i++) {
        struct element element = {.time_ns = i, .type = ELEMENT_I64, .value.i64 = i};
        struct storage_points points = {SERIES_NONE, buf_span(&key), &element, 1};
        struct storage_received received = {
            .origin = {datalog2x_node(77, a.id), 1},
            .origin_position = (uint64_t)i,
            .time = (uint64_t)i * 1000,
        };
        assert_int_equal(storage_submit_points(a.storage, &points, 1, &received, ignore_done, NULL),
                         0);
    }
    buf_deinit(&key);
    write_entries(&a, "t", 0, 3);
    testing_wait_for_entries(b.storage, 3);
    for (int64_t i = 1; i <= 5; i++) {
        testing_wait_for_value(b.storage, 1, i, i);
    }
    end_node(&a);
    end_node(&b);
}

static void another_secret_is_refused_and_named(void **state)
{
    (void)state;
    struct node a;
    struct node b;
    start_node(&a, 1);
    start_node(&b, 2);
    write_entries(&a, "t", 0, 3);
    listen_at(&b, "what nobody knows");
    forward_to(&a, &b);
    wait_for_fault(&a, "another secret");
    assert_true(testing_count_entries(b.storage, 3) == 0);
    end_node(&a);
    end_node(&b);
}

static void two_nodes_with_one_id_are_named(void **state)
{
    (void)state;
    struct node a;
    struct node b;
    start_node(&a, 5);
    start_node(&b, 5);
    write_entries(&a, "t", 0, 3);
    listen_at(&b, SECRET);
    forward_to(&a, &b);
    wait_for_fault(&a, "two nodes have the id 05000000-");
    assert_true(testing_count_entries(b.storage, 3) == 0);
    end_node(&a);
    end_node(&b);
}

/* The log was trimmed past what the target has: it gets a snapshot, and the log from there on. Who
 * follows the target gets one too, for its log has none of that. */
static void who_lacks_what_was_trimmed_gets_a_snapshot(void **state)
{
    (void)state;
    struct node a;
    struct node b;
    struct node c;
    start_node(&a, 1);
    start_node(&b, 2);
    start_node(&c, 3);
    for (uint64_t i = 0; i < 200; i += 50) {
        write_entries(&a, "t", i, 50);
        assert_int_equal(storage_flush(a.storage), 0);
    }
    assert_true(datalog_first(storage_log(a.storage)) > 1);
    listen_at(&b, SECRET);
    listen_at(&c, SECRET);
    forward_to(&b, &c);
    write_entries(&b, "t", 205, 5);
    wait_for_state(&b, FORWARDER_FOLLOWING);
    forward_to(&a, &b);
    write_entries(&a, "t", 200, 5);
    testing_wait_for_entries(b.storage, 210);
    testing_wait_for_entries(c.storage, 210);
    wait_for_state(&a, FORWARDER_FOLLOWING);
    assert_true(info_of(&a).snapshots == 1 && info_of(&b).snapshots == 1);
    write_entries(&a, "t", 210, 5);
    write_entries(&b, "t", 215, 5);
    testing_wait_for_entries(c.storage, 220);
    end_node(&a);
    end_node(&b);
    end_node(&c);
}

/* The target is away while the log goes on and is flushed: it gets all of it when it is back. */
static void a_target_that_was_away_catches_up(void **state)
{
    (void)state;
    struct node a;
    struct node b;
    start_node(&a, 1);
    start_node(&b, 2);
    listen_at(&b, SECRET);
    forward_to(&a, &b);
    write_entries(&a, "t", 0, 20);
    testing_wait_for_entries(b.storage, 20);
    replication_stop(&b.door);
    for (uint64_t i = 20; i < 420; i += 50) {
        write_entries(&a, "t", i, 50);
        assert_int_equal(storage_flush(a.storage), 0);
    }
    assert_true(info_of(&a).lag_records >= 400);
    replication_stop(&a.way);
    storage_close(&b.storage);
    b.storage = testing_open_storage(&b.sim, b.id);
    listen_at(&b, SECRET);
    forward_to(&a, &b);
    testing_wait_for_entries(b.storage, 420);
    end_node(&a);
    end_node(&b);
}

/* The position of the only origin but its own, and whether that is a derived one. */
static uint64_t place_of_other(struct node *node, bool *ret_derived)
{
    struct replicate_places places = {0};
    uint64_t position = 0;
    storage_places(node->storage, &places);
    for (size_t i = 0; i < places.all.count; i++) {
        if (!uuid_equal(places.all.items[i].origin.node, node->id)) {
            assert_true(position == 0);
            position = places.all.items[i].position;
            *ret_derived = replicate_origin_is_derived(places.all.items[i].origin);
        }
    }
    replicate_places_deinit(&places);
    return position;
}

/* Records that the node's first forwarder withholds: it learns of them as its target answers. */
static uint64_t withheld_by(struct node *node)
{
    json_t *json = replication_json(node->way);
    const json_t *link = json_array_get(json_object_get(json, "forwarders"), 0);
    uint64_t withheld = (uint64_t)json_integer_value(json_object_get(link, "withheld"));
    json_decref(json);
    return withheld;
}

static uint64_t own_position(struct node *node)
{
    struct datalog *log = storage_log(node->storage);
    return datalog_origin_position(log, datalog_origin(log));
}

/* a -> c lets only one tag and no points pass; c then holds all of the places of that part, and
 * says so. What b has of a, whole, c does not take besides; nor has a anything to send again. */
static void a_filter_brings_a_part_and_says_so(void **state)
{
    (void)state;
    struct node a;
    struct node b;
    struct node c;
    bool derived = false;
    start_node(&a, 1);
    start_node(&b, 2);
    start_node(&c, 3);
    listen_at(&b, SECRET);
    listen_at(&c, SECRET);
    a.filter.selector = "yes{}";
    forward_to(&a, &c);
    for (uint64_t i = 0; i < 20; i++) {
        write_entries(&a, "yes", i, 1);
        write_entries(&a, "no", 20 + i, 1);
        write_point(&a, i, 1, 1);
    }
    testing_wait_for_entries(c.storage, 20);
    for (int i = 0; i < TESTING_WAIT_MS / 2 && place_of_other(&c, &derived) < own_position(&a);
         i++) {
        testing_pause();
    }
    assert_true(place_of_other(&c, &derived) == own_position(&a) && derived);
    assert_true(testing_count_entries(c.storage, 40) == 20 &&
                testing_value_at(c.storage, 1, 1) == -1);
    wait_for_state(&a, FORWARDER_FOLLOWING);
    replication_stop(&a.way); /* now whole to b, and from there */
    a.filter.selector = NULL;
    forward_to(&a, &b);
    forward_to(&b, &c);
    testing_wait_for_entries(b.storage, 40);
    write_entries(&b, "b", 40, 1);
    for (int i = 0; i < TESTING_WAIT_MS / 2 && testing_count_entries(c.storage, 41) < 21; i++) {
        testing_pause();
    }
    assert_true(testing_count_entries(c.storage, 41) == 21);
    for (int i = 0; i < TESTING_WAIT_MS / 2 && withheld_by(&b) < own_position(&a); i++) {
        testing_pause();
    }
    assert_int_equal(withheld_by(&b), own_position(&a));
    replication_stop(&a.way);
    replication_stop(&b.way);
    replication_stop(&c.door); /* again through the filter: it is all there */
    a.filter.selector = "yes{}";
    listen_at(&c, SECRET);
    forward_to(&a, &c);
    wait_for_state(&a, FORWARDER_FOLLOWING);
    assert_true(info_of(&a).records == 0);
    end_node(&a);
    end_node(&b);
    end_node(&c);
}

/* b leaves out two nodes, of which one is a; what c does not get is not missing to it. A bound of
 * the rate lets all of it pass in the end. */
static void ignored_nodes_are_left_out(void **state)
{
    (void)state;
    static const struct uuid ignored[] = {{{9}}, {{1}}};
    struct node a;
    struct node b;
    struct node c;
    start_node(&a, 1);
    start_node(&b, 2);
    start_node(&c, 3);
    listen_at(&b, SECRET);
    listen_at(&c, SECRET);
    b.ignored = ignored;
    b.ignored_count = 2;
    b.rate_bytes = 20000;
    forward_to(&a, &b);
    forward_to(&b, &c);
    write_entries(&a, "t", 0, 50);
    testing_wait_for_entries(b.storage, 50);
    write_entries(&b, "t", 50, 50);
    for (int i = 0; i < TESTING_WAIT_MS / 2 && testing_count_entries(c.storage, 100) < 50; i++) {
        testing_pause();
    }
    wait_for_state(&b, FORWARDER_FOLLOWING);
    assert_true(testing_count_entries(c.storage, 100) == 50);
    bool derived;
    TESTING_WAIT_FOR(place_of_other(&c, &derived) == own_position(&b));
    assert_true(info_of(&b).fault[0] == '\0' && info_of(&b).snapshots == 0);
    end_node(&a);
    end_node(&b);
    end_node(&c);
}

/* A link with a filter that is made when the log was trimmed already: the snapshot has that part,
 * and the log goes on from there. */
static void a_filtered_link_may_begin_with_a_snapshot(void **state)
{
    (void)state;
    struct node a;
    struct node b;
    bool derived = false;
    start_node(&a, 1);
    start_node(&b, 2);
    for (uint64_t i = 0; i < 100; i += 50) {
        write_entries(&a, "no", 200 + i, 50);
        write_entries(&a, "yes", i, 50);
        write_point(&a, 7, (int64_t)i + 1, 1);
        assert_int_equal(storage_flush(a.storage), 0);
    }
    assert_true(datalog_first(storage_log(a.storage)) > 1);
    listen_at(&b, SECRET);
    a.filter.selector = "yes{}";
    forward_to(&a, &b);
    testing_wait_for_entries(b.storage, 100);
    wait_for_state(&a, FORWARDER_FOLLOWING);
    write_entries(&a, "no", 300, 10);
    write_entries(&a, "yes", 100, 10);
    testing_wait_for_entries(b.storage, 110);
    for (int i = 0; i < TESTING_WAIT_MS / 2 && place_of_other(&b, &derived) < own_position(&a);
         i++) {
        testing_pause();
    }
    assert_true(place_of_other(&b, &derived) == own_position(&a) && derived);
    assert_true(info_of(&a).snapshots == 1);
    assert_true(testing_count_entries(b.storage, 310) == 110 &&
                testing_value_at(b.storage, 7, 1) == -1);
    end_node(&a);
    end_node(&b);
}

static size_t count_detours(struct node *node)
{
    json_t *json = replication_json(node->way);
    size_t count = json_array_size(json_object_get(json, "forwarders")) - 1;
    json_decref(json);
    return count;
}

static void wait_for_detours(struct node *node, size_t count)
{
    for (int i = 0; i < TESTING_WAIT_MS / 2 && count_detours(node) != count; i++) {
        testing_pause();
    }
    assert_int_equal(count_detours(node), count);
}

/* Until a node has heard that each of so many forwards to somebody. */
static void wait_for_members(struct node *node, size_t count)
{
    for (int i = 0; i < TESTING_WAIT_MS / 2; i++) {
        json_t *json = replication_json(node->way);
        size_t heard = 0;
        size_t n;
        json_t *row;
        json_array_foreach(json_object_get(json, "members"), n, row)
        {
            heard += json_array_size(json_object_get(row, "targets")) > 0;
        }
        json_decref(json);
        if (heard == count) {
            return;
        }
        testing_pause();
    }
    fail_msg("%zu members were not heard of", count);
}

static size_t count_cursors(struct node *node)
{
    return (size_t)datalog_stats(storage_log(node->storage)).cursors;
}

/* A chain a -> b -> c -> d: without b, and then without c too, d holds what a is given; when they
 * are back they hold everything, nobody anything twice, and a goes round nobody. */
static void dead_members_are_gone_round(void **state)
{
    (void)state;
    struct node nodes[4];
    struct node *next[4] = {&nodes[1], &nodes[2], &nodes[3], NULL};
    for (uint8_t i = 0; i < 4; i++) {
        start_node(&nodes[i], (uint8_t)(i + 1));
        listen_at(&nodes[i], SECRET);
        replication_stop(&nodes[i].door);
    }
    for (size_t i = 0; i < 4; i++) {
        start_links(&nodes[i], &next[i], i < 3 ? 1 : 0, true);
    }
    write_entries(&nodes[0], "t", 0, 10);
    testing_wait_for_entries(nodes[3].storage, 10);
    wait_for_members(&nodes[0], 3);
    for (size_t dead = 1; dead <= 2; dead++) {
        replication_stop(&nodes[dead].way);
        wait_for_detours(&nodes[0], dead);
        write_entries(&nodes[0], "t", dead * 10, 10);
        testing_wait_for_entries(nodes[3].storage, dead * 10 + 10);
    }
    assert_true(testing_count_entries(nodes[1].storage, 30) == 10 &&
                testing_count_entries(nodes[2].storage, 30) == 20);
    for (size_t i = 2; i > 0; i--) {
        start_links(&nodes[i], &next[i], 1, true);
        testing_wait_for_entries(nodes[i].storage, 30);
    }
    wait_for_detours(&nodes[0], 0);
    for (int i = 0; i < TESTING_WAIT_MS / 2 && count_cursors(&nodes[0]) > 1; i++) {
        testing_pause();
    }
    assert_int_equal(count_cursors(&nodes[0]), 1);
    write_entries(&nodes[0], "t", 30, 10);
    for (size_t i = 1; i < 4; i++) {
        testing_wait_for_entries(nodes[i].storage, 40);
    }
    for (size_t i = 0; i < 4; i++) {
        replication_stop(&nodes[i].way);
    }
    for (size_t i = 0; i < 4; i++) {
        end_node(&nodes[i]);
    }
}

static struct span any_name(void *context, uint16_t tag)
{
    (void)tag;
    return *(struct span *)context;
}

/* What a number meant in one run says nothing of the next one. */
static void entries_of_a_tag_that_was_not_named_are_refused(void **state)
{
    (void)state;
    struct node node;
    struct link_heard heard = {0};
    struct buf run = {0};
    struct span name = SPAN_LIT("one");
    struct entry entry = {.time_ns = 1, .tag = 7, .data = SPAN_LIT("x")};
    start_node(&node, 1);
    entries_encode(&run, &entry, 1, any_name, &name);
    assert_int_equal(link_hear_entries(&heard, node.storage, buf_span(&run)), 0);
    assert_int_equal(heard.entries.count, 1);
    size_t table = 8; /* behind the head of the run: number and name of its only tag */
    assert_int_equal(wire_load_u16(run.data + table), 7);
    wire_store_u16(run.data + table, 8);
    assert_int_equal(link_hear_entries(&heard, node.storage, buf_span(&run)), ERR_PROTOCOL);
    assert_non_null(strstr(err_text(), "tag 7, which was not named"));
    assert_int_equal(heard.entries.count, 1);
    wire_store_u16(run.data + table, 7);
    assert_int_equal(link_hear_entries(&heard, node.storage, buf_span(&run)), 0);
    link_heard_deinit(&heard);
    buf_deinit(&run);
    end_node(&node);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_of_a_tag_that_was_not_named_are_refused),
        cmocka_unit_test(a_pair_holds_what_each_was_given),
        cmocka_unit_test(a_ring_holds_points_attributes_and_deletes),
        cmocka_unit_test(what_came_from_a_warp10_goes_on),
        cmocka_unit_test(a_filter_brings_a_part_and_says_so),
        cmocka_unit_test(ignored_nodes_are_left_out),
        cmocka_unit_test(a_filtered_link_may_begin_with_a_snapshot),
        cmocka_unit_test(dead_members_are_gone_round),
        cmocka_unit_test(another_secret_is_refused_and_named),
        cmocka_unit_test(two_nodes_with_one_id_are_named),
        cmocka_unit_test(who_lacks_what_was_trimmed_gets_a_snapshot),
        cmocka_unit_test(a_target_that_was_away_catches_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
